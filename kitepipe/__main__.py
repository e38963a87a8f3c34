"""The entry of `python -m kitepipe`, of the console script and of the one-file executable."""

import contextlib
import gc
import os

# numpy's linear algebra is not used here, and its idle threads take 4 % of a load's CPU. It reads
# this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 - no setting of ours

with contextlib.suppress(ImportError):  # where there are core dumps, there is this
    import resource

    # The memory of a process that fetches holds the session: it never goes to disk. One byte is
    # less than any file, and the one limit that Linux heeds before it pipes a dump to a handler
    # (where the hard limit is 0 already, only a process with privileges may have that one byte).
    _hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0 if _hard == 0 else 1, _hard))

from kitepipe.cli import main as cli


def main() -> None:
    """Run a verb; the process ends with it."""
    # Else what a verb imports is searched for garbage 130 times: `run` takes 447 ms of CPU to begin
    # in place of 411. What a fetch or a load takes of memory is the same.
    gc.set_threshold(10_000)
    try:
        cli()
    finally:
        gc.freeze()  # to look for what nobody needs any more takes 20 ms


if __name__ == "__main__":
    main()
