"""The settings in words: the file that `init` writes and the table in the README.

Both are made from the table of keys, so that neither can tell another story than the loader.
"""

import json
from datetime import date
from pathlib import Path
from textwrap import wrap
from typing import Any

from kitepipe.settings import KEYS, Key

_HEAD = """\
# kitepipe's configuration. Lines such as #batch_size = 50 show defaults: take the # away to change.
# Flags (--batch-size 20) and variables (KITEPIPE_BATCH_SIZE=20) are stronger than this file.
# Secrets have no place here: KITEPIPE_API_KEY, KITEPIPE_API_SECRET and KITEPIPE_ACCESS_TOKEN
# are variables only, or 'kitepipe login' keeps the session in a file that only you can read.
# Paths are seen from this file's folder.
"""
# What to write where the default is nothing, or is another one for each user.
_SAMPLES = {"dsn": "", "shard": "", "session_file": "~/.config/kitepipe/session.json"}


def init_text() -> str:
    """Return a configuration file in which each key stands commented out with its default."""
    return _HEAD + "".join(_entry(key) for key in KEYS.values() if not key.secret)


def markdown_table() -> str:
    """Return the README's table: key, variable, flag, default, what is allowed, meaning."""
    rows = ["| key | variable | flag | default | allowed | meaning |", "|---|---|---|---|---|---|"]
    for key in KEYS.values():
        known = not key.secret and _default(key) not in ((), "")
        default = f"`{_toml(_default(key))}`" if known else ""
        name = "" if key.secret else f"`{key.name}`"
        flag = f"`{key.flag}`" if key.flag else ""
        allowed = key.kind.allowed.replace("|", "\\|").replace("*", "\\*")
        rows.append(f"| {name} | `{key.variable}` | {flag} | {default} | {allowed} | {key.help} |")
    return "\n".join(rows) + "\n"


def _entry(key: Key) -> str:
    words = wrap(f"{key.help} ({key.kind.allowed})", 96, break_on_hyphens=False)
    comment = "".join(f"# {line}\n" for line in words)
    return f"\n{comment}#{key.name} = {_toml(_default(key))}\n"


def _default(key: Key) -> Any:
    return _SAMPLES.get(key.name, key.default)


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return json.dumps([str(item) for item in value])
    return json.dumps(str(value) if isinstance(value, Path) else value)
