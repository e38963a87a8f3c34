"""The kinds of value a setting may have: how text and typed values become it, what is allowed.

A kind only judges one value by itself; it knows no key, no file and no variable.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from kitepipe.model import IST, Interval, utc_now


class Hint(ValueError):
    """A value is impossible, and the message is a hint such as `did you mean "5minute"?`."""


class Kind(Protocol):
    """How one sort of value is read and written."""

    @property
    def allowed(self) -> str:
        """Say what is allowed, as it stands in errors and in documentation."""

    def read(self, value: Any) -> Any:
        """Return the setting for a value of a file or of Python; ValueError when impossible."""

    def parse(self, text: str) -> Any:
        """Return the setting for the text of a variable or a flag; ValueError when impossible."""


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    allowed: str = "true or false"

    def read(self, value: Any) -> bool:
        """Take a real boolean only: "false" in quotes is no boolean."""
        if not isinstance(value, bool):
            raise ValueError
        return value

    def parse(self, text: str) -> bool:
        """Take the usual words."""
        word = text.strip().lower()
        if word not in _WORDS:
            raise ValueError
        return _WORDS[word]


_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_WORDS |= {"false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    @property
    def allowed(self) -> str:
        """Say the range."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, value: Any) -> int:
        """Take an int; bool is one to Python and none to us."""
        if type(value) is not int or not self.least <= value <= self.most:
            raise ValueError
        return value

    def parse(self, text: str) -> int:
        """Take decimal digits."""
        return self.read(int(_match(r"\s*[+-]?\d{1,18}\s*", text)))


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number up to `most`, from `least` on or, where `above`, greater than it."""

    least: float
    most: float
    above: bool = False

    @property
    def allowed(self) -> str:
        """Say the range."""
        start = f"above {self.least:g}, up to" if self.above else f"from {self.least:g} to"
        return f"a number {start} {self.most:g}"

    def read(self, value: Any) -> float:
        """Take an int or a float in the range; NaN is in no range."""
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError
        if value < self.least or value > self.most or (self.above and value == self.least):
            raise ValueError
        return float(value)

    def parse(self, text: str) -> float:
        """Take a decimal number."""
        return self.read(float(_match(r"\s*[+-]?\d{1,18}(\.\d*)?\s*|\s*[+-]?\.\d+\s*", text)))


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar date that is not in the future."""

    allowed: str = "a date such as 2015-02-01, between 1990-01-01 and today"

    def read(self, value: Any) -> date:
        """Take a date, or its ISO text as JSON has no dates; a date with a time is none."""
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, date) or isinstance(value, datetime):
            raise ValueError
        if not date(1990, 1, 1) <= value <= utc_now().astimezone(IST).date():
            raise ValueError
        return value

    def parse(self, text: str) -> date:
        """Take YYYY-MM-DD."""
        return self.read(date.fromisoformat(_match(r"\s*\d{4}-\d\d-\d\d\s*", text).strip()))


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a form; where `optional`, empty means that there is none."""

    allowed: str
    form: str
    optional: bool = False
    idle_end: str = ""

    def read(self, value: Any) -> str | None:
        """Take text of that form; `idle_end` means nothing at its end and is cut off."""
        if not isinstance(value, str):
            raise ValueError
        text = value.strip().removesuffix(self.idle_end)
        return None if self.optional and not text else _match(self.form, text)

    def parse(self, text: str) -> str | None:
        """Take text of that form."""
        return self.read(text)


@dataclass(frozen=True, slots=True)
class Share:
    """Which of how many shares, as `2/3`; empty text means all."""

    allowed: str = "i/n such as 2/3, with i from 1 to n and n up to 999"

    def read(self, value: Any) -> tuple[int, int] | None:
        """Take text, as every way of configuring has it."""
        if not isinstance(value, str):
            raise ValueError
        if not value.strip():
            return None
        number, of = map(int, _match(r"\d{1,3}/\d{1,3}", value.strip()).split("/"))
        if not 1 <= number <= of:
            raise ValueError
        return number, of

    def parse(self, text: str) -> tuple[int, int] | None:
        """Take text."""
        return self.read(text)


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of a file, with `~` for the home folder."""

    allowed: str = "the path of a file"

    def read(self, value: Any) -> Path:
        """Take text or a Path."""
        if isinstance(value, str) and value.strip() and "\0" not in value:
            value = Path(value.strip())
        if not isinstance(value, Path):
            raise ValueError
        try:
            return value.expanduser()
        except RuntimeError as error:
            raise Hint("this user has no home folder") from error

    def parse(self, text: str) -> Path:
        """Take text."""
        return self.read(text)


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names of a form, or of `choices`; repeated names count once."""

    allowed: str
    form: str = ""
    choices: tuple[str, ...] = field(default=())

    def read(self, value: Any) -> tuple[str, ...]:
        """Take a list, or one name alone."""
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, (list, tuple)):
            raise ValueError
        return tuple(dict.fromkeys(self._name(item) for item in value))

    def parse(self, text: str) -> tuple[str, ...]:
        """Take names with commas between them; empty text is no name at all."""
        return self.read(text.split(",") if text.strip() else [])

    def _name(self, item: Any) -> str:
        if not isinstance(item, str):
            raise ValueError
        name = item.strip()
        if not self.choices:
            return self._of_form(name)
        if name not in self.choices:
            raise Hint(did_you_mean(name, self.choices))
        return name

    def _of_form(self, name: str) -> str:
        try:
            return _match(self.form, name)
        except ValueError:
            capitals = _match(self.form, name.upper())
            raise Hint(f'did you mean "{capitals}"?') from None


@dataclass(frozen=True, slots=True)
class Intervals:
    """One or several of Kite's candle intervals."""

    allowed: str = f"one or several of {', '.join(Interval)}"

    def read(self, value: Any) -> tuple[Interval, ...]:
        """Take a list, or one interval alone."""
        names = Names(self.allowed, choices=tuple(Interval)).read(value)
        if not names:
            raise ValueError
        return tuple(Interval(name) for name in names)

    def parse(self, text: str) -> tuple[Interval, ...]:
        """Take intervals with commas between them."""
        return self.read(text.split(","))


# What other programs call Kite's intervals, for which no similarity of letters would be found.
_FOREIGN = {"1d": "day", "1day": "day", "daily": "day", "1m": "minute", "1h": "60minute"}
_FOREIGN |= {"1min": "minute", "1minute": "minute", "hour": "60minute", "hourly": "60minute"}


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Return `did you mean "x"?` with the known word nearest to this one, or an empty text."""
    from difflib import get_close_matches  # only an error pays for this import

    by_letters = {name.lower(): name for name in reversed(known)}
    foreign = _FOREIGN.get(word.lower(), "")
    near = [foreign] if foreign in known else get_close_matches(word.lower(), by_letters, 1, 0.55)
    return f'did you mean "{by_letters[near[0]]}"?' if near else ""


def _match(form: str, text: str) -> str:
    if not re.fullmatch(form, text, re.ASCII):
        raise ValueError
    return text
