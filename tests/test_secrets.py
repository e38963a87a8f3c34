"""No secret is left anywhere: every byte of a whole run is looked through, and of its failures."""

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from kitepipe.sandbox import Sandbox
from tests.box_help import Box, wait_until
from tests.sandbox_asking import sandbox
from tests.servers import Look

pytestmark = pytest.mark.faults

SECRETS = {
    "key": "k7Vq2mZ9aXwE4tRb",
    "secret": "s3LcJ8uYhN5pGdKo1W",
    "token": "t9FxB6iQeM2vSzHn7A",
    "password": "p4RdU0lTgC1yOjIk5D",
}
ONE = ("--tradingsymbols", "NSE:INFY", "--exchanges", "NSE", "--from", "2025-01-01")
_BUG = "import kitepipe.status as p; p.status = lambda settings, **_: [settings][1]; "


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox that takes these secrets and no others."""
    options = {"api_key": SECRETS["key"], "api_secret": SECRETS["secret"]}
    with sandbox(**options, token=SECRETS["token"], other_rate_limit=1000) as server:
        yield server


@pytest.fixture
def box(kite: Sandbox, warehouse_dsn: str, tmp_path: Path) -> Box:
    """A box whose database wants a password, as far as kitepipe can tell."""
    dsn = make_dsn(warehouse_dsn, password=SECRETS["password"])
    (tmp_path / "tmp").mkdir()
    return Box(tmp_path, kite, dsn, environ={"TMPDIR": str(tmp_path / "tmp")})


def _told(text: str | bytes) -> list[str]:
    """Return which secrets stand in it."""
    data = text if isinstance(text, bytes) else text.encode()
    return [name for name, secret in SECRETS.items() if secret.encode() in data]


def _in_files(folder: Path) -> dict[str, list[str]]:
    """Return the files that hold a secret or are named by one, and whose."""
    files = {str(file): file for file in folder.rglob("*") if file.is_file()}
    found = {name: _told(name) + _told(file.read_bytes()) for name, file in files.items()}
    assert len(found) >= 3
    return {name: secrets for name, secrets in found.items() if secrets}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_whole_run_tells_no_secret(form: str, box: Box, look: Look) -> None:
    """Every verb with debug logging; staging, archive, locks, temporary files and the database."""
    options = ("--verbose", "--log-format", form)
    verbs = [("instruments",), ("fetch", *ONE), ("load",), ("run", *ONE)]
    verbs += [("status", "--gaps"), ("doctor",), ("archive",), ("replay",), ("verify",)]
    verbs += [("staging", "compact"), ("staging", "backup", "copy.duckdb")]
    for verb in verbs:
        ended = box.kitepipe(*verb, *options)
        fine = (0, 3) if verb == ("doctor",) else (0,)  # it may find fault with the machine
        assert (ended.code in fine, _told(ended.out + ended.err)) == (True, []), (verb, ended.err)
    assert _in_files(box.folder) == {}
    names = look("select table_name from information_schema.tables where table_name ~ '^kite_'")
    for (name,) in names:
        assert _told(repr(look(f"select * from {name}"))) == []


def test_failures_tell_no_secret(box: Box, kite: Sandbox, tmp_path: Path) -> None:
    """A refused session, a database that is down, damage, a bug with its traceback."""
    assert box.kitepipe("fetch", *ONE).code == 0
    bug = box.kitepipe("status", program=("-c", _BUG + "from kitepipe.cli import main; main()"))
    assert (bug.code, "IndexError" in bug.err) == (1, True)
    kite.expire_token()
    refused = box.kitepipe("run", *ONE, "--refetch", "--verbose")
    up, box.dsn = box.dsn, make_dsn(box.dsn, port=1)
    down = box.kitepipe("load", "--verbose")
    box.dsn = up
    box.staging.write_bytes(b"no DuckDB file" * 1000)
    damaged = box.kitepipe("load", "--verbose")
    assert [refused.code, down.code, damaged.code] == [10, 13, 12]
    assert [_told(end.out + end.err) for end in (bug, refused, down, damaged)] == [[]] * 4
    assert _in_files(tmp_path) == {}


def test_a_login_leaves_the_token_in_its_private_file_alone(box: Box, kite: Sandbox) -> None:
    """The secret stands nowhere, and what Kite gave for it in one file of mode 0600."""
    box.environ |= {"KITEPIPE_API_SECRET": SECRETS["secret"], "KITEPIPE_ACCESS_TOKEN": ""}
    ended = box.kitepipe("login", "abc123", "--verbose")
    fetched = box.kitepipe("fetch", *ONE, "--verbose")
    assert (ended.code, fetched.code) == (0, 0), ended.err
    token = str(kite.access_token)
    assert token not in ended.out + ended.err + fetched.out + fetched.err
    assert _told(ended.out + ended.err + fetched.out + fetched.err) == []
    session = box.folder / "session.json"
    files = [file for file in box.folder.rglob("*") if file.is_file()]
    assert [file for file in files if token.encode() in file.read_bytes()] == [session]
    assert session.stat().st_mode & 0o077 == 0
    assert [file for file in files if "secret" in _told(file.read_bytes())] == []


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="only Linux tells it")
def test_neither_the_process_list_nor_a_core_dump_has_one(box: Box, kite: Sandbox) -> None:
    """Secrets are no arguments; a crash leaves no memory of the process on disk."""
    with box.started("run", *ONE) as process:
        wait_until(process, lambda: kite.requests.total)
        place = Path(f"/proc/{process.pid}")
        assert _told((place / "cmdline").read_bytes()) == []
        limits = (place / "limits").read_text()
    core = re.search(r"Max core file size +(\S+)", limits)
    assert core is not None
    # 1 byte: no file, and Linux pipes no dump to a handler either; where all is forbidden it is 0.
    assert core[1] == ("0" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1")
