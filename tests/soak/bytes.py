"""Bad bytes: replies damaged at random, through inspection, SQL and quarantine."""

import json
import random
import subprocess
import sys
from datetime import timedelta
from typing import Any

import duckdb

from kitepipe.model import Interval
from kitepipe.staging_inspect import inspect_body
from tests.candle_chain import FIRST, LAST, Parsed, define, run
from tests.soak.life import Soak

_WORDS = (
    *("null", "true", "NaN", "Infinity", "-0", "1e400", "-1", "0.1", "9223372036854775808", "01"),
    *('"12.5"', '""', "[]", "{}", "],[", "]]}}", ",", '"', "\\", "\\u0000", "\\ud800", "\x00"),
    *("'; drop table reply; --", "../../x", "\u202e", "x" * 10_000, "+0530", "2024-02-30", "२०२४"),
    *('{"date":"2024-01-02T09:15:00+0530"}', '"status":"error"', "\r\n", "\ufeff", "/*", " "),
)
_MOST_CHANGES = 4


def bad_bytes(soak: Soak, number: int) -> None:
    """Damage plain replies: each is refused as no success, or each candle of it has its verdict."""
    draw = soak.draw
    with duckdb.connect() as database, database.cursor() as cursor:
        define(cursor)
        for _ in range(number):
            text = _damaged(draw)
            try:
                contents = inspect_body(text)
            except ValueError:
                soak.counts["replies refused"] += 1
                continue
            soak.counts["replies judged"] += 1
            interval = draw.choice(list(Interval))
            ways = [run(cursor, text, interval, typed_only=typed) for typed in (False, True)]
            why = _wrong(text, contents.rows, ways)
            if why:
                soak.differences.append(f"seed {soak.seed}, bad bytes: {why}: {text[:500]!r}")


# How many inputs for each hundred thousand replies: a dump takes 2 ms, a configuration 0.2.
_GUIDED = {"replies": 10.0, "configurations": 1.0, "dumps": 1.0}


def guided_bytes(soak: Soak, number: int) -> None:
    """Let a fuzzer that sees what code it reaches look for bytes that break a door."""
    for target, share in _GUIDED.items():
        runs = max(1, round(number * share))
        command = [sys.executable, "-m", "tests.soak.guided", target, str(runs), str(soak.seed)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if "No module named 'atheris'" in ended.stderr:
            soak.counts["NOT TRIED: atheris is not installed"] += 1
            return
        soak.counts[f"guided {target}"] += runs
        if ended.returncode:
            words = ended.stderr.strip()[-1000:]
            soak.differences.append(f"seed {soak.seed}, guided {target}: {words}")


def _wrong(text: str, rows: int, ways: list[Parsed]) -> str:
    """Say what is wrong with the verdict: a candle without one, or two ways that differ."""
    plain, typed = ways
    ((_, candles, held, superseded, quarantined, good),) = plain.counts
    if candles != rows:
        return f"{candles} candles of {rows}"
    repeated = candles - held - superseded - quarantined - good
    if repeated and not _has_repeated(text):
        return f"{repeated} candles have no verdict"
    if len(plain.rows) != good or len(plain.quarantine) != quarantined:
        return "counts are not what there is"
    if (plain.rules, plain.rows, plain.counts) != (typed.rules, typed.rows, typed.counts):
        return "the plain way and the typed way differ"
    return ""


def _has_repeated(text: str) -> bool:
    """Tell whether a candle stands there twice with equal values: one of them is taken."""
    rows = json.loads(text, parse_constant=str)["data"]["candles"]
    instants = [json.dumps(_instant(row)) for row in rows]
    return len(set(instants)) < len(instants)


def _instant(row: Any) -> Any:
    if isinstance(row, dict):
        return row.get("date", row.get("timestamp"))
    return row[:1] if isinstance(row, list) else row


def _damaged(draw: random.Random) -> str:
    text = _reply(draw)
    for _ in range(draw.randint(0, _MOST_CHANGES)):
        at = draw.randrange(len(text))
        until = min(len(text), at + draw.choice((0, 1, 1, 2, 5, 30)))
        kind = draw.random()
        if kind < 0.4:
            text = text[:at] + draw.choice(_WORDS) + text[until:]
        elif kind < 0.6:
            text = text[:at] + text[until:]
        elif kind < 0.8:
            other = draw.choice((draw.randrange(32, 127), draw.randrange(0xD7FF)))
            text = text[:at] + chr(other) + text[at + 1 :]
        else:
            start = draw.randrange(len(text))
            text = text[:at] + text[start : start + draw.randint(1, 60)] + text[at:]
    return text.encode("utf-8", "replace").decode()


def _reply(draw: random.Random) -> str:
    days = (LAST - FIRST).days
    rows = []
    for _ in range(draw.randint(1, 6)):
        on = FIRST + timedelta(days=draw.randint(0, days))
        minute = draw.randint(0, 374)
        at = f"{on}T{9 + (15 + minute) // 60:02}:{(15 + minute) % 60:02}:00+0530"
        low, high = sorted(round(draw.uniform(0.05, 5000), draw.randint(0, 4)) for _ in "lh")
        row: list[Any] = [at, low, high, low, high, draw.randrange(10**7)]
        rows.append(row + [draw.randrange(10**6)] * draw.randint(0, 1))
    return json.dumps({"status": "success", "data": {"candles": rows}}, separators=(",", ":"))
