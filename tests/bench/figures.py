"""Figures and their one table: each beside its limit or peer, with the ratio and its spread."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of kitepipe, and of what it is held against, in the same run.

    Where both have as many values they were measured in pairs: then the ratio is the median of
    the pairs' ratios. Where there is nothing to be held against, `others` is empty.

    `least` and `most` bound the median ratio, or the median value where there is no ratio. `broken`
    says that another limit that must hold does not.
    """

    scenario: str
    what: str
    values: Sequence[float]
    beside: str
    others: Sequence[float]
    broken: bool = False
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Tell whether this is within its limits."""
        score = median(self.ratios or self.values)
        low, high = (
            -inf if self.least is None else self.least,
            inf if self.most is None else self.most,
        )
        return not self.broken and low <= score <= high

    @property
    def ratios(self) -> list[float]:
        """Return the ratio of each pair, or of each value to the median of the others."""
        others = self.others or [0.0]
        if len(others) != len(self.values):
            others = [median(others)] * len(self.values)
        if not all(others):
            return []
        return [value / other for value, other in zip(self.values, others, strict=True)]

    def cells(self) -> list[str]:
        """Return this as a line of the table."""
        ratios = self.ratios
        spread = f"{_short(min(ratios))} - {_short(max(ratios))}" if len(ratios) > 1 else ""
        return [
            self.what,
            _short(median(self.values)),
            _short(median(self.others)) if self.others else "",
            self.beside,
            _short(median(ratios)) if ratios else "",
            spread,
            str(len(self.values)),
            self._reach(),
        ]

    def _reach(self) -> str:
        """Return the bounds and whether they hold; nothing where there are none."""
        bounds = [("at least", self.least), ("at most", self.most)]
        told = [f"{word} {_short(bound)}" for word, bound in bounds if bound is not None]
        return ", ".join(told + ["kept" if self.holds else "BROKEN"] * bool(told or self.broken))

    def as_dict(self) -> dict[str, object]:
        """Return all values, and what the table shows of them."""
        ratios = self.ratios
        return asdict(self) | {
            "median": median(self.values),
            "other_median": median(self.others) if self.others else None,
            "holds": self.holds,
            "ratio": median(ratios) if ratios else None,
            "ratio_spread": [min(ratios), max(ratios)] if ratios else None,
        }


_HEADING = ["figure (median)", "kitepipe", "beside", "", "ratio", "its spread", "n", "reach"]


def table(figures: Sequence[Figure], machine: Mapping[str, object]) -> str:
    """Return the table as text, under a line about the machine."""
    lines = [_HEADING, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = (0, 3, 7)  # words to the left, numbers to the right
    rows = [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    about = ", ".join(f"{key} {value}" for key, value in machine.items())
    return "\n".join([about, "", rows[0], "-" * len(rows[0]), *rows[1:], ""])


def write_json(path: Path, figures: Sequence[Figure], machine: Mapping[str, object]) -> Path:
    """Write every value that was measured and return the path."""
    found = {"machine": machine, "figures": [figure.as_dict() for figure in figures]}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return path


def _short(value: float) -> str:
    """Return three digits that count: 183,412 but 0.0123."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
