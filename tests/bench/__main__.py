"""`python -m tests.bench [--full]`: measure, and print one line for each figure."""

import argparse


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="full size: minutes, gigabytes")
    parser.parse_args()
    parser.exit(2, "no measurement is written yet\n")


if __name__ == "__main__":
    main()
