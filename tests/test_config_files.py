"""Where settings come from and where they are told: files, folders, the init file, the README."""

import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitepipe.config import KEYS, ConfigLoader, Settings
from kitepipe.config_text import init_text, markdown_table
from kitepipe.errors import UsageError

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


_VALUE = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    st.lists(st.one_of(st.text(max_size=8), st.integers()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
_DOCUMENT = st.dictionaries(
    st.one_of(st.sampled_from(sorted(KEYS)), st.text(max_size=12)), _VALUE, max_size=4
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.one_of(st.binary(max_size=200), _DOCUMENT.map(lambda d: json.dumps(d).encode())))
def test_any_file_is_settings_or_an_error_that_names_it(contents: bytes, tmp_path: Path) -> None:
    """In either form, whatever the bytes; and an error of ours, with exit code 2."""
    for name in ("k.toml", "k.json"):
        file = tmp_path / name
        file.write_bytes(contents)
        error = _error_of(file)
        assert error is None or (name in str(error), error.exit_code) == (True, 2)


def _error_of(file: Path) -> UsageError | None:
    try:
        ConfigLoader(file, {}).load()
    except UsageError as error:
        return error
    return None


def test_the_file_is_named_by_flag_by_variable_or_found_here(tmp_path: Path) -> None:
    """--config is stronger than KITEPIPE_CONFIG, and that than the file in this folder."""
    _toml("batch_size = 1")
    (tmp_path / "two.toml").write_text("batch_size = 2")
    (tmp_path / "three.json").write_text('{"batch_size": 3}')
    variable = {"KITEPIPE_CONFIG": "two.toml"}
    assert _load().batch_size == 1
    assert _load(variable).batch_size == 2
    settings = ConfigLoader(Path("three.json"), variable).load()
    assert (settings.batch_size, settings.config_file) == (3, Path("three.json"))


def test_two_files_here_are_one_too_many() -> None:
    """Nobody can tell which of two configurations was meant."""
    _toml("")
    Path("config.json").write_text("{}")
    assert "both" in _refusal()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("absent.toml", None, "No such file"),
        ("bad.toml", b"batch_size = = 5", "line 1"),
        ("bad.json", b'{"batch_size": }', "line 1"),
        ("list.json", b"[]", "object"),
        ("twice.json", b'{"oi": true, "oi": false}', "twice"),
        ("latin.toml", b'dsn = "\xe9"', "utf-8"),
        ("section.toml", b"[kitepipe]\nbatch_size = 5", "unknown key"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes | None, word: str) -> None:
    """Absent, broken and undecodable files are errors that name the file and what is wrong."""
    if content is not None:
        Path(name).write_bytes(content)
    message = _refusal({"KITEPIPE_CONFIG": name})
    assert message.startswith(name)
    assert word in message


def test_paths_in_a_file_are_seen_from_its_folder(tmp_path: Path) -> None:
    """A cron job started anywhere finds the staging file beside its configuration."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "k.toml").write_text('staging = "raw.duckdb"')
    assert ConfigLoader(folder / "k.toml", {}).load().staging == folder / "raw.duckdb"
    assert ConfigLoader(folder / "k.toml", {}).load(staging="x.db").staging == Path("x.db")


def test_user_folders_follow_xdg_and_ignore_a_relative_one() -> None:
    """Session and embedded database live where the desktop standard says."""
    settings = _load({"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "data", "HOME": "/home/me"})
    assert settings.session_file == Path("/c/kitepipe/session.json")
    assert settings.embedded_folder == Path("/home/me/.local/share/kitepipe/postgres")


def test_the_init_file_says_only_defaults() -> None:
    """The file that `init` writes changes nothing as it is, nor with every line uncommented."""
    environ = {"HOME": str(Path.home())}
    Path("kitepipe.toml").write_text(init_text())
    assert _without_file(_load(environ)) == _without_file(Settings(session_file=_session_file()))
    open_lines = re.sub(r"^#(?=\w)", "", init_text(), flags=re.M)
    assert open_lines.count("\n") == init_text().count("\n") != 0
    Path("kitepipe.toml").write_text(open_lines)
    assert _without_file(_load(environ)) == _without_file(Settings(session_file=_session_file()))


def _session_file() -> Path:
    return Path.home() / ".config/kitepipe/session.json"


def _without_file(settings: Settings) -> dict[str, Any]:
    values = {key.name: getattr(settings, key.name) for key in OPEN_KEYS}
    return values | {"staging": settings.staging.name}


def test_every_field_is_a_key_and_every_key_is_documented() -> None:
    """The table is complete: each key stands in the init file and in the README's table."""
    assert {f.name for f in fields(Settings)} - set(KEYS) == {"config_file", "embedded_folder"}
    for key in OPEN_KEYS:
        assert f"\n#{key.name} = " in init_text()
        assert f"`{key.flag}`" in markdown_table()
    for key in KEYS.values():
        assert f"`{key.variable}`" in markdown_table()


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping of its own the loader reads the real environment."""
    for name in [name for name in os.environ if name.startswith("KITEPIPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KITEPIPE_BATCH_SIZE", "9")
    assert ConfigLoader().load().batch_size == 9
