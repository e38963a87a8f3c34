"""Which instruments are wanted: one predicate, the same text for DuckDB and for PostgreSQL.

An empty setting lets everything through; several settings must all be met.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from kitepipe import sql

_WILDCARDS = {"*": ".*", "?": "."}
_NAMES = (
    *("types", "exchanges", "segments", "symbols", "pattern"),
    *("expiry_from", "expiry_to", "plain_equities", "shard_from", "shard_to"),
)


@dataclass(frozen=True, slots=True)
class InstrumentFilter:
    """Kite's own values, matched exactly and by case; tradingsymbols are `INFY`, `NSE:INFY`.

    A tradingsymbol may hold `*` (any text) and `?` (any one character), its exchange too.
    `expiry_from` and `expiry_to`, both inclusive, bound what expires; the rest passes.
    `plain_equities` are shares in their regular series, `shard` is (i, n): the i-th of n disjoint
    shares of everything, counted from 1; instrument_filter.sql says what these are.
    """

    instrument_types: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    tradingsymbols: tuple[str, ...] = ()
    expiry_from: date | None = None
    expiry_to: date | None = None
    plain_equities: bool = False
    shard: tuple[int, int] | None = None

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
        shard_from, shard_to = _hash_range(*self.shard) if self.shard else (None, None)
        patterns = [text for text in self.tradingsymbols if is_pattern(text)]
        return {
            "types": list(self.instrument_types) or None,
            "exchanges": list(self.exchanges) or None,
            "segments": list(self.segments) or None,
            "symbols": [text for text in self.tradingsymbols if text not in patterns]
            if self.tradingsymbols
            else None,
            "pattern": f"^({'|'.join(map(_expression, patterns))})$" if patterns else None,
            "expiry_from": self.expiry_from,
            "expiry_to": self.expiry_to,
            "plain_equities": self.plain_equities,
            "shard_from": shard_from,
            "shard_to": shard_to,
        }


def is_pattern(tradingsymbol: str) -> bool:
    """Tell whether it may name several: it holds `*` or `?`."""
    return bool(_WILDCARDS.keys() & tradingsymbol)


def _hash_range(number: int, of: int) -> tuple[str, str]:
    """Return the first and the last hash of a shard, as the 32 hex digits of an md5."""
    first, end = ((part << 128) // of for part in (number - 1, number))
    return f"{first:032x}", f"{end - 1:032x}"


def _expression(pattern: str) -> str:
    """Write a pattern as a regular expression over `EXCHANGE:TRADINGSYMBOL`."""
    whole = pattern if ":" in pattern else f"*:{pattern}"
    return "".join(_WILDCARDS.get(character, _literal(character)) for character in whole)


def _literal(character: str) -> str:
    # RE2 and PostgreSQL agree on a backslash before ASCII punctuation, and on little else.
    plain = character.isalnum() or character == "_" or not character.isascii()
    return character if plain else f"\\{character}"
