"""Claims about instruments: which key each belongs to, whatever token and symbol it bears."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitepipe.errors import StagingError
from kitepipe.staging import Staging
from kitepipe.staging_instruments import (
    take_snapshot,
)
from kitepipe.summary import SnapshotReport
from tests.staging_help import API_ROOT, HEADER, Rows, dump, dump_day, line, listed, take

INFY = line(408065, "INFY", "INFOSYS")
TCS = line(2953217, "TCS", "TATA CONSULTANCY SERV LT")


def contract(token: int, symbol: str, expiry: str, strike: int = 0, kind: str = "FUT") -> str:
    """Write a row of an NFO contract."""
    other = {"expiry": expiry, "strike": strike, "instrument_type": kind, "segment": "NFO-FUT"}
    return line(token, symbol, "NIFTY", "NFO", **other)


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """A new staging file."""
    with Staging.write(tmp_path / "kitepipe.duckdb", API_ROOT) as staging:
        yield staging


def counts(report: SnapshotReport) -> tuple[int, int, int, int]:
    """Return rows, listed, changed and gone."""
    return report.rows, report.listed, report.changed, report.gone


def ask(staging: Staging, query: str) -> Rows:
    """Return the rows of a query."""
    with staging.cursor() as cursor:
        return cursor.execute(query).fetchall()


def quarantined(staging: Staging) -> Rows:
    """Return rule and text of the rows that were no instruments."""
    return ask(staging, "select rule, raw from instrument_quarantine order by 1, 2")


def test_the_first_dump_lists_all(staging: Staging) -> None:
    """Every row of the first dump is a new instrument, under a key of its own."""
    assert counts(take(staging, 1, INFY, TCS)) == (2, 2, 0, 0)
    assert sorted(listed(staging)) == ["INFY", "TCS"]
    assert len(set(listed(staging).values())) == 2


def test_the_same_dump_again_changes_nothing(staging: Staging) -> None:
    """A dump without news is a snapshot and no row of instruments."""
    take(staging, 1, INFY, TCS)
    before = ask(staging, "from instrument order by all")
    assert counts(take(staging, 2, TCS, INFY)) == (2, 0, 0, 0)
    assert ask(staging, "from instrument order by all") == before
    assert ask(staging, "select count(*), count(distinct sha256) from snapshot") == [(2, 2)]


def test_a_rename_keeps_the_key(staging: Staging) -> None:
    """The token stays: the instrument has another symbol and name, and the same history."""
    take(staging, 1, line(884737, "TATAMOTORS", "TATA MOTORS"))
    key = listed(staging)["TATAMOTORS"]
    assert counts(take(staging, 2, line(884737, "TMPV", "TATA MOTORS PASS VEH"))) == (1, 0, 1, 0)
    assert listed(staging) == {"TMPV": key}


@pytest.mark.parametrize(
    ("before", "after"),
    [("ABC", "ABC-BE"), ("ABC-BE", "ABC"), ("ABC-SM", "ABC-ST"), ("ABC-SM", "ABC"), ("ABC", "ABC")],
)
def test_a_change_of_series_keeps_the_key(staging: Staging, before: str, after: str) -> None:
    """The token is gone, a new one has the symbol less its series and the name: the same share."""
    take(staging, 1, INFY, line(257, before, "ABC LTD"))
    key = listed(staging)[before]
    assert counts(take(staging, 2, INFY, line(513, after, "ABC LTD"))) == (2, 0, 1, 0)
    assert listed(staging)[after] == key


def test_a_change_of_series_may_take_days(staging: Staging) -> None:
    """Gone for some dumps, then back with another token and series: still the same share."""
    take(staging, 1, INFY, line(257, "ABC", "ABC LTD"))
    key = listed(staging)["ABC"]
    assert counts(take(staging, 2, INFY)) == (1, 0, 0, 1)
    take(staging, 9, INFY, line(513, "ABC-BE", "ABC LTD"))
    assert listed(staging)["ABC-BE"] == key


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('ABC,"ABC LTD"', 'ABC-BE,"ANOTHER LTD"'),
        ('ABC,"ABC LTD"', 'ABD,"ABC LTD"'),
        ('ABC-W1,"ABC LTD"', 'ABC,"ABC LTD"'),
        ('ABC-RE,"ABC LTD"', 'ABC,"ABC LTD"'),
        ('ABC-P1,"ABC LTD"', 'ABC-BE,"ABC LTD"'),
        ("ABC-N1,", "ABC-N2,"),
        ("ABC,", "ABC-BE,"),
    ],
)
def test_another_instrument_gets_a_key_of_its_own(
    staging: Staging, before: str, after: str
) -> None:
    """No name, another name or another suffix: nothing says that it is the same share."""
    (old, old_name), (new, new_name) = before.split(","), after.split(",")
    take(staging, 1, INFY, line(257, old, old_name.strip('"')))
    key = listed(staging)[old]
    assert counts(take(staging, 2, INFY, line(513, new, new_name.strip('"')))) == (2, 1, 0, 1)
    assert listed(staging)[new] != key


def test_a_paper_beside_the_share_does_not_take_its_key(staging: Staging) -> None:
    """A share that moved from -BE lives on; another paper of its base and name is another."""
    take(staging, 1, line(257, "ABC-BE", "ABC LTD"))
    take(staging, 2, line(513, "ABC", "ABC LTD"))
    key = listed(staging)["ABC"]
    take(staging, 3, line(513, "ABC", "ABC LTD"), line(769, "ABC-SM", "ABC LTD"))
    assert listed(staging)["ABC"] == key
    assert listed(staging)["ABC-SM"] != key


def test_a_series_is_kept_through_a_token_that_was_another_s(staging: Staging) -> None:
    """A share may move to a token that somebody else left long ago."""
    take(staging, 1, line(257, "OLD", "OLD LTD"), line(513, "ABC", "ABC LTD"))
    key = listed(staging)["ABC"]
    take(staging, 2, line(513, "ABC", "ABC LTD"))
    take(staging, 3, line(257, "ABC-BE", "ABC LTD"))
    assert listed(staging) == {"ABC-BE": key}


def test_a_relisted_instrument_has_its_key_again(staging: Staging) -> None:
    """Gone and back with token and name: the same instrument, even under another symbol."""
    take(staging, 1, INFY, line(257, "ABC", "ABC LTD"))
    key = listed(staging)["ABC"]
    take(staging, 2, INFY)
    assert "ABC" not in listed(staging)
    assert counts(take(staging, 3, INFY, line(257, "ABCNEW", "ABC LTD"))) == (2, 0, 1, 0)
    assert listed(staging)["ABCNEW"] == key


@pytest.mark.parametrize("name", ["", "XYZ LTD"])
def test_a_token_that_was_gone_may_be_another_s(staging: Staging, name: str) -> None:
    """A token that comes back with another symbol and name belongs to another instrument."""
    take(staging, 1, INFY, line(257, "ABC", name and "ABC LTD"))
    key = listed(staging)["ABC"]
    take(staging, 2, INFY)
    assert counts(take(staging, 3, INFY, line(257, "XYZ", name))) == (2, 1, 0, 0)
    assert listed(staging)["XYZ"] != key


def test_a_token_of_a_dead_contract_is_another_contract(staging: Staging) -> None:
    """A contract is its symbol, expiry, strike and type: its token says nothing."""
    take(staging, 1, contract(258, "NIFTY26MARFUT", "2026-03-31"), exchange="NFO")
    key = listed(staging)["NIFTY26MARFUT"]
    take(staging, 2, contract(258, "NIFTY26JUNFUT", "2026-06-30"), exchange="NFO")
    assert listed(staging)["NIFTY26JUNFUT"] != key


def test_a_contract_keeps_its_key_under_another_token(staging: Staging) -> None:
    """The same contract with a new token is the same contract."""
    take(staging, 1, contract(258, "NIFTY26JUNFUT", "2026-06-30"), exchange="NFO")
    key = listed(staging)["NIFTY26JUNFUT"]
    take(staging, 2, contract(514, "NIFTY26JUNFUT", "2026-06-30"), exchange="NFO")
    assert listed(staging) == {"NIFTY26JUNFUT": key}


def test_gone_is_told_for_the_dump_s_own_exchange(staging: Staging) -> None:
    """A dump of NSE says nothing of BSE; the dump of all exchanges says something of all."""
    bse = line(128000004, "INFY", "INFOSYS", "BSE")
    take(staging, 1, INFY, TCS, bse, exchange="")
    assert counts(take(staging, 2, INFY, exchange="NSE")) == (1, 0, 0, 1)
    assert counts(take(staging, 3, bse, exchange="")) == (1, 0, 0, 1)


def test_an_instrument_in_a_bad_row_is_not_gone(staging: Staging) -> None:
    """A row that cannot be read today does not end what is listed."""
    take(staging, 1, INFY, TCS)
    report = take(staging, 2, INFY, TCS + ",one,more")
    assert counts(report) == (2, 0, 0, 0)
    assert report.warnings == ["1 rows of the dump are no instruments (instrument_quarantine)"]
    assert sorted(listed(staging)) == ["INFY", "TCS"]


BAD = {
    "bad_token": "abc,1,X,,0,,0,0,1,EQ,NSE,NSE",
    "bad_token of nobody": line(-255, "X"),
    "bad_token in a comment": "# " + TCS,
    "missing_symbol": line(257, ""),
    "missing_exchange": line(257, "X", exchange=""),
    "bad_expiry": line(257, "X", expiry="2026-02-30"),
    "token_mismatch": line(257, "X", exchange_token=2),
    "duplicate_token": line(408065, "X"),
    "duplicate_symbol": line(257, "INFY"),
    "bad_csv": line(257, "X") + ",more",
    "missing_exchange where cut": "257,1,X",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_kept_aside(staging: Staging, what: str) -> None:
    """A row that is no instrument is kept with its rule; the rest of the dump is taken."""
    assert counts(take(staging, 1, INFY, BAD[what])) == (2, 1, 0, 0)
    assert list(listed(staging)) == ["INFY"]
    [(rule, raw)] = quarantined(staging)
    assert rule == what.partition(" ")[0]
    assert raw.split(",")[:3] == BAD[what].split(",")[:3]


@pytest.mark.parametrize(
    "page",
    [
        *(
            b"",
            b"<html>\n<body>Bad gateway</body>\n</html>\n",
            b'{"status":"error"}',
            b"a,b\n1,2\n",
        ),
        *(HEADER.encode(), dump("1,2,3"), dump(INFY).replace(b"tradingsymbol", b"symbol")),
    ],
)
def test_what_is_no_dump_ends_nothing(staging: Staging, page: bytes) -> None:
    """A page that is no dump, or an empty one, is an error, and nothing listed is gone."""
    take(staging, 1, INFY, TCS)
    with pytest.raises(StagingError, match=r"instruments dump of NSE: .* try again later"):
        take_snapshot(staging, page, "NSE", dump_day(2))
    assert sorted(listed(staging)) == ["INFY", "TCS"]
    assert ask(staging, "select count(*) from snapshot") == [(1,)]


def test_columns_are_known_by_name(staging: Staging) -> None:
    """Kite may add a column, or reorder them: each is still what its name says."""
    rows = [row.split(",") for row in (HEADER, INFY, TCS)]
    moved = "\r\n".join(",".join(["new", *reversed(row)]) for row in rows)
    take(staging, 1, INFY, TCS)
    report = take_snapshot(staging, b"\xef\xbb\xbf" + moved.encode(), "NSE", dump_day(2))
    assert counts(report) == (2, 0, 0, 0)
