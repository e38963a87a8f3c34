"""The sandbox's made-up history: sessions, grouping, the clock, speed."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.model import IST, Interval
from kitepipe.sandbox import Sandbox
from kitepipe.sandbox.market import Market
from kitepipe.sandbox.query import parse_query
from tests.sandbox_asking import NOW, Candle, candles, ist, sandbox


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """A sandbox that no test changes."""
    with sandbox() as running:
        yield running


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox of one's own, for tests that change it."""
    with sandbox() as running:
        yield running


def _stamps(found: list[Candle]) -> list[str]:
    return [one[0] for one in found]


def _times(of: Sandbox, symbol: str, interval: str, day: str) -> list[str]:
    return [stamp[11:16] for stamp in _stamps(candles(of, symbol, interval, day, day))]


def test_every_candle_is_possible(shared: Sandbox) -> None:
    """Low to high holds open and close, prices are positive, dates rise."""
    for row in shared.market.listing.current(NOW).values():
        for interval in ("minute", "day"):
            found = candles(shared, str(row.instrument), interval, "2026-11-02", "2026-11-20")
            assert _stamps(found) == sorted(set(_stamps(found)))
            for _, open_, high, low, close, volume in found:
                assert 0 < low <= min(open_, close) <= max(open_, close) <= high
                assert volume >= 0


def test_indices_have_no_volume(shared: Sandbox) -> None:
    """As on Kite, always."""
    found = candles(shared, "NIFTY 50", "5minute", "2026-11-16", "2026-11-20")
    assert {one[5] for one in found} == {0}


@pytest.mark.parametrize(
    ("symbol", "day", "first", "last", "count"),
    [
        ("INFY", "2026-07-31", "09:15", "15:29", 375),
        ("NIFTY 50", "2026-10-05", "09:15", "15:29", 375),
        ("INFY", "2026-10-05", "09:15", "15:34", 361),
        ("NIFTY26NOVFUT", "2026-10-05", "09:15", "15:39", 385),
        ("CRUDEOIL26DECFUT", "2026-10-05", "09:00", "23:29", 870),
        ("CRUDEOIL26DECFUT", "2026-11-19", "09:00", "23:54", 895),
        ("INFY", "2025-10-21", "13:45", "14:44", 60),
        ("INFY", "2024-03-02", "09:15", "12:29", 105),
        ("INFY", "2026-02-01", "09:15", "15:29", 375),
    ],
)
def test_sessions_open_and_close_as_the_exchanges_do(
    shared: Sandbox, symbol: str, day: str, first: str, last: str, count: int
) -> None:
    """The later closes since 2026-08-03, MCX's evening, Muhurat, Saturdays, a Sunday."""
    times = _times(shared, symbol, "minute", day)
    assert (times[0], times[-1], len(times)) == (first, last, count)


def test_holidays_and_weekends_have_no_candles(shared: Sandbox) -> None:
    """2026-10-02 is a holiday, 3 and 4 a weekend: an empty answer, no error."""
    assert candles(shared, "INFY", "minute", "2026-10-02", "2026-10-04") == []
    assert candles(shared, "INFY", "day", "2026-10-02", "2026-10-04") == []


def test_the_real_reply_of_a_day_has_this_shape(shared: Sandbox) -> None:
    """A NIFTY future on 2026-10-05, 5minute: 77 candles from 09:15 to 15:35."""
    times = _times(shared, "NIFTY26NOVFUT", "5minute", "2026-10-05")
    assert (len(times), times[0], times[-1]) == (77, "09:15", "15:35")


def test_history_begins_late(shared: Sandbox) -> None:
    """Day candles since 1995 or the listing, minutes since 2015; before that, nothing."""
    assert _stamps(candles(shared, "RELIANCE", "day", "1995-01-01", "1995-01-31"))[0] < "1995-01-05"
    assert candles(shared, "ETERNAL", "day", "2018-01-01", "2021-07-22") == []
    assert candles(shared, "ETERNAL", "day", "2021-07-23", "2021-07-23")
    assert candles(shared, "RELIANCE", "minute", "2014-12-15", "2015-01-31") == []
    assert candles(shared, "RELIANCE", "minute", "2015-04-01", "2015-04-30")


def test_minutes_without_a_trade_were_filled_once(shared: Sandbox) -> None:
    """An illiquid symbol has flat zero-volume candles in 2016 and holes in 2026."""
    old = candles(shared, "CENTRALBK-BE", "minute", "2016-10-03", "2016-10-07")
    new = candles(shared, "CENTRALBK-BE", "minute", "2026-10-05", "2026-10-09")
    assert len(old) % 375 == 0
    assert all(one[1] == one[2] == one[3] == one[4] for one in old if one[5] == 0)
    assert any(one[5] == 0 for one in old)
    assert all(one[5] > 0 for one in new)
    assert len(new) % 375 != 0


@pytest.mark.parametrize("interval", [one for one in Interval if one is not Interval.DAY])
def test_larger_candles_are_grouped_from_minutes(shared: Sandbox, interval: Interval) -> None:
    """Anchored at the session's open: 60minute candles stand at 09:15, 10:15 ..."""
    window = ("2026-11-17", "2026-11-18")
    size = interval.minutes
    groups: dict[str, list[Candle]] = {}
    for one in candles(shared, "NIFTY26NOVFUT", "minute", *window, oi=1):
        at = datetime.fromisoformat(one[0])
        since = (at - at.replace(hour=9, minute=15)) // timedelta(minutes=size)
        opened = at.replace(hour=9, minute=15) + since * timedelta(minutes=size)
        groups.setdefault(f"{opened:%FT%T%z}", []).append(one)
    expected = [
        [
            stamp,
            some[0][1],
            max(one[2] for one in some),
            min(one[3] for one in some),
            some[-1][4],
            sum(one[5] for one in some),
            some[-1][6],
        ]
        for stamp, some in groups.items()
    ]
    assert candles(shared, "NIFTY26NOVFUT", interval, *window, oi=1) == expected


def test_a_boundary_inside_a_candle_truncates_it(shared: Sandbox) -> None:
    """Why kitepipe's windows are whole days: this candle is wrong for ever."""
    day = "2026-11-20"
    whole = candles(shared, "INFY", "60minute", day, day)[1]
    cut = candles(shared, "INFY", "60minute", f"{day} 10:30:00", f"{day} 11:00:00")[0]
    assert (cut[0], whole[0]) == (f"{day}T10:15:00+0530",) * 2
    assert cut[5] < whole[5]


def test_a_day_candle_is_not_the_sum_of_its_minutes(shared: Sandbox) -> None:
    """The official close is another than the last trade on most days, and equal on some."""
    days = {one[0][:10]: one for one in candles(shared, "INFY", "day", "2026-10-01", "2026-11-20")}
    last = {
        one[0][:10]: one for one in candles(shared, "INFY", "minute", "2026-10-01", "2026-11-20")
    }
    same = [days[day][4] == last[day][4] for day in days]
    assert True in same
    assert same.count(False) > len(same) / 2


_INSTANTS = st.datetimes(
    ist(2015, 1, 1).replace(tzinfo=None), ist(2026, 11, 20).replace(tzinfo=None)
).map(lambda when: when.replace(tzinfo=IST))


@given(_INSTANTS, st.sampled_from(["INFY", "NIFTY BANK", "EMMBI-BL"]), st.sampled_from(Interval))
def test_the_past_never_depends_on_the_clock(
    shared: Sandbox, now: datetime, symbol: str, interval: Interval
) -> None:
    """What was over at any instant reads the same now, whatever the window."""
    token = str(shared.token_of(symbol))
    first = now.date() - timedelta(days=min(interval.max_days - 1, 30))
    params = {"from": f"{first} 00:00:00", "to": f"{now.date()} 23:59:59"}
    query = parse_query(token, interval, params, {})
    market = Market(shared.options)
    row = market.listing.find(symbol, NOW)
    then = _split(market.candle_rows(row.spec, query, now))
    final = _split(market.candle_rows(row.spec, query, NOW))
    over = now - timedelta(minutes=interval.minutes, seconds=700)
    settled = [one for one in final if _opened(one) < over]
    assert then[: len(settled)] == settled
    assert len(then) - len(settled) <= 15


def _split(rows: bytes) -> list[str]:
    return [f"[{one}]" for one in rows.decode()[1:-1].split("],[")] if rows else []


def _opened(row: str) -> datetime:
    return datetime.fromisoformat(row[2:26])


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("symbol", ["INFY", "NIFTY 50"])
def test_a_forming_candle_is_not_the_final_one(
    kite: Sandbox, interval: Interval, symbol: str
) -> None:
    """In the middle of a session the last candle is partial and what follows is absent."""
    window = ("2026-11-20", "2026-11-20")
    final = candles(kite, symbol, interval, *window)
    kite.set_now(ist(2026, 11, 20, 11, 22, 33))
    forming = candles(kite, symbol, interval, *window)
    assert forming[-1] != final[len(forming) - 1]
    assert forming[-1][0] == final[len(forming) - 1][0]
    assert _stamps(forming)[-1][11:16] <= "11:22"
    if interval is not Interval.DAY:
        assert forming[:-1] == final[: len(forming) - 1]


def test_a_minute_is_wrong_until_ten_seconds_after_it(kite: Sandbox) -> None:
    """Zerodha's staff: a candle that closed less than about 10 s ago is wrong."""
    window = ("2026-11-20 11:21:00", "2026-11-20 11:21:00")
    final = candles(kite, "INFY", "minute", *window)
    kite.set_now(ist(2026, 11, 20, 11, 22, 9))
    assert candles(kite, "INFY", "minute", *window) != final
    kite.set_now(ist(2026, 11, 20, 11, 22, 10))
    assert candles(kite, "INFY", "minute", *window) == final


def test_todays_day_candle_is_absent_partial_final(kite: Sandbox) -> None:
    """Before the open there is none; it is final ten minutes after the close."""
    window = ("2026-11-20", "2026-11-20")
    final = candles(kite, "NIFTY 50", "day", *window)
    seen = []
    for hour, minute in ((9, 14), (12, 0), (15, 39), (15, 40)):
        kite.set_now(datetime(2026, 11, 20, hour, minute, tzinfo=IST))
        seen.append(candles(kite, "NIFTY 50", "day", *window))
    assert seen[0] == []
    assert seen[1] != final != seen[2]
    assert seen[3] == final


def test_the_clock_stands_or_runs(kite: Sandbox) -> None:
    """Frozen unless told to run."""
    assert kite.now == NOW
    kite.set_now(NOW, runs=True)
    time.sleep(0.02)
    assert timedelta(0) < kite.now - NOW < timedelta(seconds=10)


def test_two_sandboxes_tell_the_same_history() -> None:
    """Made up, but the same on every run."""
    window = ("2024-01-01", "2024-02-15")
    with sandbox() as one, sandbox(instruments=500) as other:
        assert candles(one, "M&M", "minute", *window) == candles(other, "M&M", "minute", *window)
        assert len(other.market.listing.current(NOW)) == 500


@pytest.mark.bench
def test_a_reply_costs_little() -> None:
    """Under 60 ms of CPU for 60 days of minutes, under 10 ms for 2,000 days."""
    market = Market(sandbox().options)

    def cpu_ms(interval: str, first: str, last: str) -> float:
        params = {"from": f"{first} 00:00:00", "to": f"{last} 23:59:59"}
        query = parse_query("408065", interval, params, {})
        spec = market.listing.find("INFY", NOW).spec
        started = time.process_time()
        market.candle_rows(spec, query, NOW)
        return (time.process_time() - started) * 1000

    cpu_ms("minute", "2023-01-01", "2023-01-02")
    assert cpu_ms("minute", "2024-01-01", "2024-02-29") < 60
    assert cpu_ms("day", "2020-01-01", "2025-06-22") < 10
