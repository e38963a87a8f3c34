"""How much of a property `make test` tries; `make test SLOW=1` and CI try all of it."""

from hypothesis import settings


def examples(whole: int) -> int:
    """Return how many examples to try where all would be `whole`: the profile's share of them."""
    profile = settings()
    return max(1, whole * profile.max_examples // settings.get_profile("whole").max_examples)
