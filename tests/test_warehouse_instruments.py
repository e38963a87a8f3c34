"""Identity: one instrument_id for life, through renames, moved tokens and tokens used again."""

import csv
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.filters import InstrumentFilter
from kitepipe.model import Instrument
from kitepipe.warehouse import DatabaseManager
from tests.servers import Look, looking
from tests.warehouse_help import name

D = [date(2024, 1, day) for day in range(1, 29)]
TABLES = ("kite_instruments", "kite_instrument_names")


@pytest.fixture
def db(plain_dsn: str) -> Iterator[DatabaseManager]:
    """An empty warehouse."""
    with DatabaseManager(plain_dsn) as manager:
        manager.apply_schema()
        yield manager


def option(key: int, token: int, symbol: str, expiry: date, *, since: date = D[0]) -> Any:
    """Make one row of a dated contract."""
    dated: dict[str, Any] = {"exchange": "NFO", "segment": "NFO-OPT", "instrument_type": "CE"}
    return name(key, token, symbol, since, expiry=expiry, strike=100.0, name="NIFTY", **dated)


def names(look: Look, instrument_id: int) -> list[tuple[Any, ...]]:
    """Return an instrument's names by period."""
    query = (
        "select tradingsymbol, instrument_token, valid_from, valid_to "
        "from kite_instrument_names where instrument_id = %s order by valid_from"
    )
    return look(query, instrument_id)


def versions(look: Look) -> list[Any]:
    """Return every row with the transaction that wrote it."""
    return [look(f"select xmin::text, * from {table} order by 2, 3") for table in TABLES]


def test_sync_twice_writes_nothing(db: DatabaseManager, look: Look) -> None:
    """The same names again, in any order, give the same ids and touch no row."""
    rows = [
        name(1, 408065, "INFY"),
        name(2, 500, "OLD", D[0], D[5]),
        name(2, 500, "NEW", D[5]),
        option(3, 900, "NIFTY24JAN100CE", D[25]),
    ]
    ids = db.sync_instruments("s1", rows)
    before = versions(look)
    assert db.sync_instruments("s1", reversed(rows)) == ids
    assert versions(look) == before
    assert sorted(ids) == [1, 2, 3]
    assert len(set(ids.values())) == 3


def test_a_rename_keeps_the_id(db: DatabaseManager, look: Look) -> None:
    """The same token under another symbol is the same instrument, now shown by its new name."""
    first = db.sync_instruments("s1", [name(1, 500, "OLD")])[1]
    assert (
        db.sync_instruments("s1", [name(1, 500, "OLD", D[0], D[5]), name(1, 500, "NEW", D[5])])[1]
        == first
    )
    assert names(look, first) == [("OLD", 500, D[0], D[5]), ("NEW", 500, D[5], None)]
    assert look("select tradingsymbol, named_from from kite_instruments") == [("NEW", D[5])]


def test_a_moved_token_keeps_the_id(db: DatabaseManager, look: Look) -> None:
    """A change of series gives a new token and symbol; the old token still leads to the id."""
    first = db.sync_instruments("s1", [name(1, 500, "ABC")])[1]
    moved = [name(1, 500, "ABC", D[0], D[5]), name(1, 777, "ABC-BE", D[5])]
    assert db.sync_instruments("s1", moved)[1] == first
    assert db.sync_instruments("s2", [name(9, 777, "ABC-BE", D[6])])[9] == first
    assert look("select instrument_token from kite_instruments") == [(777,)]


def test_a_token_that_is_used_again_is_another_instrument(db: DatabaseManager) -> None:
    """After an instrument moved on, its old token may name another: ids stay apart, for good."""
    moved = [name(1, 500, "ABC", D[0], D[5]), name(1, 777, "ABC-BE", D[5])]
    first = db.sync_instruments("s1", moved)[1]
    rows = [*moved, name(2, 500, "XYZ", D[9])]
    ids = db.sync_instruments("s1", rows)
    assert ids[1] == first
    assert ids[2] != first
    assert db.sync_instruments("s1", rows) == ids
    assert db.sync_instruments("s2", [name(5, 500, "XYZ", D[12])]) == {5: ids[2]}


def test_an_expired_contracts_token_is_used_again(db: DatabaseManager) -> None:
    """Contracts are told apart by what they are, not by token; a share never becomes a contract."""
    january = db.sync_instruments("s1", [option(1, 900, "NIFTY24JAN100CE", D[25])])[1]
    rows = [
        option(2, 900, "NIFTY24FEB100CE", date(2024, 2, 29)),
        name(3, 900, "SHARE", D[20], exchange="NFO"),
    ]
    ids = db.sync_instruments("s2", rows)
    assert len({january, *ids.values()}) == 3
    assert db.sync_instruments("s3", [option(7, 901, "NIFTY24JAN100CE", D[25])]) == {7: january}


def test_strike_type_and_expiry_are_part_of_a_contract(db: DatabaseManager) -> None:
    """Any of the five parts makes another contract."""
    base: dict[str, Any] = {"expiry": D[20], "strike": 100.0, "instrument_type": "CE"}
    others: list[dict[str, Any]] = [
        {},
        {"expiry": D[21]},
        {"strike": 100.05},
        {"instrument_type": "PE"},
        {"exchange": "BFO"},
    ]
    rows = [name(key, 900 + key, "X", **base | other) for key, other in enumerate(others)]
    rows.append(name(99, 999, "Y", **base))
    assert len(set(db.sync_instruments("s1", rows).values())) == 6


def test_one_contract_under_two_keys_is_one_instrument(db: DatabaseManager, look: Look) -> None:
    """Two rows of a dump that name the same contract meet in one id."""
    rows = [option(1, 900, "NIFTY24JAN100CE", D[25]), option(2, 901, "NIFTY24JAN100CE", D[25])]
    ids = db.sync_instruments("s1", rows)
    assert ids[1] == ids[2]
    assert look("select count(*) from kite_instruments") == [(1,)]


def test_a_continuous_series_is_an_instrument_of_its_own(db: DatabaseManager) -> None:
    """A continuous future is its exchange and underlying, whatever key another file gives it."""
    future: dict[str, Any] = {"instrument_type": "FUT", "exchange": "NFO", "name": "NIFTY"}
    contract_row = name(1, 900, "NIFTY24JANFUT", expiry=D[25], **future)
    plain = db.sync_instruments("s1", [contract_row])[1]
    row = name(-1, 0, "NIFTY-CONT", continuous=True, **future)
    stitched = db.sync_instruments("s1", [row])[-1]
    assert stitched != plain
    assert db.sync_instruments("s1", [row])[-1] == stitched
    other = [name(-7, 0, "NIFTY-CONT", D[3], continuous=True, **future)]
    other.append(name(-9, 0, "GOLD-CONT", continuous=True, **(future | {"name": "GOLD"})))
    others = db.sync_instruments("s2", other)
    assert (others[-7] == stitched, others[-9] in (stitched, plain)) == (True, False)
    with pytest.raises(ValueError, match="sync them apart"):
        db.sync_instruments("s1", [row, name(-1, 900, "NIFTY24JANFUT", expiry=D[25], **future)])
    contract = Instrument(900, "NFO", "NIFTY24JANFUT", "", "FUT", "NSE", D[25])
    assert [i.tradingsymbol for i in db.get_instruments_by_filter(InstrumentFilter())] == [
        "NIFTY24JANFUT"
    ]
    assert db.get_max_date_for_instrument(contract, "day") is None


def test_an_older_staging_file_does_not_turn_time_back(db: DatabaseManager, look: Look) -> None:
    """A file that was fed for long ago adds its names, and changes nothing of today's."""
    newer = [name(1, 500, "NEW", D[5], lot_size=75)]
    older = [name(8, 500, "OLD", D[0], lot_size=50)]
    first = db.sync_instruments("s1", newer)[1]
    assert db.sync_instruments("s2", older)[8] == first
    assert names(look, first) == [("OLD", 500, D[0], D[5]), ("NEW", 500, D[5], None)]
    assert look("select tradingsymbol, lot_size from kite_instruments") == [("NEW", 75)]
    before = versions(look)
    for rows in (newer, older):
        db.sync_instruments("s1", rows)
    assert versions(look) == before


PERIODS: dict[str, tuple[list[tuple[int, int | None]], list[tuple[date, date | None]]]] = {
    "touching periods are one": ([(0, 5), (5, None)], [(D[0], None)]),
    "a gap is two": ([(0, 5), (8, None)], [(D[0], D[5]), (D[8], None)]),
    "delisted, though another file did not see it": ([(0, 5), (3, None)], [(D[0], D[5])]),
    "seen again from the end on": ([(0, 5), (5, 9)], [(D[0], D[9])]),
    "ended on the day it began": ([(0, 0)], [(D[0], D[0])]),
    "two dumps of one day": ([(0, 0), (0, None)], [(D[0], None)]),
    "one inside the other": ([(0, 9), (2, 4)], [(D[0], D[9])]),
}


@pytest.mark.parametrize("told", PERIODS)
def test_periods_of_one_name_merge(db: DatabaseManager, look: Look, told: str) -> None:
    """What staging files tell of one name becomes one row a period, told at once or in turn."""
    periods, expected = PERIODS[told]
    rows = [name(1, 5, "A", D[a], None if b is None else D[b]) for a, b in periods]
    db.sync_instruments("s1", rows[:1])
    first = db.sync_instruments("s1", rows)[1]
    assert [row[2:] for row in names(look, first)] == expected
    before = versions(look)
    db.sync_instruments("s1", rows)
    assert versions(look) == before


def test_text_of_any_kind_is_kept(db: DatabaseManager) -> None:
    """Tabs, newlines, backslashes and quotes in a name come back as they were."""
    odd = "M&M \t\n\r \\N \\. 'x' \"y\" é"
    db.sync_instruments("s1", [name(1, 5, odd, segment="\\N")])
    (found,) = db.get_instruments_by_filter(InstrumentFilter(tradingsymbols=(odd,)))
    assert (found.tradingsymbol, found.segment) == (odd, "\\N")


def test_nothing_to_sync(db: DatabaseManager) -> None:
    """No rows, no ids."""
    assert db.sync_instruments("s1", []) == {}


def test_two_loaders_at_once_give_one_id(plain_dsn: str, db: DatabaseManager, look: Look) -> None:
    """Two that sync the same names at the same moment agree on the ids."""
    rows = [name(key, 1000 + key, f"S{key}") for key in range(300)]
    found: list[dict[int, int]] = []

    def sync() -> None:
        with DatabaseManager(plain_dsn) as other:
            found.append(other.sync_instruments("s2", rows))

    threads = [threading.Thread(target=sync) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 3
    assert look("select count(*) from kite_instruments") == [(300,)]


@pytest.fixture(scope="module")
def module_db(module_plain_dsn: str) -> Iterator[DatabaseManager]:
    """A warehouse for many examples."""
    with DatabaseManager(module_plain_dsn) as manager:
        manager.apply_schema()
        yield manager


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Names of two listed instruments as one staging file tells them: each token at one place."""
    rows = []
    for key in (1, 2):
        days = sorted(draw(st.sets(st.integers(0, 20), min_size=1, max_size=4)))
        ends = [*(D[day] for day in days[1:]), None]
        for number, (day, end) in enumerate(zip(days, ends, strict=True)):
            token = key * 10 + draw(st.integers(0, number))
            symbol = draw(st.sampled_from(["A", "B", "C"])) + str(key)
            rows.append(name(key, token, symbol, D[day], end))
    return rows


@given(rows=histories(), cut=st.integers(0, 8))
def test_ids_do_not_depend_on_how_much_was_known(
    module_db: DatabaseManager, module_plain_dsn: str, rows: list[Any], cut: int
) -> None:
    """Synced in two steps or in one, a history gives the same names, and its own ids again."""
    with looking(module_plain_dsn) as look:
        tables = []
        for steps in ([rows], [rows[:cut], rows]):
            look("truncate kite_instruments, kite_instrument_names cascade")
            for step in steps:
                ids = module_db.sync_instruments("s1", step)
            tables.append([names(look, ids[key]) for key in sorted(ids)])
            assert len(set(ids.values())) == len(ids)
            assert module_db.sync_instruments("s1", rows) == ids
    assert tables[0] == tables[1]


def test_real_dumps_sync_fast_and_alike(db: DatabaseManager, look: Look, real_data: Path) -> None:
    """Two real dumps of NFO share 99 of 100 tokens and hardly any contract: none is mixed up."""
    rows = []
    for key_base, file, since in ((0, "NFO_2025-07.csv", D[0]), (10**6, "NFO_2026-08_b.csv", D[9])):
        with (real_data / "dumps" / file).open(encoding="utf-8") as lines:
            for number, line in enumerate(csv.DictReader(lines)):
                if "expiry" in line and (line["expiry"] or "").startswith("20"):
                    rows.append(_contract(key_base + number, line, since))
    ids = db.sync_instruments("s1", rows)
    before = versions(look)
    assert db.sync_instruments("s1", rows) == ids
    assert versions(look) == before
    contracts = {(row[5], row[6], row[10], row[11], row[8]) for row in rows}
    assert len(set(ids.values())) == len(contracts) > 20_000


def _contract(key: int, line: dict[str, str], since: date) -> tuple[Any, ...]:
    expiry = date.fromisoformat(line["expiry"][:10])
    return name(
        key,
        int(line["instrument_token"]),
        line["tradingsymbol"],
        since,
        exchange=line["exchange"],
        expiry=expiry,
        strike=float(line["strike"]),
        instrument_type=line["instrument_type"],
    )
