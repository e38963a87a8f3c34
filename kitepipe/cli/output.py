"""What reaches the terminal: text or JSON on stdout, words on stderr, quiet when nobody reads."""

import json
import os
import re
import select
import sys
from datetime import timedelta
from typing import Any

import click

from kitepipe.model import STEERING

# Names and messages come from outside. What steers is written as an escape of JSON, which can be
# read in a line and in a document; what kitepipe itself writes is let through: lines, bold, three
# colours.
_NOT_OURS = re.compile(rf"(?!\x1b\[(?:[01]|3[1-3])m)(?![\n\t])[{STEERING}]")


def harmless(text: str) -> str:
    """Return text that does nothing to a terminal but stand there, be it bold or in colour."""
    return _NOT_OURS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str = "") -> None:
    """Write a line to stdout; where its reader is gone, be quiet from now on."""
    try:
        click.echo(harmless(text))
    except BrokenPipeError:
        silence()


def say_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def tell(text: str = "") -> None:
    """Write a line to stderr, where people read and `--json` does not."""
    try:
        click.echo(harmless(text), err=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def has_reader() -> bool:
    """Say whether somebody still reads stdout: a pipe without a reader is in the state "error"."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    return not watch.poll(0)


def silence() -> None:
    """Send stdout nowhere: what is left in its buffer must not raise at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def number(value: float) -> str:
    """Return 1234567 as 1,234,567."""
    return f"{value:,}"


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def duration(seconds: float) -> str:
    """Return seconds as 0.4 s, 41 s, 3 min 5 s or 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = timedelta(seconds=round(seconds))
    minutes, rest = divmod(whole.days * 86_400 + whole.seconds, 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(value: int, noun: str) -> str:
    """Return `1 reply` or `5 replies`; `series` is its own plural."""
    if value == 1 or noun.endswith("s"):
        return f"{number(value)} {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(value)} {plural}"
