"""What a database remembers of itself: where its candles are from, and of when."""

from datetime import UTC, datetime

import pytest

from kitepipe.errors import UsageError
from kitepipe.model import Interval
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_rows import ReplyCounts
from tests.servers import Look
from tests.warehouse_help import entry, name

KITE = "https://api.kite.trade"


def test_as_of_goes_only_where_it_is_true(plain_dsn: str, look: Look) -> None:
    """--as-of is for a database that is empty or was filled so, and never earlier than it holds."""
    early, late = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    with DatabaseManager(plain_dsn) as db:
        db.apply_schema()
        for moment in (late, early, late, None, early):
            db.claim(KITE, moment)  # still empty: anything is true
            assert db.setup().as_of == moment
        instrument_id = db.sync_instruments("s1", [name(7, 408065, "INFY")])[7]
        with db.series(instrument_id, Interval.DAY) as series:
            series.claim([entry()])
            series.finish({("s1", 1): ReplyCounts()})
        before = look("select xmin::text from kite_setup")
        db.claim(KITE, early)
        assert look("select xmin::text from kite_setup") == before
        db.claim(KITE, late)
        for otherwise in (early, None):
            with pytest.raises(UsageError, match=r"filled as of 2024-02-01T00:00:00\+00:00: use"):
                db.claim(KITE, otherwise)
        assert db.setup().as_of == late
        look("update kite_setup set as_of = null")
        db.claim(KITE)
        with pytest.raises(UsageError, match="needs a database that is empty"):
            db.claim(KITE, late)


def test_candles_of_two_sources_are_never_mixed(plain_dsn: str) -> None:
    """Nor are a sandbox's with Kite's; the sandbox may come back at another port."""
    one, again = "http://127.0.0.1:4001", "http://localhost:4002"
    with DatabaseManager(plain_dsn) as db:
        db.apply_schema()
        for root in (KITE, one):
            db.claim(root)  # still empty
        instrument_id = db.sync_instruments("s1", [name(7, 408065, "INFY")])[7]
        with db.series(instrument_id, Interval.DAY) as series:
            series.claim([entry()])
            series.finish({("s1", 1): ReplyCounts()})
        db.claim(again)
        with pytest.raises(UsageError, match=r"of a sandbox on this machine, and these are of htt"):
            db.claim(KITE)
        assert db.setup() == (None, "a sandbox on this machine")
