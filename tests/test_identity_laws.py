"""Laws of identity over any dumps, real dumps, and the time that a dump takes."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.filters import InstrumentFilter
from kitepipe.model import Interval
from kitepipe.staging import Staging
from kitepipe.staging_instruments import instrument_names, take_snapshot
from kitepipe.staging_wanted import select_series, want_instruments
from kitepipe.summary import SnapshotReport
from tests.marks import examples
from tests.staging_help import API_ROOT, Rows, dump, dump_day, line, listed, take

# A small world, in which tokens and names meet often: token number, symbol, name, expiry.
ROWS = st.tuples(
    st.integers(1, 5),
    st.sampled_from(["A", "A-BE", "A-SM", "A-N1", "B", "B-BE", "F1", "F2"]),
    st.sampled_from(["", "A LTD", "B LTD"]),
)
Dump = dict[int, tuple[str, str]]


@st.composite
def dumps(draw: st.DrawFn) -> Dump:
    """Draw a dump without a bad row: token number to symbol and name."""
    rows: Dump = {}
    for token, symbol, name in draw(st.lists(ROWS, min_size=1, max_size=5)):
        if symbol not in [taken for taken, _ in rows.values()]:
            rows[token] = (symbol, name)
    return rows


def rows_of(drawn: Dump) -> list[str]:
    """Write a dump's rows; F1 and F2 are dated contracts."""
    return [
        line(number * 256, symbol, name, expiry="2026-12-31" if symbol[0] == "F" else "")
        for number, (symbol, name) in drawn.items()
    ]


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


def ask(staging: Staging, query: str) -> Rows:
    """Return the rows of a query."""
    with staging.cursor() as cursor:
        return cursor.execute(query).fetchall()


@settings(max_examples=examples(15))
@given(drawn=st.lists(dumps(), min_size=1, max_size=6))
def test_any_dumps_keep_the_law(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Dump]
) -> None:
    """What is listed is the newest dump, one key for each; a contract has one key for ever."""
    path = tmp_path_factory.mktemp("laws") / "kitepipe.duckdb"
    with Staging.write(path, API_ROOT) as staging:
        for day, one in enumerate(drawn):
            take(staging, day, *rows_of(one))
            keys = listed(staging)
            assert sorted(keys) == sorted(symbol for symbol, _ in one.values())
            assert len(set(keys.values())) == len(keys)
        report = take(staging, len(drawn), *rows_of(drawn[-1]))
        assert (report.listed, report.changed, report.gone) == (0, 0, 0)
        contracts = ask(
            staging,
            "select count(distinct instrument_key) from instrument where expiry is not null "
            "group by tradingsymbol",
        )
        assert set(contracts) <= {(1,)}
        mixed = "select 1 from instrument group by instrument_key having count(distinct expiry) "
        assert ask(staging, mixed + "> 0 and count(*) > count(expiry)") == []
        _check_names(staging)
        _check_parts(staging)


def _check_parts(staging: Staging) -> None:
    """Names are the same whether they come at once or by pages, and of one key by itself."""
    with staging.cursor() as cursor:
        names = list(instrument_names(cursor))
        keys = {int(str(name[0])) for name in names}
        for wanted in (None, keys):
            assert set(instrument_names(cursor, wanted, at_once=1)) == set(names)
        for key in keys:
            own = [name for name in names if name[0] == key]
            assert list(instrument_names(cursor, {key})) == own


def _check_names(staging: Staging) -> None:
    """No two periods of one token overlap, and what is listed has one that is open."""
    with staging.cursor() as cursor:
        names = list(instrument_names(cursor))
        assert set(instrument_names(cursor, at_once=10**9)) == set(names)
        want_instruments(cursor, InstrumentFilter())
        series = select_series(cursor, [Interval.DAY])
    by_token: dict[object, list[tuple[object, ...]]] = {}
    for name in names:
        by_token.setdefault((name[5], name[3]), []).append(name)
    for periods in by_token.values():
        ordered = sorted(periods, key=lambda name: (str(name[1]), str(name[2] or "9999")))
        for before, after in itertools.pairwise(ordered):
            assert before[2] is not None
            assert str(before[2]) <= str(after[1])
    opened = {(name[0], name[3], name[6]) for name in names if name[2] is None}
    assert opened == {
        (one.instrument_key, one.instrument.instrument_token, one.instrument.tradingsymbol)
        for one in series
    }


def test_names_are_told_by_period(staging: Staging) -> None:
    """From the dump that first showed a name to the dump that ended it; null while it holds."""
    take(staging, 1, line(256, "ABC", "ABC LTD"), line(768, "X", "X LTD"))
    take(staging, 2, line(256, "NEW", "NEW LTD"), line(768, "X", "X LTD"))
    take(staging, 3, line(512, "NEW-BE", "NEW LTD"))
    take(staging, 5, line(512, "NEW-BE", "NEW LTD"), line(768, "Y", "Y LTD"))
    with staging.cursor() as cursor:
        names = [(name[6], *name[1:4]) for name in instrument_names(cursor)]
        keys = {name[6]: name[0] for name in instrument_names(cursor)}
    day = [dump_day(number).date() for number in range(6)]
    assert sorted(names, key=str) == [
        ("ABC", day[1], day[2], 256),
        ("NEW", day[2], day[3], 256),
        ("NEW-BE", day[3], None, 512),
        ("X", day[1], day[3], 768),
        ("Y", day[5], None, 768),
    ]
    assert keys["ABC"] == keys["NEW"] == keys["NEW-BE"]
    assert keys["X"] != keys["Y"]


def take_real(staging: Staging, folder: Path, name: str, day: str) -> SnapshotReport:
    """Take one of the real dumps, as of a date."""
    taken_at = datetime.fromisoformat(f"{day}T09:00:00+05:30").astimezone(UTC)
    data = (folder / "dumps" / f"{name}.csv").read_bytes()
    return take_snapshot(staging, data, name.partition("_")[0], taken_at)


def test_a_real_week_of_nse(staging: Staging, real_data: Path) -> None:
    """Between 6 and 14 March 2026: 31 changes of series keep their key, 77 listed, 23 gone."""
    first = take_real(staging, real_data, "NSE_raw_2026-03-06", "2026-03-06")
    assert (first.rows, first.listed, first.warnings) == (9366, 9366, [])
    again = take_real(staging, real_data, "NSE_raw_2026-03-06", "2026-03-07")
    assert (again.listed, again.changed, again.gone) == (0, 0, 0)
    week = take_real(staging, real_data, "NSE_raw_2026-03-14", "2026-03-14")
    assert (week.rows, week.listed, week.changed, week.gone) == (9420, 77, 31, 23)
    moved = ask(
        staging,
        "select count(distinct instrument_token), count(distinct name), "
        "count(distinct regexp_replace(tradingsymbol, '-(BE|SM|ST)$', '')) from instrument "
        "group by instrument_key having count(*) > 1 and not bool_and(gone) "
        "and count(distinct tradingsymbol) > 1",
    )
    assert moved == [(2, 1, 1)] * 31
    _check_names(staging)


def test_a_real_year_of_nfo(staging: Staging, real_data: Path) -> None:
    """Of 10,762 tokens listed in July 2025 and August 2026, none carries a key to another."""
    take_real(staging, real_data, "NFO_2025-07", "2025-07-15")
    report = take_real(staging, real_data, "NFO_2026-08_b", "2026-08-10")
    assert (report.rows, report.listed, report.changed) == (34764, 34756, 8)
    both = "from instrument as a join instrument as b using ({}) where a.snapshot_id = 1 "
    tokens = both.format("instrument_token") + "and b.snapshot_id = 2 and not b.gone"
    assert ask(staging, "select count(distinct instrument_token) " + tokens) == [(10762,)]
    other = "and (a.tradingsymbol, a.expiry, a.strike) <> (b.tradingsymbol, b.expiry, b.strike)"
    assert ask(staging, "select * " + both.format("instrument_key") + other) == []
    _check_names(staging)


def test_a_real_dump_that_was_edited(staging: Staging, real_data: Path) -> None:
    """The row behind a # and those with a wrong exchange token are kept aside, the rest taken."""
    report = take_real(staging, real_data, "NSE_2024-01", "2024-01-15")
    assert (report.rows, report.listed) == (5675, 5668)
    rules = ask(staging, "select rule, split_part(raw, ',', 3) from instrument_quarantine")
    assert sorted(rules) == [
        ("bad_token", "SUZLON-BE"),
        ("duplicate_token", "ARE&M"),
        *(("token_mismatch", symbol) for symbol in ("ADANIPOWER", "ADANIPOWER-BE", "JBMA")),
        *(("token_mismatch", symbol) for symbol in ("SWSOLAR", "WELSPUNLIV")),
    ]


def test_real_renames_of_two_years(staging: Staging, real_data: Path) -> None:
    """From January 2024 to March 2026 no key is listed under two tokens, and renames are one."""
    take_real(staging, real_data, "NSE_2024-01", "2024-01-15")
    take_real(staging, real_data, "NSE_raw_2026-03-14", "2026-03-14")
    keys = ask(staging, "select instrument_key from instrument where not gone and snapshot_id = 2")
    assert len(keys) == len(set(keys))
    renamed = "select list(distinct tradingsymbol order by tradingsymbol) from instrument group by "
    pairs = [tuple(names) for (names,) in ask(staging, renamed + "instrument_key")]
    assert {("LTIM", "LTM"), ("LAXMIMACH", "LMW"), ("GOLD1", "KOTAKGOLD")} <= set(pairs)
    _check_names(staging)


def test_a_whole_dump_takes_seconds(staging: Staging) -> None:
    """The dump of all exchanges, 100,000 rows, all with another token the next day."""
    for day in (1, 2):
        rows = [line((day * 500_000 + i) * 256, f"SYM{i}", f"NAME {i}") for i in range(100_000)]
        data = dump(*rows)
        started = time.monotonic()
        report = take_snapshot(staging, data, "", dump_day(day))
        assert time.monotonic() - started < 20  # 1.5 s on an idle machine
    assert (report.listed, report.changed, report.gone) == (0, 100_000, 0)
