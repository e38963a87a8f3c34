"""The sandbox's dump: what it lists, when it changes, what becomes of tokens."""

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import requests

from kitepipe.model import IST, Instrument
from kitepipe.sandbox import Sandbox
from tests.sandbox_asking import NOW, ask, candles, refusal, sandbox


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as running:
        yield running


def test_the_dump_is_gzipped_csv_of_every_kind(kite: Sandbox) -> None:
    """Sixty rows: equities with odd symbols, indices, NFO and MCX contracts."""
    reply = requests.get(f"{kite.url}/instruments", timeout=10, stream=True)
    raw = reply.raw.read(decode_content=False)
    lines = gzip.decompress(raw).decode().split("\r\n")
    assert lines[0].startswith("instrument_token,exchange_token,tradingsymbol,name,last_price")
    assert (len(lines), lines[-1]) == (62, "")
    symbols = {line.split(",")[2] for line in lines[1:-1]}
    assert {"INFY", "M&M", "BAJAJ-AUTO", "NIFTY PSU BANK", "735TN30-SG"} <= symbols
    assert {line.split(",")[9] for line in lines[1:-1]} == {"EQ", "FUT", "CE", "PE"}
    assert {line.split(",")[11] for line in lines[1:-1]} == {"NSE", "NFO", "MCX"}


def test_the_dump_of_one_exchange_holds_no_other(kite: Sandbox) -> None:
    """/instruments/MCX lists MCX."""
    lines = requests.get(f"{kite.url}/instruments/MCX", timeout=10).text.splitlines()[1:]
    assert lines
    assert {line.rsplit(",", 1)[1] for line in lines} == {"MCX"}


def test_the_dump_changes_at_half_past_eight(kite: Sandbox) -> None:
    """A contract stays listed until the morning after its expiry; then its token is dead."""
    token = kite.token_of("NIFTY26NOVFUT")
    window = ("day", "2026-11-23 00:00:00", "2026-11-23 23:59:59")
    statuses = []
    for minute in (29, 30):
        kite.set_now(datetime(2026, 11, 24, 8, minute, tzinfo=IST))
        statuses.append(ask(kite, token, *window).status_code)
    assert statuses == [200, 400]


def test_a_contract_keeps_its_token_while_it_ages(kite: Sandbox) -> None:
    """The far month becomes the near month under the same token."""
    token = kite.token_of("NIFTY26DECFUT")
    kite.set_now(datetime(2026, 12, 10, 12, 0, tzinfo=IST))
    assert kite.token_of("NIFTY26DECFUT") == token


def test_a_token_is_reused_by_a_later_contract(kite: Sandbox) -> None:
    """Half a year later the dead token names another contract, as on Kite."""
    token = kite.token_of("NIFTY26NOVFUT")
    kite.set_now(datetime(2027, 4, 1, 12, 0, tzinfo=IST))
    assert kite.token_of("NIFTY27MAYFUT") == token


def test_listings_change_as_told(kite: Sandbox) -> None:
    """A listing, a delisting, a new symbol and a new token, the last two with the same history."""
    window = ("day", "2026-11-02", "2026-11-20")
    before = candles(kite, "INFY", *window)
    kite.rename("INFY", "INFOSYS")
    kite.move_token("NSE:INFOSYS", 777_217)
    kite.delist("TCS")
    kite.list_instrument(Instrument(5_121, "NSE", "NEWCO", segment="NSE"), price=50)
    assert candles(kite, 777_217, *window) == before
    dead = ask(kite, 408_065, "day", "2026-11-02 00:00:00", "2026-11-20 23:59:59")
    assert refusal(dead)[2] == "invalid token"
    symbols = requests.get(f"{kite.url}/instruments/NSE", timeout=10).text
    assert [f",{name}," in symbols for name in ("INFOSYS", "INFY", "TCS", "NEWCO")] == [
        True,
        False,
        False,
        True,
    ]
    assert len(candles(kite, "NEWCO", *window)) == len(before)


def test_a_change_waits_for_its_instant(kite: Sandbox) -> None:
    """`at` lets a token move while a run is under way."""
    kite.move_token("INFY", 777_217, at=NOW + timedelta(minutes=1))
    assert kite.token_of("INFY") == 408_065
    kite.set_now(NOW + timedelta(minutes=1))
    assert kite.token_of("INFY") == 777_217
