"""The reports of the verbs about the staging file itself."""

from dataclasses import dataclass

from kitepipe.summary import Report


@dataclass(frozen=True, slots=True)
class ArchiveReport(Report):
    """`archive`: replies moved, their `bytes`, and those of the Parquet files and of what is freed.

    `freed` is inside the staging file, for what is fetched next; `disk_free` is the folder's disk.
    Where not `moved`, it is what would be.
    """

    archive: str = ""
    moved: bool = True
    replies: int = 0
    bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    freed: int = 0
    disk_free: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CopyReport(Report):
    """`staging compact`, `backup` and `rescue`: the file, its size before and after, its bodies."""

    file: str = ""
    bytes_before: int = 0
    bytes_after: int = 0
    replies: int = 0
    seconds: float = 0.0
