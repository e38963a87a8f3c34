"""Adopt what the warehouse already covers, for series of which staging knows nothing yet.

Done once per series: afterwards staging knows by itself, also that there was nothing. The
warehouse's last session comes along, so that a history that was re-based since shows itself.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from kitepipe.errors import SchemaMissing, WarehouseError
from kitepipe.model import IST, Series
from kitepipe.sessions import utc_bounds
from kitepipe.sql import load
from kitepipe.staging import Cursor, naive, transaction
from kitepipe.staging_series import key_of, side_by_side
from kitepipe.warehouse import DatabaseManager
from kitepipe.warehouse_reads import SeriesCoverage
from kitepipe.warehouse_schema import check_source

log = logging.getLogger(__name__)


def adopt_coverage(cursor: Cursor, dsn: str, api_root: str, series: Sequence[Series]) -> int:
    """Note in staging what the warehouse has of `series`; return how many it has something of.

    Of the others it is noted that nothing was there. A database without kitepipe's tables has
    nothing, and nothing is noted: it may be the wrong one. One with candles of another source is a
    UsageError. One that cannot be reached is a WarehouseError with advice, unless all are new
    listings: asking everything again would cost hours.
    """
    try:
        with DatabaseManager(dsn) as warehouse:
            warehouse.check_schema()
            check_source(warehouse.setup().source, api_root)
            known = {_identity(covered): covered for covered in _useful(warehouse)}
            found = [
                (one, covered, _last_session(warehouse, covered))
                for one in series
                if (covered := known.get(_identity(one)))
            ]
    except SchemaMissing:
        return 0
    except WarehouseError as error:
        if _newly_listed(cursor).issuperset(one.instrument_key for one in series):
            log.warning("%s; asked whole: %d series, newly listed", error, len(series))
            return 0
        raise WarehouseError(
            f"{error}; staging has nothing of {len(series)} series and the warehouse may have it "
            "all: bring it up, or use --from-scratch to ask everything again"
        ) from error
    there = {key_of(one) for one, _, _ in found}
    with transaction(cursor):
        for one, covered, candles in found:
            _note(cursor, one, covered, candles)
        nothing = [key for one in series if (key := key_of(one)) not in there]
        cursor.execute(load("staging_insert_warehouse_nothing"), side_by_side(nothing))
    if found:
        log.info("%d series are covered in the warehouse already", len(found))
    return len(found)


def _useful(warehouse: DatabaseManager) -> Iterable[SeriesCoverage]:
    return (c for c in warehouse.series_coverage() if c.settled and c.last_success)


def _identity(of: Series | SeriesCoverage) -> tuple[object, ...]:
    """Tell instruments apart as the warehouse does: a contract by its terms, the rest by token.

    The name must be the same too, for a token may have passed to another share meanwhile: a
    renamed one is asked again, which costs requests and no candle. A continuous future is known by
    its underlying's name.
    """
    instrument = of.instrument
    if of.continuous:
        return (instrument.exchange, instrument.name, of.interval, True)
    contract = (instrument.tradingsymbol, instrument.strike, instrument.instrument_type)
    share = (instrument.instrument_token, instrument.name or instrument.tradingsymbol)
    terms = contract if instrument.expiry else share
    return (instrument.exchange, instrument.expiry, terms, of.interval, of.continuous)


def _newly_listed(cursor: Cursor) -> set[int]:
    """Return the instruments that came to their exchange's list since its first dump here."""
    return {key for (key,) in cursor.execute(load("staging_select_newly_listed")).fetchall()}


def _last_session(warehouse: DatabaseManager, coverage: SeriesCoverage) -> Mapping[str, Any]:
    day = coverage.last_session
    if day is None:
        return {}
    return warehouse.candles(coverage.instrument_id, coverage.interval, *utc_bounds(day, day))


def _note(
    cursor: Cursor, series: Series, coverage: SeriesCoverage, candles: Mapping[str, Any]
) -> None:
    first = coverage.first.astimezone(IST).date() if coverage.first else None
    session = coverage.last_session
    has_oi = bool(candles) and bool(np.ma.count(candles["oi"]))
    for window in coverage.settled:
        holds = session is not None and session in window
        cursor.execute(
            load("staging_insert_warehouse_coverage"),
            {
                "instrument_key": series.instrument_key,
                "interval": series.interval.value,
                "continuous": series.continuous,
                "oi": has_oi,
                "first_date": window.first,
                "last_date": window.last,
                "first_candle": first,
                "last_candle": session if holds else None,
                "fetched_at": naive(coverage.last_success),
                "body": _body(candles) if holds else "",
            },
        )


def _body(candles: Mapping[str, Any]) -> str:
    """Write candles in the form of a reply."""
    names = ("open", "high", "low", "close", "volume")
    columns = [candles["at_us"].tolist(), *(candles[name].tolist() for name in names)]
    rows = [[_stamp(at_us), *values] for at_us, *values in zip(*columns, strict=True)]
    return json.dumps({"status": "success", "data": {"candles": rows}})


def _stamp(at_us: int) -> str:
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(IST)
    return f"{at:%Y-%m-%dT%H:%M:%S}+0530"
