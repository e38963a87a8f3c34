"""Which instruments are wanted: one predicate, the same text for DuckDB and for PostgreSQL.

An empty setting lets everything through; several settings must all be met.
"""

from dataclasses import dataclass
from typing import Any

from kitepipe import sql

_WILDCARDS = {"*": ".*", "?": "."}
_NAMES = ("types", "exchanges", "segments", "symbols", "pattern")


@dataclass(frozen=True, slots=True)
class InstrumentFilter:
    """Kite's own values, matched exactly and by case; tradingsymbols are `INFY`, `NSE:INFY`.

    A tradingsymbol may hold `*` (any text) and `?` (any one character), its exchange too.
    """

    instrument_types: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    tradingsymbols: tuple[str, ...] = ()

    def duckdb(self) -> tuple[str, dict[str, Any]]:
        """Return the predicate with `$name` parameters, and these."""
        return self._render("${}"), self._parameters()

    def postgresql(self) -> tuple[str, dict[str, Any]]:
        """Return the predicate with `%(name)s` parameters, and these."""
        return self._render("%({})s"), self._parameters()

    def _render(self, form: str) -> str:
        text = sql.load("instrument_filter")
        lines = (line.strip() for line in text.splitlines() if not line.startswith("--"))
        predicate = " ".join(lines)
        return predicate.format(**{name: form.format(name) for name in _NAMES})

    def _parameters(self) -> dict[str, Any]:
        patterns = [text for text in self.tradingsymbols if _WILDCARDS.keys() & text]
        return {
            "types": list(self.instrument_types) or None,
            "exchanges": list(self.exchanges) or None,
            "segments": list(self.segments) or None,
            "symbols": [text for text in self.tradingsymbols if text not in patterns]
            if self.tradingsymbols
            else None,
            "pattern": f"^({'|'.join(map(_expression, patterns))})$" if patterns else None,
        }


def _expression(pattern: str) -> str:
    """Write a pattern as a regular expression over `EXCHANGE:TRADINGSYMBOL`."""
    whole = pattern if ":" in pattern else f"*:{pattern}"
    return "".join(_WILDCARDS.get(character, _literal(character)) for character in whole)


def _literal(character: str) -> str:
    # RE2 and PostgreSQL agree on a backslash before ASCII punctuation, and on little else.
    plain = character.isalnum() or character == "_" or not character.isascii()
    return character if plain else f"\\{character}"
