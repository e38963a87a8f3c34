"""DuckDB's log beside a staging file: whether all that was committed is read back from it.

DuckDB takes an entry that is longer than what is left for one that a kill cut short, and leaves it
out with all that follows. A damaged byte can make it so long; but then commits stand behind it.
"""

import re
from pathlib import Path

# As DuckDB 2.0 writes it: what file it belongs to, then entries (size, checksum, content).
_HEAD = re.compile(
    rb"\x64\0\x62\x65\0\x02\x66\0\x10(?:[\0-\x7f]|[\x80-\xff]\x01){16}"
    rb"\x67\0[\x80-\xff]*[\0-\x7f]\xff\xff"
)
_SIZE_BYTES, _BEFORE_CONTENT = 8, 16
_COMMITTED = bytes.fromhex("e7fe7d722fed3d5e 640064ffff")  # checksum and content of a commit


def left_out_from(log: Path) -> int | None:
    """Return from which byte on DuckDB would leave out commits and say nothing, else None.

    For certain where nobody writes the log meanwhile.
    """
    try:
        content = log.read_bytes()
    except OSError:  # none is there, or DuckDB tells what is wrong
        return None
    head = _HEAD.match(content)
    stop = _end_of_entries(content, head.end()) if head else 0
    return stop if content.find(_COMMITTED, stop) >= 0 else None


def _end_of_entries(content: bytes, start: int) -> int:
    """Return where the first entry that is not whole begins, or the end."""
    while start + _BEFORE_CONTENT <= len(content):
        size = int.from_bytes(content[start : start + _SIZE_BYTES], "little")
        if start + _BEFORE_CONTENT + size > len(content):
            break
        start += _BEFORE_CONTENT + size
    return start
