"""Settings: what is taken, in which order, and what is refused with which words."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.config import KEYS, ConfigLoader, Settings, changed
from kitepipe.config_links import has_password, is_loopback
from kitepipe.errors import UsageError
from kitepipe.model import Interval

OPEN_KEYS = [key for key in KEYS.values() if not key.secret]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _load(environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    return ConfigLoader(environ=environ or {}).load(**flags)


def _toml(text: str) -> None:
    Path("kitepipe.toml").write_text(text, encoding="utf-8")


def _refusal(environ: Any = None, **flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        _load(environ, **flags)
    assert caught.value.exit_code == 2
    return str(caught.value)


def _complaint(environ: dict[str, str]) -> str | None:
    try:
        _load(environ)
    except UsageError as error:
        return str(error)
    return None


def test_without_any_source_the_documented_defaults_hold() -> None:
    """The defaults are those of the documentation."""
    settings = _load()
    assert settings.enabled is True
    assert settings.candle_interval == (Interval.DAY,)
    assert (settings.batch_size, settings.rate_limit, settings.parallel_workers) == (50, 3.0, 8)
    assert settings.bootstrap_date == date(1995, 1, 1)
    assert settings.staging == Path("kitepipe.duckdb")
    assert settings.dsn is None
    assert settings.api_root == "https://api.kite.trade"


_SAMPLES: dict[str, tuple[str, Any]] = {
    "batch_size": ("7", 7),
    "rate_limit": ("0.5", 0.5),
    "candle_interval": ("minute,day", (Interval.MINUTE, Interval.DAY)),
    "exchanges": ("NSE,BSE", ("NSE", "BSE")),
    "oi": ("true", True),
    "bootstrap_date": ("2015-02-01", date(2015, 2, 1)),
    "staging": ("/data/raw.duckdb", Path("/data/raw.duckdb")),
    "shard": ("2/3", (2, 3)),
}


@given(
    st.sampled_from(sorted(_SAMPLES)),
    st.sets(st.sampled_from(["flag", "environment", "file"])),
)
def test_flags_win_over_environment_over_file_over_defaults(name: str, sources: set[str]) -> None:
    """Whichever sources speak, the strongest of them is heard, for every kind of key."""
    text, value = _SAMPLES[name]
    key, strongest = KEYS[name], next((s for s in _STRENGTH if s in sources), None)
    other = {"file": "", "environment": "", "flag": ""}
    for source in sources:
        other[source] = text if source == strongest else _text(key.default)
    _toml(f"{name} = {_literal(name, other['file'])}\n" if "file" in sources else "")
    environ = {key.variable: other["environment"]} if "environment" in sources else {}
    flags = {name: other["flag"]} if "flag" in sources else {}
    assert getattr(_load(environ, **flags), name) == (value if strongest else key.default)


_STRENGTH = ("flag", "environment", "file")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _literal(name: str, text: str) -> str:
    if name in ("candle_interval", "exchanges"):
        return json.dumps(text.split(",") if text else [])
    quoted = name in ("staging", "shard")
    return json.dumps(text) if quoted else text.lower()


@given(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=30))
def test_a_key_that_is_not_in_the_table_is_refused_everywhere(name: str) -> None:
    """An unknown key is an error that names it and its place, whether in file or variable."""
    if name in KEYS or name.startswith("test_") or name == "config":
        return
    _toml(f"{name} = 1\n")
    assert f'kitepipe.toml: unknown key "{name}"' in _refusal()
    _toml("")
    assert f"unknown variable KITEPIPE_{name.upper()}" in _refusal({f"KITEPIPE_{name.upper()}": ""})


def test_a_near_miss_is_told_the_right_name() -> None:
    """Typing errors in keys, variables and values come with the word that was meant."""
    _toml("batchsize = 5")
    assert 'did you mean "batch_size"?' in _refusal()
    _toml("")
    assert 'did you mean "KITEPIPE_DSN"?' in _refusal({"KITEPIPE_DNS": "x"})
    assert 'did you mean "5minute"?' in _refusal(candle_interval="5min")
    assert 'did you mean "day"?' in _refusal(candle_interval="1d")
    assert 'did you mean "minute"?' in _refusal(candle_interval="day,1minute")
    assert 'did you mean "NSE"?' in _refusal(exchanges="nse")
    assert 'did you mean "EQ"?' in _refusal({"KITEPIPE_INSTRUMENT_TYPES": "eq"})


_JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.sampled_from(OPEN_KEYS), _JUNK)
def test_any_value_in_a_file_is_taken_or_refused_by_name(key: Any, value: Any) -> None:
    """No JSON value makes the loader stumble: it loads, or the error names file and key."""
    Path("config.json").write_text(json.dumps({key.name: value}), encoding="utf-8")
    message = _complaint({})
    assert message is None or message.startswith(f"config.json: {key.name}")
    assert message is None or "allowed is" in message or "password" in message


@given(st.sampled_from(list(KEYS.values())), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_in_a_variable_is_taken_or_refused_by_name(key: Any, text: str) -> None:
    """No text of a variable makes the loader stumble: it loads, or the error names it."""
    message = _complaint({key.variable: text})
    assert message is None or message.startswith(key.variable)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enabled", "true"),
        ("enabled", 1),
        ("batch_size", "50"),
        ("batch_size", True),
        ("batch_size", 50.0),
        ("batch_size", 0),
        ("rate_limit", 0),
        ("rate_limit", -1),
        ("rate_limit", 3.01),
        ("rate_limit", float("nan")),
        ("timeout_s", float("inf")),
        ("candle_interval", []),
        ("candle_interval", ["day", 5]),
        ("candle_interval", "week"),
        ("exchanges", "NSE,BSE"),
        ("instrument_types", ["XX"]),
        ("tradingsymbols", [""]),
        ("bootstrap_date", "2015-13-01"),
        ("bootstrap_date", "20150201"),
        ("bootstrap_date", "2999-01-01"),
        ("staging", ""),
        ("shard", 2),
        ("shard", "0/2"),
        ("shard", "3/2"),
        ("shard", "1/1000"),
        ("staging", 5),
        ("dsn", "localhost"),
        ("api_root", "ftp://api.kite.trade"),
        ("api_root", "http://api.kite.trade"),
        ("api_root", "https://api.kite.trade/v3"),
        ("backoff_cap_s", 0.5),
        ("max_attempts", 0),
    ],
)
def test_impossible_values_are_refused_with_what_is_allowed(name: str, value: Any) -> None:
    """A wrong type or an impossible value names file and key, and says what is allowed."""
    Path("config.json").write_text(json.dumps({name: value}), encoding="utf-8")
    message = _refusal()
    assert message.startswith(f"config.json: {name}")
    assert "allowed is" in message


def test_one_string_or_a_list_names_intervals() -> None:
    """The seed's configuration gives one interval as a string; a list is as good."""
    _toml('candle_interval = "minute"')
    assert _load().candle_interval == (Interval.MINUTE,)
    _toml('candle_interval = ["minute", "day", "minute"]')
    assert _load().candle_interval == (Interval.MINUTE, Interval.DAY)


def test_symbols_may_be_patterns_hold_signs_and_name_their_exchange() -> None:
    """Kite's symbols hold `&`, `-` and spaces; patterns and exchanges are accepted with them."""
    names = "M&M,NSE:INFY,NIFTY PSU BANK,BAJAJ-AUTO,NIFTY26???FUT,NSE:*BANK"
    assert _load(tradingsymbols=names).tradingsymbols == tuple(names.split(","))


def test_an_empty_variable_empties_a_list_and_a_dsn() -> None:
    """A variable that is set to nothing overrides what the file says, with nothing."""
    _toml('exchanges = ["NSE"]\ndsn = "dbname=kite"')
    settings = _load({"KITEPIPE_EXCHANGES": "", "KITEPIPE_DSN": ""})
    assert (settings.exchanges, settings.dsn) == ((), None)


def test_more_than_kites_rate_is_for_this_machine_only() -> None:
    """A limit above Kite's would get the key blocked; the sandbox here may be asked faster."""
    assert _load(rate_limit="500", api_root="http://127.0.0.1:8080").rate_limit == 500
    assert "--rate-limit = 500" in _refusal(rate_limit="500")


def test_settings_that_are_changed_are_judged_again() -> None:
    """A library call cannot slip in what a flag could not."""
    settings = changed(_load(), batch_size="7", exchanges=["NSE"], dsn=None)
    assert (settings.batch_size, settings.exchanges) == (7, ("NSE",))
    for wrong in ({"rate_limit": 500}, {"batch_size": 0}, {"bogus": 1}, {"api_key": "hush"}):
        with pytest.raises(UsageError):
            changed(settings, **wrong)


def test_continuous_wants_day_candles() -> None:
    """Kite has continuous candles by day only."""
    assert _load(continuous=True).continuous
    assert "--continuous" in _refusal(continuous=True, candle_interval="minute")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:hush@db/kite",
        "postgres://db/kite?user=me&password=hush",
        "host=db password=hush",
        "host=db password = 'hush'",
        "postgresql://me:hush@[db/kite",
    ],
)
def test_a_password_is_refused_where_others_may_read_it(dsn: str) -> None:
    """A password comes by KITEPIPE_DSN or ~/.pgpass, never by file or flag, and is not repeated."""
    assert has_password(dsn)
    _toml(f'dsn = "{dsn}"')
    for message in (_refusal(), _refusal(dsn=dsn)):
        assert "KITEPIPE_DSN" in message
        assert "hush" not in message
    Path("kitepipe.toml").unlink()
    settings = _load({"KITEPIPE_DSN": dsn})
    assert settings.dsn == dsn
    assert "hush" not in repr(settings)


def test_a_dsn_without_password_may_stand_anywhere() -> None:
    """Hosts, users, ports and the embedded server are no secrets."""
    for dsn in ("embedded", "postgresql://me@db:5433/kite", "host=db user=password_keeper"):
        assert _load(dsn=dsn).dsn == dsn


@pytest.mark.parametrize("name", ["api_key", "api_secret", "access_token"])
def test_secrets_come_by_variable_only_and_are_never_shown(name: str) -> None:
    """A secret in a file or a flag is refused unread; from a variable it is in no repr."""
    _toml(f'{name} = "hush"')
    message = _refusal()
    assert KEYS[name].variable in message
    assert "hush" not in message
    _toml("")
    assert "hush" not in _refusal(**{name: "hush"})
    settings = _load({KEYS[name].variable: "hush"})
    assert getattr(settings, name) == "hush"
    assert "hush" not in repr(settings)
    assert not KEYS[name].flag


def test_the_test_suites_own_variables_are_not_unknown() -> None:
    """Variables that only tests know are no typing errors."""
    assert _load({"KITEPIPE_TEST_DSN": "x", "KITEPIPE_REQUIRE_TIMESCALE": "1"}) == _load()


def test_loopback_is_judged_without_a_lookup() -> None:
    """Only names and numbers of this very machine count as this machine."""
    assert is_loopback("http://localhost:1")
    assert is_loopback("http://127.8.8.8")
    assert is_loopback("http://[::1]:99/")
    assert not is_loopback("http://localhost.example.com")
    assert not is_loopback("http://127.0.0.1.example.com")
    assert not is_loopback("nonsense")
