"""What the sandbox was asked: every request with its receipt, and the counts of them."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

HISTORICAL, INSTRUMENTS, SESSION, OTHER = "historical", "instruments", "session", "other"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request: `received` is monotonic seconds; `status` 0 means that none was sent."""

    received: float
    kind: str
    method: str
    path: str
    status: int
    fault: str
    clock: datetime


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """How many requests of each kind, how many answers of each status, how many were refused."""

    historical: int = 0
    instruments: int = 0
    session: int = 0
    other: int = 0
    by_status: dict[int, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return the number of all requests."""
        return self.historical + self.instruments + self.session + self.other

    @property
    def too_many(self) -> int:
        """Return the number of 429s."""
        return self.by_status.get(429, 0)

    def as_dict(self) -> dict[str, object]:
        """Return it as the control door sends it."""
        return {
            "total": self.total,
            "historical": self.historical,
            "instruments": self.instruments,
            "session": self.session,
            "other": self.other,
            "too_many": self.too_many,
            "by_status": {str(status): count for status, count in self.by_status.items()},
            "faults": self.faults,
        }


class Journal:
    """Keeps the log; counts are made from it when they are asked for."""

    def __init__(self) -> None:
        self._entries: list[LogEntry] = []
        self._lock = threading.Lock()

    def add(self, entry: LogEntry) -> None:
        """Note one request."""
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        """Start counting from nothing."""
        with self._lock:
            self._entries.clear()

    @property
    def entries(self) -> list[LogEntry]:
        """Return the log in the order of receipt."""
        with self._lock:
            return sorted(self._entries, key=lambda entry: entry.received)

    @property
    def counts(self) -> RequestCounts:
        """Return the counts up to now."""
        entries = self.entries
        kinds = Counter(entry.kind for entry in entries)
        return RequestCounts(
            **{kind: kinds[kind] for kind in (HISTORICAL, INSTRUMENTS, SESSION, OTHER)},
            by_status=dict(Counter(entry.status for entry in entries)),
            faults=dict(Counter(entry.fault for entry in entries if entry.fault)),
        )
