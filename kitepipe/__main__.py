"""The entry of `python -m kitepipe`, of the console script and of the one-file executable."""

import os

# numpy's linear algebra is not used here, and its idle threads take 4 % of a load's CPU. It reads
# this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 - no setting of ours

from kitepipe.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
