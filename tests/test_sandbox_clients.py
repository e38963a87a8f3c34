"""Zerodha's own clients work against the sandbox unchanged: Python's and JavaScript's."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitepipe.sandbox import Faults, Sandbox
from tests.sandbox_asking import candles, ist, sandbox

JS_CLIENT = "kiteconnect@5.3.0"
JS = """
import { KiteConnect } from "kiteconnect";
const kite = new KiteConnect({ api_key: "sandbox_key", root: process.argv[2] });
const told = {};
told.session = (await kite.generateSession("from the browser", "sandbox_secret")).user_id;
told.profile = (await kite.getProfile()).broker;
const rows = (await kite.getInstruments("NFO")).filter((row) => row.tradingsymbol);
told.contracts = rows.length;
const future = rows.find((row) => row.tradingsymbol === "NIFTY26DECFUT");
told.expiry = future.expiry;
told.candles = await kite.getHistoricalData(
  future.instrument_token, "60minute", "2026-11-18 00:00:00", "2026-11-18 23:59:59", false, true);
told.dated = (await kite.getHistoricalData(
  "408065", "day", new Date(2026, 10, 16), new Date(2026, 10, 20, 23, 59, 59))).length;
const wrong = async (promise) => promise.then(() => "no error", (error) => error.error_type);
told.dead = await wrong(kite.getHistoricalData(1, "day", "2026-11-18", "2026-11-18"));
told.out = await kite.invalidateAccessToken();
told.after = await wrong(kite.getProfile());
console.log(JSON.stringify(told));
"""


@pytest.fixture
def running() -> Iterator[Sandbox]:
    """A sandbox without a limit."""
    with sandbox() as kite:
        yield kite


@pytest.fixture
def client(running: Sandbox) -> Any:
    """Python's client, as kitepipe's door imports it: Twisted is none of our business."""
    kiteconnect = pytest.importorskip("kiteconnect")
    kite = kiteconnect.KiteConnect(api_key="sandbox_key", root=running.url)
    kite.set_access_token("sandbox_token")
    return kite


def test_python_client_opens_a_session(running: Sandbox, client: Any) -> None:
    """Checksum, login time, the new token in use, and its end."""
    session = client.generate_session("from the browser", "sandbox_secret")
    assert session["access_token"] == running.access_token == client.access_token
    assert isinstance(session["login_time"], datetime)
    assert client.profile()["broker"] == "ZERODHA"
    assert client.invalidate_access_token() is True
    assert running.access_token is None


def test_python_client_reads_the_dump(client: Any) -> None:
    """Numbers and expiries parsed, all rows there."""
    rows = client.instruments()
    assert len(rows) == 60
    future = next(row for row in rows if row["tradingsymbol"] == "NIFTY26DECFUT")
    assert future["expiry"] == date(2026, 12, 29)
    assert (future["lot_size"], future["segment"]) == (65, "NFO-FUT")
    assert {row["exchange"] for row in client.instruments("MCX")} == {"MCX"}


def test_python_client_reads_history(running: Sandbox, client: Any) -> None:
    """The same candles as on the wire, with aware dates and oi where it was asked for."""
    first, last = datetime(2026, 11, 18), datetime(2026, 11, 18, 23, 59, 59)  # noqa: DTZ001
    token = running.token_of("NIFTY26DECFUT")
    found = client.historical_data(token, first, last, "60minute", oi=True)
    raw = candles(running, token, "60minute", "2026-11-18", "2026-11-18", oi=1)
    keys = ["date", "open", "high", "low", "close", "volume", "oi"]
    expected = [dict(zip(keys, one, strict=True)) for one in raw]
    assert [{**one, "date": f"{one['date']:%FT%T%z}"} for one in found] == expected
    plain = client.historical_data(token, "2026-11-18 00:00:00", "2026-11-18 23:59:59", "day")
    assert [len(one) for one in plain] == [6]
    assert plain[0]["date"] == ist(2026, 11, 18)


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        ("429", "NetworkException", 429),
        ("500", "GeneralException", 500),
        ("502", "DataException", 502),
        ("expired_token", "TokenException", 403),
        ("permission", "PermissionException", 403),
        ("html429", "DataException", 502),
        ("truncated", "DataException", 502),
        ("wrong_type", "DataException", 502),
        ("untyped", "TypeError", None),
        ("no_type", "KeyError", None),
        ("reset", "ConnectionError", None),
    ],
)
def test_python_client_raises_what_it_raises_at_kite(
    running: Sandbox, client: Any, fault: str, raised: str, code: int | None
) -> None:
    """Its classes and codes, and its known traps."""
    running.faults(Faults(script=[fault]))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the class is what is looked at
        client.historical_data(408065, "2026-11-18 00:00:00", "2026-11-18 23:59:59", "day")
    assert (type(caught.value).__name__, getattr(caught.value, "code", None)) == (raised, code)


def test_python_client_meets_the_caps_and_dead_tokens(client: Any) -> None:
    """InputException with Kite's own words."""
    exceptions = pytest.importorskip("kiteconnect.exceptions")
    last = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(exceptions.InputException, match="interval exceeds max limit: 60 days"):
        client.historical_data(408065, last - timedelta(days=61), last, "minute")
    with pytest.raises(exceptions.InputException, match="invalid token"):
        client.historical_data(1, last, last, "day")


@pytest.fixture(scope="session")
def npm_folder() -> Path:
    """A folder of the user's cache in which the JavaScript client is installed, once."""
    if not shutil.which("node") or not (npm := shutil.which("npm")):
        pytest.skip("the JavaScript client: no node or npm here")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "kitepipe" / JS_CLIENT
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), JS_CLIENT]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        if done.returncode:
            pytest.skip(f"the JavaScript client cannot be installed: {done.stderr.strip()[-300:]}")
        (folder / "installed").touch()
    return folder


def test_javascript_client_works_unchanged(running: Sandbox, npm_folder: Path) -> None:
    """Session, dump, history with oi, errors and the session's end."""
    script = npm_folder / f"ask-{os.getpid()}.mjs"
    script.write_text(JS, encoding="utf-8")
    try:
        done = subprocess.run(
            ["node", str(script), running.url],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "TZ": "Asia/Kolkata"},
        )
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["session"], told["profile"]) == ("SB0001", "ZERODHA")
    assert told["expiry"].startswith("2026-12-29")
    assert told["contracts"] == 11
    assert len(told["candles"]) == 7
    assert all(set(one) >= {"date", "open", "oi"} for one in told["candles"])
    assert told["candles"][0]["date"] == "2026-11-18T03:45:00.000Z"
    assert told["dated"] == 5
    assert (told["dead"], told["out"], told["after"]) == ("InputException", True, "TokenException")
    assert running.access_token is None
