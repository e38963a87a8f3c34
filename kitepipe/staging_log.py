"""DuckDB's log beside a staging file: whether it seems that not all of it would be read back.

DuckDB takes an empty entry for the end of the log, and one that is longer than what is left for one
that a kill cut short: it leaves that out with all that follows, and says nothing. A damaged byte
can make either of an entry; but then commits stand behind it.
"""

import os
import re
from pathlib import Path

# As DuckDB 2.0 writes it: what file it belongs to, then entries of size, checksum and content.
_HEAD = re.compile(
    rb"\x64\0\x62\x65\0\x02\x66\0\x10(?:[\0-\x7f]|[\x80-\xff]\x01){16}"
    rb"\x67\0[\x80-\xff]*[\0-\x7f]\xff\xff"
)
_HEAD_BYTES, _SIZE_BYTES, _CHECKSUM_BYTES = 64, 8, 8
_COMMIT = bytes.fromhex("e7fe7d722fed3d5e 640064ffff")  # its checksum and content


def seems_cut(log: Path) -> bool:
    """Tell whether commits stand behind where DuckDB seems to stop; OSError is for it to tell."""
    try:
        content = os.open(log, os.O_RDONLY)
    except OSError:
        return False
    try:
        head = _HEAD.match(os.pread(content, _HEAD_BYTES, 0))
        stop = _end_of_entries(content, head.end()) if head else 0
        behind = os.pread(content, os.fstat(content).st_size - stop, stop)
        return _COMMIT in behind
    finally:
        os.close(content)


def _end_of_entries(log: int, at: int) -> int:
    """Return where the first entry begins that DuckDB would not read, or the end."""
    length = os.fstat(log).st_size
    while size := int.from_bytes(os.pread(log, _SIZE_BYTES, at), "little"):
        following = at + _SIZE_BYTES + _CHECKSUM_BYTES + size
        if following > length:
            break
        at = following
    return at
