"""The entry of `python -m kitepipe`, of the console script and of the one-file executable."""

from kitepipe.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
