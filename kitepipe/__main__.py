"""The entry of `python -m kitepipe`, of the console script and of the one-file executable."""

import os

# numpy's linear algebra is not used here, and its idle threads take 4 % of a load's CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from kitepipe.cli import main  # noqa: E402 - numpy reads the line above when it is imported

__all__ = ["main"]

if __name__ == "__main__":
    main()
