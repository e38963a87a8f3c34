"""The SQL of kitepipe, one statement a file; the owner in its name also tells the dialect."""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """Return the text of `<name>.sql`, such as `load("staging_insert_reply")`."""
    return (files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
