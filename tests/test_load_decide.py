"""Which reply decides which date, in whatever order replies are loaded: pure, against a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from kitepipe.load_decide import Known, decide_series
from kitepipe.model import Window
from kitepipe.plan import Claim
from kitepipe.staging_series import FIRST_EPOCH, StagedReply
from tests.staging_help import NOON

FIRST = date(2026, 1, 1)
DAYS = 12
Key = tuple[str, int]


def _day(number: int) -> date:
    return FIRST + timedelta(days=number)


def _at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def _staged(reply_id: int, minute: int, first: int, last: int, settled: int) -> StagedReply:
    window = Window(_day(first), _day(last))
    through = _day(settled)
    return StagedReply(
        reply_id, "", _at(minute), window, min(window.last, through), through, 0, 1, None, None
    )


@dataclass
class _File:
    """A staging file: its replies in the order they were fetched, and its epochs."""

    staging_id: str
    replies: list[StagedReply]
    epochs: list[datetime] = field(default_factory=list)


@dataclass
class _Warehouse:
    """What loading leaves behind: the ledger, the epoch, and who decided each date."""

    claims: dict[Key, Claim] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)
    epoch: datetime = FIRST_EPOCH
    table: dict[date, Key] = field(default_factory=dict)
    dropped: set[date] = field(default_factory=set)
    noted: set[datetime] = field(default_factory=set)

    def load(self, file: _File, count: int, *, replay: bool = False) -> int:
        """Load the first `count` replies of a file; return how many wait."""
        replies = file.replies[:count]
        until = max((reply.fetched_at for reply in replies), default=FIRST_EPOCH)
        epochs = [epoch for epoch in file.epochs if epoch <= until]
        keys, noted = frozenset(self.keys), frozenset(self.noted)
        known = Known(tuple(self.claims.values()), keys, self.epoch, noted)
        decision = decide_series(file.staging_id, replies, epochs, known, replay=replay)
        self.dropped = {
            w.first + timedelta(days=n) for w in decision.dropped for n in range(w.days)
        }
        for day in self.dropped:
            self.table.pop(day, None)
        for part in decision.parts:
            for window in part.decides:
                for number in range(window.days):
                    day = window.first + timedelta(days=number)
                    self.table[day] = (file.staging_id, part.reply.reply_id)
        for reply in decision.replies:
            key = (file.staging_id, reply.reply_id)
            self.keys.add(key)
            if reply.settled:
                self.claims[key] = Claim((reply.fetched_at, *key), reply.settled)
        self.epoch = decision.epoch
        self.noted |= set(epochs)
        return decision.waiting


def _newest(files: Sequence[_File], since: datetime = FIRST_EPOCH) -> dict[date, Key]:
    """Say for each date, one by one, who decides it: the rule of the design, naively."""
    table = {}
    for number in range(DAYS):
        claims = [
            (reply.fetched_at, file.staging_id, reply.reply_id)
            for file in files
            for reply in file.replies
            if reply.fetched_at >= since and reply.settled and _day(number) in reply.settled
        ]
        if claims:
            table[_day(number)] = max(claims)[1:]
    return table


@st.composite
def _replies(draw: st.DrawFn, most: int = 6) -> list[StagedReply]:
    """Overlapping windows, some unsettled in part or wholly, two at the same minute."""
    minutes = sorted(draw(st.lists(st.integers(0, 8), max_size=most)))
    staged = []
    for number, minute in enumerate(minutes):
        first = draw(st.integers(0, DAYS - 1))
        last = draw(st.integers(first, DAYS - 1))
        settled = draw(st.integers(first - 2, DAYS))
        staged.append(_staged(number + 1, minute, first, last, settled))
    return staged


_LOADS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.booleans()), max_size=6)


@given(a=_replies(), b=_replies(), loads=_LOADS)
@settings(max_examples=200)
def test_any_order_of_loading_gives_the_same_deciders(
    a: list[StagedReply], b: list[StagedReply], loads: list[tuple[str, int, bool]]
) -> None:
    """Property 23: loads and replays of parts of two files, then both whole: the newest decides."""
    files = {"a": _File("a", a), "b": _File("b", b)}
    warehouse = _Warehouse()
    for name, count, replay in loads:
        warehouse.load(files[name], count, replay=replay)
    for name in "ba":
        assert warehouse.load(files[name], 6) == 0
    assert warehouse.table == _newest(list(files.values()))


def _rebased(file: _File, minute: int, again: StagedReply | None) -> _File:
    """Let history be seen re-based at the first reply from `minute` on; `again` is fetched anew."""
    replies = [*file.replies, again] if again else file.replies
    replies = sorted(replies, key=lambda r: (r.fetched_at, r.reply_id))
    since = [reply.fetched_at for reply in replies if reply.fetched_at >= _at(minute)]
    return _File(file.staging_id, replies, since[:1])


@st.composite
def _files(draw: st.DrawFn, staging_id: str) -> _File:
    """A file that was re-based or not, and is fetched anew in full, in part or not at all."""
    minute = draw(st.integers(0, 8))
    replies = draw(_replies())
    again = None
    if draw(st.booleans()):
        covers = [reply.settled for reply in replies if reply.settled]
        first = min([(w.first - FIRST).days for w in covers], default=0) + draw(st.integers(0, 1))
        last = max([(w.last - FIRST).days for w in covers], default=first)
        first = min(first, last)
        again = _staged(100, minute + draw(st.integers(0, 3)), first, last, DAYS)
    return _rebased(_File(staging_id, replies), minute, again)


Dated = dict[date, Key]


def _days(replies: Sequence[StagedReply]) -> set[date]:
    windows = [reply.settled for reply in replies if reply.settled]
    return {w.first + timedelta(days=n) for w in windows for n in range(w.days)}


def _outcome(files: Sequence[_File]) -> tuple[datetime, Dated, set[date]]:
    """Say what the set of files comes to, in no order: the epoch, who decides, what is dropped.

    An epoch is taken when replies since then that do not wait bring all the dates of its file, or
    of another one that has some since.
    """
    epoch = FIRST_EPOCH
    while True:
        speak = [
            _File(f.staging_id, [r for r in f.replies if not _waits(f, r, epoch)]) for f in files
        ]
        taken = [
            then
            for file in files
            for then in file.epochs
            if then > epoch
            and any(
                _days(one.replies) <= _days([r for f in [*speak, file] for r in _since(f, then)])
                for one in [file, *(f for f in speak if _days(_since(f, then)))]
            )
        ]
        if not taken:
            break
        epoch = max(taken)
    table = _newest(speak, since=epoch)
    older = [r for file in speak for r in file.replies if r.fetched_at < epoch]
    return epoch, table, _days(older) - table.keys()


def _since(file: _File, then: datetime) -> list[StagedReply]:
    return [reply for reply in file.replies if reply.fetched_at >= then]


def _waits(file: _File, reply: StagedReply, epoch: datetime) -> bool:
    return any(then > epoch and reply.fetched_at >= then for then in file.epochs)


@given(a=_files("a"), b=_files("b"), loads=_LOADS)
@settings(max_examples=300)
def test_a_new_price_base_is_taken_alike_in_any_order(
    a: _File, b: _File, loads: list[tuple[str, int, bool]]
) -> None:
    """Property 23: two files that saw history re-based, fetched anew or not, in any order."""
    files = {"a": a, "b": b}
    warehouse = _Warehouse()
    for name, count, replay in loads:
        warehouse.load(files[name], count, replay=replay)
    for name in "ababab":
        warehouse.load(files[name], 99)
    assert (warehouse.epoch, warehouse.table, warehouse.dropped) == _outcome([a, b])


def test_what_only_an_older_base_speaks_of_is_dropped_in_any_order() -> None:
    """A file that saw the re-base has days 3 to 9, an older one days 0 to 9: 0 to 2 are dropped."""
    a = _File("a", [_staged(1, 2, 3, 9, 9), _staged(2, 5, 3, 9, 9)], [_at(5)])
    b = _File("b", [_staged(1, 0, 0, 9, 9)])
    for order in ((a, b), (b, a)):
        warehouse = _Warehouse()
        assert [warehouse.load(file, 9) for file in order] == [0, 0]
        assert warehouse.table == {_day(number): ("a", 2) for number in range(3, 10)}
        assert warehouse.dropped == {_day(0), _day(1), _day(2)}


def test_an_epoch_brings_what_was_known_from_the_warehouse_too() -> None:
    """Dates that a new staging file did not ask for, as the warehouse had them, are not dropped."""
    old, seen, rest = _staged(1, 0, 5, 9, 9), _staged(2, 5, 5, 9, 9), _staged(3, 6, 0, 4, 9)
    adopted = [Window(_day(0), _day(4))]
    half = decide_series("a", [old, seen], [_at(5)], Known(), adopted)
    assert (half.epoch, half.waiting) == (FIRST_EPOCH, 1)
    whole = decide_series("a", [old, seen, rest], [_at(5)], Known(), adopted)
    assert (whole.epoch, whole.waiting) == (_at(5), 0)


@given(before=_replies(4), after=_replies(6), counts=st.lists(st.integers(0, 10), max_size=5))
def test_no_moment_shows_two_price_bases(
    before: list[StagedReply], after: list[StagedReply], counts: list[int]
) -> None:
    """Whatever was fetched by then: each load leaves all dates on one side of the epoch."""
    shifted = [
        _staged(
            10 + reply.reply_id,
            20 + number,
            (reply.window.first - FIRST).days,
            (reply.window.last - FIRST).days,
            (reply.settled_through - FIRST).days,
        )
        for number, reply in enumerate(after)
    ]
    file = _File("a", before + shifted, [_at(20)] if shifted else [])
    warehouse, once = _Warehouse(), _Warehouse()
    for count in [*sorted(counts), 99]:
        warehouse.load(file, count)
        assert len({key[1] > 10 for key in warehouse.table.values()}) <= 1
    once.load(file, 99)
    assert once.table == warehouse.table


def test_an_unfinished_epoch_waits_for_the_rest() -> None:
    """Half of a re-fetch changes nothing and is told of; the other half switches all at once."""
    old, half = _staged(1, 0, 0, 9, 9), _staged(2, 5, 0, 4, 9)
    file = _File("a", [old, half], [half.fetched_at])
    warehouse = _Warehouse()
    assert warehouse.load(file, 2) == 1
    assert set(warehouse.table.values()) == {("a", 1)}
    file.replies.append(_staged(3, 6, 5, 9, 9))
    assert warehouse.load(file, 3) == 0
    assert set(warehouse.table.values()) == {("a", 2), ("a", 3)}


def test_an_epoch_is_not_completed_by_replies_of_the_next() -> None:
    """Re-based twice, the first re-fetch cut short: the replies of both wait, none is mixed."""
    old, one, two = _staged(1, 0, 0, 9, 9), _staged(2, 5, 0, 4, 9), _staged(3, 8, 5, 9, 9)
    warehouse = _Warehouse()
    waiting = warehouse.load(_File("a", [old, one, two], [_at(5), _at(8)]), 3)
    assert (waiting, warehouse.epoch) == (2, FIRST_EPOCH)
    assert set(warehouse.table.values()) == {("a", 1)}


def test_a_file_that_waits_overwrites_nothing_newer_of_another() -> None:
    """A fresh file's newer reply stands, though the older file has an unfinished epoch."""
    a = _File("a", [_staged(1, 0, 0, 9, 9), _staged(2, 5, 0, 4, 9)], [_at(5)])
    b = _File("b", [_staged(1, 7, 2, 9, 9)])
    for order in ((a, b), (b, a)):
        warehouse = _Warehouse()
        for file in (*order, *order):
            warehouse.load(file, 9)
        assert warehouse.table == {**_newest([a, b]), **dict.fromkeys(map(_day, (0, 1)), ("a", 2))}
