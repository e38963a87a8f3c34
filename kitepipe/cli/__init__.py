"""The command line: arguments in, report and exit code out. The only room that prints."""

from kitepipe.cli.app import main

__all__ = ["main"]
