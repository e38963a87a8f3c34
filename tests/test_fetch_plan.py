"""From what is known of a series to the windows of a run: bounds, batches, the queue."""

from collections import deque
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.fetch_agenda import agenda_of
from kitepipe.fetch_plan import Horizon, plan_jobs
from kitepipe.fetch_queue import Job, batches, in_order, lanes
from kitepipe.forecast import forecast
from kitepipe.model import Contents, Instrument, Interval, Reply, Series, Window
from kitepipe.plan import Bounds, Known
from kitepipe.ratelimit import HEADROOM
from kitepipe.sessions import period_of, settled_through
from kitepipe.staging_series import StagedKnowledge, key_of
from tests.sandbox_asking import ist

MARGIN = timedelta(minutes=15)
BOOTSTRAP = date(1995, 1, 1)
DAY = timedelta(days=1)
NOW = ist(2026, 11, 20, 20)
TODAY = NOW.date()
INSTANTS = st.integers(0, 19 * 365 * 86400).map(lambda s: ist(2016, 1, 1) + timedelta(seconds=s))


def _series(interval: str = "day", key: int = 1, expiry: date | None = None) -> Series:
    instrument = Instrument(key * 256, "NSE", f"SYMBOL{key}", expiry=expiry)
    return Series(key, instrument, Interval(interval), 1)


def _windows(
    series: Series, known: Known | None = None, now: datetime = NOW, **bounds: object
) -> list[Window]:
    horizon = Horizon(Bounds(**bounds), BOOTSTRAP, now, MARGIN)  # type: ignore[arg-type]
    knowledge = {key_of(series): StagedKnowledge(known)} if known else {}
    jobs = plan_jobs([series], knowledge, horizon)
    return [window for job in jobs if not job.series.probe for window in job.windows]


def _in_time(windows: list[Window]) -> list[Window]:
    """A day series without data is asked newest first, others oldest first."""
    return sorted(windows, key=lambda window: window.first)


@given(INSTANTS, st.integers(0, 5000), st.sampled_from(Interval))
def test_a_run_goes_on_from_the_day_after_the_last(
    now: datetime, behind: int, interval: Interval
) -> None:
    """Property 3: on unbroken coverage from = max(date) + 1 day at 00:00:00, else bootstrap.

    Where the series was last asked in an earlier period, the request is stretched back to the
    last session, or that session is asked before.
    """
    series = _series(interval.value)
    begin = max(BOOTSTRAP, interval.earliest)
    assert _in_time(_windows(series, now=now))[0].from_text == f"{begin} 00:00:00"
    newest = settled_through("NSE", now, MARGIN) - behind * DAY
    if newest < begin:
        return
    covered = (Window(begin, newest),)
    same = _windows(series, Known(covered, newest, period_of(now)), now)
    later = _windows(series, Known(covered, newest, period_of(now) - DAY), now)
    if not behind:
        assert same == later == []
        return
    assert same[0].from_text == f"{newest + DAY} 00:00:00"
    dates = {window.first + n * DAY for window in later for n in range(window.days)}
    assert min(dates) == newest
    assert len(dates) == (max(dates) - newest).days + 1


@given(INSTANTS, st.sampled_from(Interval))
def test_a_run_ends_with_the_present_date_in_india(now: datetime, interval: Interval) -> None:
    """Property 4: to = the current IST date at 23:59:59, unless --to says less."""
    series = _series(interval.value)
    assert _in_time(_windows(series, now=now))[-1].to_text == f"{now.date()} 23:59:59"
    yesterday = now.date() - DAY
    assert _in_time(_windows(series, now=now, last=yesterday))[-1].last == yesterday
    assert _in_time(_windows(series, now=now, last=now.date() + DAY))[-1].last == now.date()


def test_midnight_in_india_begins_a_new_date() -> None:
    """Half past six in the evening in UTC."""
    after, before = ist(2026, 11, 21), ist(2026, 11, 20, 23, 59, 59)
    assert _in_time(_windows(_series(), now=after))[-1].last == date(2026, 11, 21)
    assert _in_time(_windows(_series(), now=before))[-1].last == TODAY


@given(st.lists(st.integers(1, 40), max_size=120), st.integers(1, 50), st.sets(st.integers(0, 3)))
def test_batches_have_the_right_sizes(keys: list[int], size: int, intervals: set[int]) -> None:
    """Property 13: every batch holds `batch_size` instruments, the last what is left, in order.

    All series of an instrument are in its batch, one after another.
    """
    names = [list(Interval)[number].value for number in intervals]
    jobs = [
        Job(_series(n, key), deque(), Window(TODAY, TODAY), TODAY) for key in keys for n in names
    ]
    found = list(batches(lanes(jobs), size))
    distinct = list(dict.fromkeys(keys)) if names else []
    sizes = [len(batch) for batch in found]
    assert sum(sizes) == len(distinct)
    assert all(one == size for one in sizes[:-1])
    assert all(0 < one <= size for one in sizes)
    order = [lane[0].series.instrument_key for lane in in_order(found, len(found))]
    assert order == distinct
    assert [job for key in distinct for job in jobs if job.series.instrument_key == key] == [
        job for batch in found for lane in batch for job in lane
    ]


def test_a_batch_of_nothing_is_refused() -> None:
    """A size below 1 would never end."""
    with pytest.raises(ValueError, match="batch size"):
        batches([], 0)


def test_from_and_to_bound_the_dates() -> None:
    """History is asked between them and nowhere else."""
    first, last = date(2020, 3, 1), date(2020, 3, 31)
    assert _windows(_series(), first=first, last=last) == [Window(first, last)]
    assert _windows(_series(), first=TODAY + DAY) == []
    assert _windows(_series("minute"), last=date(2014, 1, 1)) == []
    assert _windows(_series(), first=date(1980, 1, 1), last=BOOTSTRAP)[0].first == BOOTSTRAP


def test_what_lies_before_bootstrap_date_is_not_asked() -> None:
    """Nor a hole in it, where day candles from before were fetched under an earlier one."""
    known = Known((Window(date(1990, 1, 1), date(1990, 1, 9)), Window(BOOTSTRAP, TODAY - DAY)))
    assert _windows(_series(), known) == [Window(TODAY, TODAY)]


def test_refetch_asks_what_is_covered_and_still_compares() -> None:
    """Dates between --from and --to are asked again; the session shows the price base."""
    known = Known((Window(BOOTSTRAP, TODAY),), date(2026, 11, 19), date(2026, 11, 19))
    first = date(2026, 11, 1)
    assert _windows(_series(), known, first=first) == []
    assert _windows(_series(), known, first=first, refetch=True) == [Window(first, TODAY)]
    planned = _windows(_series(), known, first=first, last=first + DAY, refetch=True)
    assert planned == [Window(first, date(2026, 11, 19))], "stretched at no cost"


def test_a_contract_is_asked_until_its_expiry() -> None:
    """Not a day beyond; the newest window first when it expires within a week."""
    far, soon = date(2027, 1, 28), date(2026, 11, 26)
    over = _in_time(_windows(_series(expiry=date(2026, 11, 10))))
    assert over[-1].last == date(2026, 11, 10)
    assert _in_time(_windows(_series(expiry=far)))[-1].last == TODAY
    assert _in_time(_windows(_series(expiry=far)))[0].first == BOOTSTRAP
    near = _windows(_series(expiry=soon))
    assert near == sorted(near, key=lambda window: window.first, reverse=True)


def test_a_forecast_counts_the_requests_and_the_hours() -> None:
    """365 days a year of 60-day windows at three requests a second."""
    horizon = Horizon(Bounds(first=date(2016, 1, 1)), BOOTSTRAP, NOW, MARGIN)
    jobs = plan_jobs([_series("minute"), _series("day")], {}, horizon)
    report = forecast(agenda_of(jobs), 3.0, instruments=1)
    days = (TODAY - date(2016, 1, 1)).days + 1
    assert (report.instruments, report.series) == (1, 2)
    assert report.requests == -(-days // 60) + -(-days // 2000)
    assert report.hours == pytest.approx(report.requests * HEADROOM / 3 / 3600)
    assert report.bytes > 50 * 375 * days * 250 / 365
    line = report.lines[1]  # day comes first: it finds where history begins
    assert (line.first, line.last, line.windows) == (date(2016, 1, 1), TODAY, -(-days // 60))


def _reply(*sessions: date) -> Reply:
    contents = Contents(len(sessions), tuple(sorted(sessions)), (1,) * len(sessions))
    return Reply("{}", NOW, NOW, contents)


def test_a_new_period_is_met_with_a_known_session() -> None:
    """A run that goes on over 08:00 asks a session that it knows before the next window."""
    windows = deque([Window(date(2026, 11, 2), date(2026, 11, 9)), Window(TODAY, TODAY)])
    job = Job(_series(), windows, Window(BOOTSTRAP, TODAY), TODAY)
    evening, morning = date(2026, 11, 20), date(2026, 11, 21)
    assert job.next_window(evening) == Window(date(2026, 11, 2), date(2026, 11, 9))
    job.learn(Window(TODAY, TODAY), _reply(date(2026, 11, 9)), TODAY, evening, evening)
    assert job.next_window(morning) == Window(date(2026, 11, 9), date(2026, 11, 9))
    assert job.must_compare
    job.learn(Window(TODAY, TODAY), _reply(date(2026, 11, 9)), TODAY, morning, morning)
    assert job.next_window(morning) == Window(TODAY, TODAY)
    job.learn(Window(TODAY, TODAY), _reply(TODAY), TODAY, morning, morning)
    assert job.next_window(morning) is None


def test_an_answer_that_was_on_its_way_at_eight_is_compared() -> None:
    """It may stand on either base, so that the next request proves it, even if none was left."""
    job = Job(_series(), deque([Window(TODAY, TODAY)]), Window(BOOTSTRAP, TODAY), TODAY)
    before, after = date(2026, 11, 20), date(2026, 11, 21)
    assert job.next_window(before) == Window(TODAY, TODAY)
    job.learn(Window(TODAY, TODAY), _reply(TODAY), TODAY, before, after)
    assert job.next_window(after) == Window(TODAY, TODAY)
    assert job.must_compare
    job.learn(Window(TODAY, TODAY), _reply(TODAY), TODAY, after, after)
    assert job.next_window(after) is None


def test_a_series_without_a_settled_session_has_nothing_to_compare() -> None:
    """Empty replies stand on no price base."""
    windows = deque([Window(TODAY - DAY, TODAY - DAY), Window(TODAY, TODAY)])
    job = Job(_series(), windows, Window(BOOTSTRAP, TODAY), TODAY)
    job.next_window(date(2026, 11, 19))
    job.learn(Window(TODAY, TODAY), _reply(), TODAY, date(2026, 11, 19), date(2026, 11, 19))
    assert job.next_window(date(2026, 11, 20)) == Window(TODAY, TODAY)
    assert job.next_window(date(2026, 11, 20)) is None


def test_windows_are_cut_to_the_servers_own_cap() -> None:
    """Those that fit stay as they are; the one with the session still comes first."""
    first = date(2026, 11, 1)
    windows = [Window(first, date(2026, 11, 10)), Window(date(2026, 11, 12), date(2026, 11, 13))]
    job = Job(
        _series(), deque(windows), Window(first, TODAY), TODAY, session=date(2026, 11, 5),
        period=date(2026, 11, 19),
    )  # fmt: skip
    job.narrow(4)
    assert [window.days for window in job.windows] == [4, 4, 2, 2]
    assert job.next_window(period_of(NOW)) == Window(date(2026, 11, 5), date(2026, 11, 8))
    assert job.next_window(period_of(NOW)) == Window(date(2026, 11, 5), date(2026, 11, 5))
    job.must_compare, job.period = False, period_of(NOW)
    assert job.next_window(period_of(NOW)) == Window(first, date(2026, 11, 4))


def test_until_is_the_next_time_that_indias_clocks_show_it() -> None:
    """Today where it is still to come, else tomorrow."""
    from kitepipe.prepare import _deadline

    assert _deadline(Bounds(), NOW) is None
    assert _deadline(Bounds(until=time(23, 30)), NOW) == ist(2026, 11, 20, 23, 30)
    assert _deadline(Bounds(until=time(8, 0)), NOW) == ist(2026, 11, 21, 8)
