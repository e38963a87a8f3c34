"""Several machines share the work: each its own key, staging file and shard, one warehouse."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kitepipe.sandbox import Sandbox
from tests.box_help import Box, ended
from tests.load_help import candles, with_schema
from tests.sandbox_asking import sandbox
from tests.servers import Look, looking

ARGS = (
    *("run", "--from", "2026-06-01", "--candle-interval", "day,60minute"),
    *("--exchanges", "NSE,NFO", "--instrument-types", "EQ,FUT"),
    *("--tradingsymbols", "H*,I*,N*,T*", "--json"),
)


@pytest.fixture
def kites(tmp_path: Path) -> Iterator[list[Sandbox]]:
    """Three sandboxes that serve the same, each to a key of its own."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                sandbox(api_key=f"{name}{tmp_path.name}{os.getpid()}", other_rate_limit=1000)
            )
            for name in ("alone", "first", "second")
        ]


def test_two_machines_fill_one_database_as_one_would(
    kites: list[Sandbox], tmp_path: Path, warehouse_dsn: str, module_plain_dsn: str, look: Look
) -> None:
    """At the same time, over the same hypertable chunks, each with half of the instruments."""
    boxes = []
    dsns = (with_schema(module_plain_dsn), *[warehouse_dsn] * 2)
    for name, kite, dsn in zip(("alone", "first", "second"), kites, dsns, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        boxes.append(Box(folder, kite, dsn))
    alone, *pair = boxes
    whole = alone.kitepipe(*ARGS).report
    with ExitStack() as stack:
        started = [
            stack.enter_context(box.started(*ARGS, "--shard", f"{number}/2"))
            for number, box in enumerate(pair, start=1)
        ]
        halves = [ended(process) for process in started]

    assert [half.code for half in halves] == [0, 0], halves
    parts = [half.report["fetch"]["instruments"] for half in halves]
    assert sum(parts) == whole["fetch"]["instruments"]
    assert min(parts) > 3
    with looking(module_plain_dsn) as look_alone:
        assert candles(look) == candles(look_alone)
    assert look("select count(distinct staging_id) from kite_load_ledger") == [(2,)]
    series = look("select count(*), count(distinct instrument_id) from kite_series")
    assert series == [(whole["load"]["series"], whole["fetch"]["instruments"])]
    for number, box in enumerate(pair, start=1):  # and each has nothing left to do
        again = box.kitepipe(*ARGS, "--shard", f"{number}/2").report
        assert (again["fetch"]["requests"], again["load"]["replies"], again["exit_code"]) == (
            0,
        ) * 3
