"""The verbs that need no stage: init, login, sandbox."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kitepipe.cli import main
from kitepipe.cli.listen import catch_redirect, token_in
from kitepipe.config import ConfigLoader
from kitepipe.errors import AuthenticationError, UsageError
from kitepipe.model import IST, utc_now
from kitepipe.sandbox import Sandbox
from kitepipe.session_file import read_session
from tests.box_help import ENVIRON
from tests.sandbox_asking import sandbox as running_sandbox
from tests.servers_local import free_port


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def kite() -> Iterator[Sandbox]:
    """A sandbox that takes logins."""
    with running_sandbox() as sandbox:
        yield sandbox


def _run(*args: str, given: str = "", **environ: str) -> Result:
    return CliRunner(env=environ).invoke(main, list(args), input=given)


def test_init_writes_a_file_that_loads() -> None:
    """The file is found by the next command and is as good as no file."""
    result = _run("init")
    assert (result.exit_code, result.stdout.split(";")[0]) == (0, "wrote kitepipe.toml")
    assert ConfigLoader(environ={}).load().batch_size == 50


def test_init_never_writes_over_a_file_unasked() -> None:
    """Somebody's settings are not replaced by comments."""
    Path("kitepipe.toml").write_text("batch_size = 7\n")
    result = _run("init")
    assert (result.exit_code, Path("kitepipe.toml").read_text()) == (2, "batch_size = 7\n")
    assert "--force" in result.stderr
    assert _run("init", "--force").exit_code == 0
    assert "#batch_size = 50" in Path("kitepipe.toml").read_text()


def test_init_writes_where_it_is_told(tmp_path: Path) -> None:
    """--config names the file; JSON has no comments, and an absent folder is an error."""
    assert _run("--config", "other.toml", "init").exit_code == 0
    assert Path("other.toml").exists()
    assert _run("init", "--config", "other.json").exit_code == 2
    assert _run("init", "--config", "absent/other.toml").exit_code == 2


def _login(kite: Sandbox, *args: str, given: str = "", **environ: str) -> Result:
    return _run(
        "login",
        *args,
        "--api-root",
        kite.url,
        "--session-file",
        "session.json",
        given=given,
        KITEPIPE_API_KEY=kite.options.api_key,
        KITEPIPE_API_SECRET=kite.options.api_secret,
        **environ,
    )


# Where Kite's login page redirects; the sandbox takes any request_token, once.
REDIRECT = "http://127.0.0.1:8765/?action=login&type=login&status=success&request_token=abc123"


@pytest.mark.parametrize("way", ["argument", "whole url", "stdin"])
def test_login_keeps_a_private_session_that_says_when_it_dies(kite: Sandbox, way: str) -> None:
    """Token or redirect URL, by argument or stdin: it works, and only its owner can read it."""
    given = "abc123" if way == "argument" else REDIRECT
    result = _login(kite, given) if way != "stdin" else _login(kite, given=f"{given}\n")
    assert (result.exit_code, result.exception) == (0, result.exception)
    tomorrow = utc_now().astimezone(IST).date() + timedelta(days=1)
    assert f"until {tomorrow} 06:00 IST" in result.stdout
    assert stat.S_IMODE(Path("session.json").stat().st_mode) == 0o600
    session = read_session(Path("session.json"))
    assert session
    assert session.access_token == kite.access_token
    assert session.access_token not in result.output
    assert kite.options.api_secret not in result.output


def test_login_tells_of_a_variable_that_is_stronger(kite: Sandbox) -> None:
    """A token of yesterday in the environment would make every run end with exit 10."""
    assert "warning" not in _login(kite, "abc123").stderr
    for token, *way in (("abc124",), ("abc125", "--json")):
        told = _login(kite, token, *way, KITEPIPE_ACCESS_TOKEN="yesterdays")
        assert (told.exit_code, "KITEPIPE_ACCESS_TOKEN" in told.stderr) == (0, True)
        assert "yesterdays" not in told.output


def test_login_in_json_stands_alone_on_stdout(kite: Sandbox) -> None:
    """The address of the login page goes to stderr, what a machine reads to stdout."""
    result = _login(kite, "--json", given=REDIRECT)
    told = json.loads(result.stdout)
    assert set(told) == {"user_id", "dies_at", "session_file"}
    assert "log in here: https://kite.zerodha.com/connect/login" in result.stderr


def test_a_refused_login_is_exit_10_and_leaves_no_file(kite: Sandbox) -> None:
    """An old or a wrong request_token is an answer, not a bug."""
    _login(kite, "abc123")
    Path("session.json").unlink()
    result = _login(kite, "abc123")
    assert result.exit_code == 10
    assert "error: Kite refused this login" in result.stderr
    assert not Path("session.json").exists()


def test_login_without_key_or_secret_says_which_variable() -> None:
    """There is nothing to guess; without a terminal nobody can be asked."""
    assert "KITEPIPE_API_KEY" in _run("login", "x", "--session-file", "s.json").stderr
    result = _run("login", "x", "--session-file", "s.json", KITEPIPE_API_KEY="k")
    assert (result.exit_code, "KITEPIPE_API_SECRET" in result.stderr) == (2, True)


def test_a_token_is_found_in_whatever_was_pasted() -> None:
    """Alone, in a query or in a URL; a page that does not say success has none."""
    assert token_in(" abc123\n") == "abc123"
    assert token_in("?request_token=abc123&action=login&status=success") == "abc123"
    assert token_in("http://127.0.0.1:8765/?action=login&request_token=abc123") == "abc123"
    for text in ("", "http://x/?action=login", "two words", "?request_token="):
        with pytest.raises(UsageError, match="no request_token"):
            token_in(text)
    with pytest.raises(AuthenticationError):
        token_in("http://x/?status=cancelled&request_token=abc")


def test_listening_catches_the_redirect_and_nothing_else() -> None:
    """Browsers ask for icons first; the first request with a token is the one."""
    port = free_port()
    caught: list[str] = []
    thread = threading.Thread(target=lambda: caught.append(catch_redirect(port)))
    thread.start()
    for path, status in (("favicon.ico", 404), ("?request_token=abc&status=success", 200)):
        assert _status(f"http://127.0.0.1:{port}/{path}") == status
    thread.join(5)
    assert [token_in(text) for text in caught] == ["abc"]


def _status(url: str) -> int:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except urllib.error.URLError:
            time.sleep(0.02)  # it is not listening yet
    raise AssertionError(f"{url} never answered")


def test_a_port_that_is_taken_is_a_usage_error(kite: Sandbox) -> None:
    """Another program has it, and says nothing about Kite."""
    with pytest.raises(UsageError, match="cannot be used"):
        catch_redirect(int(kite.url.rpartition(":")[2]))


def test_sandbox_says_when_it_is_ready_and_ends_in_peace() -> None:
    """The first line is the contract of scripts; SIGTERM is its ordinary end."""
    command = [sys.executable, "-m", "kitepipe", "sandbox", "--token", "t", "--rate-limit", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRON
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert first.startswith("listening on http://127.0.0.1:")
        url = first.split()[-1]
        request = urllib.request.Request(f"{url}/instruments/NSE")
        request.add_header("Authorization", "token sandbox_key:t")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"KITEPIPE_API_ROOT={url} KITEPIPE_API_KEY=sandbox_key KITEPIPE_ACCESS_TOKEN=t" in words
