"""What a run did: one frozen report per verb, with its exit code and its JSON form.

Stages return these; the command line prints them; `--json` is `as_dict()` of the same.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from enum import Enum
from typing import Any, Self

from kitepipe.model import Gap, GapKind

EXIT_DONE = 0
EXIT_INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that did not come through: `what` names it, `why` says what to do."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What every report shares."""

    failures: list[Failure] = field(default_factory=list, kw_only=True)
    warnings: list[str] = field(default_factory=list, kw_only=True)
    interrupted: str = field(default="", kw_only=True)  # why a run stopped before its end

    @property
    def exit_code(self) -> int:
        """Return 0, or 3 where something is missing; errors that end a run are exceptions."""
        return EXIT_INCOMPLETE if self.failures else EXIT_DONE

    @classmethod
    def sum(cls, reports: Iterable[Self]) -> Self:
        """Return one report for several: numbers added, lists joined, counts by name added."""
        total = cls()
        for report in reports:
            pairs = {f.name: (getattr(total, f.name), getattr(report, f.name)) for f in fields(cls)}
            total = cls(**{name: _add(*pair) for name, pair in pairs.items()})
        return total

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values: dates as ISO text, enums as their value."""
        plain = {key: _plain(value) for key, value in asdict(self).items()}
        return {**plain, "exit_code": self.exit_code}


def _add(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
    if isinstance(one, (bool, str)) or None in (one, other):
        return one or other
    return one + other


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, (date, datetime)) else value


@dataclass(frozen=True, slots=True)
class SnapshotReport(Report):
    """`instruments`: one dump taken; counts of rows and of changes against the one before."""

    taken: bool = True
    rows: int = 0
    listed: int = 0
    changed: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One series of a plan: how many windows, and the dates they span."""

    series: str
    windows: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class PlanReport(Report):
    """`fetch --dry-run`: what would be asked; `hours` at the rate limit, `bytes` as estimated."""

    instruments: int = 0
    series: int = 0
    requests: int = 0
    hours: float = 0.0
    bytes: int = 0
    lines: list[PlanLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FetchReport(Report):
    """`fetch`: `requests` counts HTTP requests, retries included; `held` dates not settled yet."""

    instruments: int = 0
    series: int = 0
    windows_planned: int = 0
    windows_done: int = 0
    requests: int = 0
    retries: int = 0
    replies: int = 0
    bytes: int = 0
    candles: int = 0
    rebased: list[str] = field(default_factory=list)
    holes: list[Gap] = field(default_factory=list)  # left in what this run asked
    found_rate: float | None = None  # requests a second that Kite takes, where it refused more
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """Return 3 where a window failed, or a hole was left."""
        return EXIT_INCOMPLETE if self.failures or self.holes else EXIT_DONE


@dataclass(frozen=True, slots=True)
class LoadReport(Report):
    """`load` and `replay`: candles by what became of them, over `series` series."""

    series: int = 0
    replies: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    equal: int = 0
    held: int = 0
    quarantined: int = 0
    waiting: int = 0  # replies of series that were re-based and are not fetched anew in full
    dropped: list[str] = field(default_factory=list)  # dates that stand on an old price base only
    quarantine_rules: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """Return 3 where a series failed or waits or lost dates, or a candle was quarantined."""
        missing = self.failures or self.quarantined or self.waiting or self.dropped
        return EXIT_INCOMPLETE if missing else EXIT_DONE


@dataclass(frozen=True, slots=True)
class RunReport(Report):
    """`run`: both stages."""

    fetch: FetchReport = field(default_factory=FetchReport)
    load: LoadReport = field(default_factory=LoadReport)

    @property
    def exit_code(self) -> int:
        """Return 3 where either stage is incomplete."""
        return max(bool(self.failures) * 3, self.fetch.exit_code, self.load.exit_code)


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that writes the staging file now, from `<staging>.run.json`."""

    pid: int
    verb: str
    since: str
    done: int
    planned: int
    rate: float
    failures: int


@dataclass(frozen=True, slots=True)
class IntervalStatus:
    """What staging holds of one interval."""

    interval: str
    series: int
    replies: int
    candles: int
    bytes: int
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One candle in quarantine: where it belongs, its rule, its place in its reply, its text."""

    instrument: str
    interval: str
    trade_date: date | None
    rule: str
    staging_id: str
    reply_id: int
    position: int
    fetched_at: datetime
    quarantined_at: datetime
    raw: str


@dataclass(frozen=True, slots=True)
class StatusReport(Report):
    """`status`: staging by interval, failed windows, and the warehouse where a DSN is set."""

    staging: str = ""
    staging_id: str = ""
    file_bytes: int = 0
    instruments: int = 0
    snapshot: str = ""
    holder: Holder | None = None
    intervals: list[IntervalStatus] = field(default_factory=list)
    rebased: list[str] = field(default_factory=list)
    gaps: list[Gap] | None = None  # told with --gaps only
    unloaded: int | None = None  # staged replies that the warehouse does not know yet
    warehouse_candles: int | None = None
    quarantined: int | None = None
    quarantine: list[Quarantined] | None = None  # None: not asked for
    lost: list[Failure] = field(default_factory=list)  # what Kite lists no more, not covered

    @property
    def exit_code(self) -> int:
        """Return 3 where a window failed, or a hole was found that is not confirmed."""
        holes = any(gap.kind is GapKind.HOLE for gap in self.gaps or ())
        return EXIT_INCOMPLETE if self.failures or holes else EXIT_DONE


@dataclass(frozen=True, slots=True)
class VerifyReport(Report):
    """`verify`: series compared, and each difference by candle in `failures`."""

    series: int = 0
    candles: int = 0
    differing: int = 0
    unloaded: int = 0  # staged replies that the warehouse does not know yet
    unproven: int = 0
    deleted: int = 0
    foreign: list[str] = field(default_factory=list)  # the unproven rows by series and dates


@dataclass(frozen=True, slots=True)
class SchemaReport(Report):
    """`schema`: what the server is (timescale, apache, plain) and what was made."""

    edition: str = ""
    server: str = ""
    columnstore: bool = False
    created: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`: `ok` None means not checked, and why stands in `detail`."""

    name: str
    ok: bool | None
    detail: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class DoctorReport(Report):
    """`doctor`: the exit code is that of the first check that failed."""

    checks: list[Check] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return the first failed check's code."""
        return next((c.exit_code for c in self.checks if c.ok is False), EXIT_DONE)
