"""Identity from Kite to the view: no candle of one instrument is ever shown under another."""

import csv
import os
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from zlib import crc32

import pytest

from kitepipe import pipeline
from kitepipe.model import Instrument
from kitepipe.plan import Bounds
from kitepipe.progress import Silent
from kitepipe.sandbox import Sandbox
from kitepipe.summary import RunReport
from tests.box_help import Box
from tests.fetch_help import asked
from tests.sandbox_asking import AUTHORIZATION, ist, sandbox
from tests.sandbox_asking import candles as served
from tests.servers import Look, Rows
from tests.servers_local import free_port

START, LATER = ist(2026, 11, 18, 20), ist(2026, 11, 20, 20)
SINCE = Bounds(first=date(2026, 11, 2))
NAMES = (
    "select n.tradingsymbol, n.instrument_token, n.valid_from, n.valid_to "
    "from kite_instrument_names as n where instrument_id = %s order by valid_from"
)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An API key of the test's own."""
    key = f"key{tmp_path.name}{os.getpid()}"
    monkeypatch.setitem(AUTHORIZATION, "Authorization", f"token {key}:sandbox_token")
    return key


@pytest.fixture
def kite(key: str) -> Iterator[Sandbox]:
    """A sandbox on a Wednesday evening."""
    with sandbox(api_key=key, other_rate_limit=1000, now=START) as server:
        yield server


@pytest.fixture
def box(kite: Sandbox, tmp_path: Path, warehouse_dsn: str) -> Box:
    """A box with an empty warehouse."""
    return Box(tmp_path, kite, warehouse_dsn)


def run(box: Box, *symbols: str, bounds: Bounds = SINCE) -> RunReport:
    """Run over these tradingsymbols by the sandbox's clock."""
    settings = box.settings(tradingsymbols=symbols)
    return pipeline.run(settings, bounds, Silent(), clock=lambda: box.kite.now)


def table(look: Look, symbol: str) -> Rows:
    """Return what the view shows under a symbol: date and close."""
    query = "select trade_date, close from kite_ohlcv where tradingsymbol = %s order by 1"
    return look(query, symbol)


def truth(kite: Sandbox, symbol: str, first: str, last: str) -> Rows:
    """Return what Kite serves under a symbol now: date and close."""
    rows = served(kite, symbol, "day", first, last)
    return [(date.fromisoformat(row[0][:10]), row[4]) for row in rows]


def ids(look: Look) -> dict[str, int]:
    """Return the id of each instrument of which there is a candle, by its newest symbol."""
    query = "select tradingsymbol, instrument_id from kite_series join kite_instruments using "
    return dict(look(query + "(instrument_id)"))


def test_a_renamed_share_keeps_its_history(box: Box, kite: Sandbox, look: Look) -> None:
    """One id, all candles under the new symbol, and both names with their periods."""
    run(box, "NSE:INFY")
    before, token = ids(look)["INFY"], kite.token_of("NSE:INFY")
    kite.rename("NSE:INFY", "INFOSYS", at=ist(2026, 11, 20, 8, 30))
    kite.set_now(LATER)
    run(box, "NSE:INFOSYS")
    assert ids(look) == {"INFOSYS": before}
    assert table(look, "INFOSYS") == truth(kite, "NSE:INFOSYS", "2026-11-02", "2026-11-20")
    assert look(NAMES, before) == [
        ("INFY", token, date(2026, 11, 18), date(2026, 11, 20)),
        ("INFOSYS", token, date(2026, 11, 20), None),
    ]


def test_a_change_of_series_moves_the_token_and_nothing_else(
    box: Box, kite: Sandbox, look: Look
) -> None:
    """Out of trade to trade: another symbol and token, the same share, asked by the new one."""
    old, new = kite.token_of("NSE:CENTRALBK-BE"), 99_999 * 256 + 1
    run(box, "NSE:CENTRALBK-BE")
    before = ids(look)["CENTRALBK-BE"]
    at = ist(2026, 11, 19, 8, 30)
    kite.move_token("NSE:CENTRALBK-BE", new, at=at)
    kite.rename("NSE:CENTRALBK-BE", "CENTRALBK", at=at)
    kite.set_now(LATER)
    kite.clear_log()
    assert run(box, "NSE:CENTRALBK*").exit_code == 0
    assert {told.token for told in asked(kite)} == {new}
    assert ids(look) == {"CENTRALBK": before}
    assert table(look, "CENTRALBK") == truth(kite, "NSE:CENTRALBK", "2026-11-02", "2026-11-20")
    assert [row[:2] for row in look(NAMES, before)] == [("CENTRALBK-BE", old), ("CENTRALBK", new)]


def test_a_token_that_another_share_was_given_is_another_instrument(
    box: Box, kite: Sandbox, look: Look
) -> None:
    """The old one ends, the new one begins; each has its own candles and its own id."""
    token = 88_888 * 256 + 1
    old = Instrument(token, "NSE", "OLDCO", "OLD COMPANY", segment="NSE", exchange_token=88_888)
    new = Instrument(token, "NSE", "NEWCO", "NEW COMPANY", segment="NSE", exchange_token=88_888)
    kite.list_instrument(old, price=100)
    run(box, "NSE:*CO")
    first = table(look, "OLDCO")
    kite.delist("NSE:OLDCO", at=ist(2026, 11, 19, 8, 30))
    kite.set_now(ist(2026, 11, 19, 20))
    run(box, "NSE:*CO", "NSE:INFY")
    kite.list_instrument(new, price=7000, at=ist(2026, 11, 20, 8, 30))
    kite.set_now(LATER)
    run(box, "NSE:*CO")
    assert table(look, "OLDCO") == first
    assert table(look, "NEWCO") == truth(kite, "NSE:NEWCO", "2026-11-02", "2026-11-20")
    assert len({ids(look)["OLDCO"], ids(look)["NEWCO"]}) == 2
    assert look(NAMES, ids(look)["OLDCO"])[0][3] == date(2026, 11, 19)


def test_the_token_of_an_expired_contract_names_another_one_later(
    box: Box, kite: Sandbox, look: Look
) -> None:
    """An expired future's token names another one months later: both stand apart."""
    token = kite.token_of("NFO:NIFTY26NOVFUT")
    kite.set_now(ist(2026, 11, 23, 20))
    assert run(box, "NFO:NIFTY26NOVFUT").exit_code == 0
    november = truth(kite, "NFO:NIFTY26NOVFUT", "2026-11-02", "2026-11-23")
    kite.set_now(ist(2027, 3, 5, 20))
    assert kite.token_of("NFO:NIFTY27MAYFUT") == token
    run(box, "NFO:NIFTY2?*FUT", bounds=Bounds(first=date(2026, 11, 2)))
    assert table(look, "NIFTY26NOVFUT") == november
    may = truth(kite, "NFO:NIFTY27MAYFUT", "2026-11-02", "2027-03-05")
    assert table(look, "NIFTY27MAYFUT") == may
    assert look("select count(distinct instrument_id) from kite_instrument_names "
                "where instrument_token = %s", token) == [(2,)]  # fmt: skip


OLD_DUMP, NEW_DUMP = "NFO_2025-07.csv", "NFO_2026-08_b.csv"
Contract = dict[str, str]
DAYS = {
    2025: [date(2025, 7, 28) + timedelta(days=number) for number in range(3)],
    2026: [date(2026, 8, 3) + timedelta(days=number) for number in range(3)],
}


def contracts(dump: Path) -> dict[str, Contract]:
    """Return the rows of a dump by token."""
    with dump.open(encoding="utf-8", newline="") as lines:
        return {row["instrument_token"]: row for row in csv.DictReader(lines)}


def serve(folder: Path, rows: list[Contract], candles: Sequence[Rows]) -> Path:
    """Write a folder for the sandbox: the rows of its dump, and the candles of each."""
    (folder / "day").mkdir(parents=True)
    with (folder / "instruments.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row, some in zip(rows, candles, strict=True):
        text = [f"{day}T00:00:00+05:30,{p},{p},{p},{p},1,1" for _, day, p in some]
        file = folder / "day" / f"NFO-{row['tradingsymbol']}.csv"
        file.write_text("\n".join(["date,open,high,low,close,volume,oi", *text, ""]))
    return folder


def candles_of(row: Contract, year: int) -> Rows:
    """Return three candles of a year; no other contract, and no other year, has their price."""
    symbol = row["tradingsymbol"]
    return [(symbol, day, close_of(row, year)) for day in DAYS[year]]


def close_of(row: Contract, year: int) -> float:
    """Return the price of a contract in a year, which no other of the test has."""
    return float(f"{crc32(row['tradingsymbol'].encode()) % 10**6 + 1}.{year % 100}")


def test_real_contracts_that_share_tokens_a_year_apart(
    key: str, tmp_path: Path, warehouse_dsn: str, look: Look, real_data: Path
) -> None:
    """NFO of July 2025, then of August 2026: what has a token twice is two instruments."""
    old = contracts(real_data / "dumps" / OLD_DUMP)
    new = contracts(real_data / "dumps" / NEW_DUMP)
    both = sorted(old.keys() & new.keys())
    terms = ("tradingsymbol", "expiry", "strike", "instrument_type")
    same = [t for t in both if all(old[t][name] == new[t][name] for name in terms)]
    tokens = [token for token in both if token not in same][:: len(both) // 40] + same[:5]
    alive = [t for t in tokens if old[t]["expiry"] >= "2025-07-31"]
    port, expected = free_port(), set[tuple[object, ...]]()
    for year, dump in ((2025, old), (2026, new)):
        rows = [dump[token] for token in alive]
        traded = [candles_of(row, year) for row in rows]
        if year == 2026:  # what lives on has its history of the year before
            older = [candles_of(old[t], 2025) if t in same else [] for t in alive]
            traded = [[*a, *b] for a, b in zip(older, traded, strict=True)]
        folder = serve(tmp_path / str(year), rows, traded)
        expected |= {candle for some in traded for candle in some}
        now = ist(year, DAYS[year][-1].month, DAYS[year][-1].day, 20)
        options = {"api_key": key, "other_rate_limit": 1000, "port": port, "data": folder}
        with sandbox(now=now, **options) as kite:
            box = Box(tmp_path, kite, warehouse_dsn)
            report = run(box, "NFO:*", bounds=Bounds(first=date(2025, 7, 1)))
        assert (report.load.new, report.load.gone) == (len(alive) * 3, 0)
    found = look("select tradingsymbol, trade_date, close from kite_ohlcv")
    assert (set(found), len(found)) == (expected, len(expected))
    assert len({close for _, _, close in expected}) == 2 * len(alive)
    shown = look("select tradingsymbol, expiry, count(*) from kite_instruments group by 1, 2")
    assert {row[2] for row in shown} == {1}
    twice = look(
        "select instrument_token, array_agg(valid_from order by valid_from), "
        "(array_agg(valid_to order by valid_from))[1] from kite_instrument_names "
        "group by 1 having count(*) = 2"
    )
    assert {str(row[0]) for row in twice} == set(alive) - set(same)
    for _, begins, ended in twice:
        assert begins[1] == ended == DAYS[2026][-1]
