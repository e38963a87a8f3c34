"""How settings come about: flags over environment over file over defaults.

The only room that reads the environment. Every error names the key and the place where its value
was written, and what is allowed there.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kitepipe.config_kinds import Hint, did_you_mean
from kitepipe.config_links import check_links, has_password
from kitepipe.errors import UsageError
from kitepipe.session_file import Session
from kitepipe.settings import KEYS, Key, Settings

__all__ = ["KEYS", "ConfigLoader", "Key", "Session", "Settings", "changed"]

# The test-suite's own variables: no concern of ours, and no typing errors either.
_FOREIGN_VARIABLES = ("KITEPIPE_TEST_", "KITEPIPE_REQUIRE_TIMESCALE")


class _Given(NamedTuple):
    """A value and the place where it was written, as errors name it."""

    value: Any
    place: str


class ConfigLoader:
    """Reads one configuration: `path` or KITEPIPE_CONFIG, else the file in this folder."""

    def __init__(self, path: Path | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._path = path

    def load(self, **overrides: Any) -> Settings:
        """Return the settings; `overrides` are flags: text or typed values, None is not given."""
        file = self._file()
        given = self._from_file(file) if file else {}
        given |= self._from_environment()
        given |= _from_flags(overrides)
        return _applied(self._defaults(file), given)

    def _file(self) -> Path | None:
        named = self._path or self._environ.get("KITEPIPE_CONFIG")
        if named:
            return Path(named).expanduser()
        found = [p for p in (Path("kitepipe.toml"), Path("config.json")) if p.exists()]
        if len(found) > 1:
            raise UsageError(
                "kitepipe.toml and config.json are both in this folder; say which with --config, "
                "or remove one"
            )
        return found[0] if found else None

    def _defaults(self, file: Path | None) -> Settings:
        config = self._folder("XDG_CONFIG_HOME", ".config")
        data = self._folder("XDG_DATA_HOME", ".local/share")
        return Settings(
            session_file=config / "session.json",
            embedded_folder=data / "postgres",
            config_file=file,
        )

    def _folder(self, variable: str, below_home: str) -> Path:
        named = Path(self._environ.get(variable, ""))
        if not named.is_absolute():  # the XDG specification: a relative one is to be ignored
            home = self._environ.get("HOME")
            named = (Path(home) if home else Path("~").expanduser()) / below_home
        return named / "kitepipe"

    def _from_file(self, file: Path) -> dict[str, _Given]:
        given = {}
        for name, value in _contents(file).items():
            if name not in KEYS:
                raise UsageError(_unknown(f'{file}: unknown key "{name}"', name, tuple(KEYS)))
            key = KEYS[name]
            if key.secret:
                raise UsageError(f"{file}: {name}: {_no_secrets(key)}")
            item = _read(key, value, f"{file}: {name}")
            if isinstance(item.value, Path):  # beside the file, from wherever kitepipe is started
                item = item._replace(value=file.parent / item.value)
            given[name] = item
        return given

    def _from_environment(self) -> dict[str, _Given]:
        names = {key.variable: key for key in KEYS.values()}
        given = {}
        for variable in sorted(v for v in self._environ if v.startswith("KITEPIPE_")):
            if variable == "KITEPIPE_CONFIG" or variable.startswith(_FOREIGN_VARIABLES):
                continue
            if variable not in names:
                raise UsageError(
                    _unknown(f"unknown variable {variable}", variable, (*names, "KITEPIPE_CONFIG"))
                )
            key = names[variable]
            given[key.name] = _parse(key, self._environ[variable], variable)
        return given


def changed(settings: Settings, **overrides: Any) -> Settings:
    """Return settings with some of them replaced, judged as flags are; None is not given."""
    return _applied(settings, _from_flags(overrides))


def _applied(settings: Settings, given: Mapping[str, _Given]) -> Settings:
    settings = replace(settings, **{name: item.value for name, item in given.items()})
    check_links(settings, {name: item.place for name, item in given.items()})
    return settings


def _from_flags(overrides: Mapping[str, Any]) -> dict[str, _Given]:
    given = {}
    for name, value in overrides.items():
        if name not in KEYS:
            raise UsageError(_unknown(f'unknown setting "{name}"', name, tuple(KEYS)))
        key = KEYS[name]
        if key.secret:
            raise UsageError(f"{name}: {_no_secrets(key)}")
        if value is not None:
            take = _parse if isinstance(value, str) else _read
            given[name] = take(key, value, key.flag)
    return given


def _read(key: Key, value: Any, place: str) -> _Given:
    if key.name == "dsn" and isinstance(value, str) and has_password(value):
        raise UsageError(
            f"{place}: a password has no place here, where others may read it; "
            "give the dsn by KITEPIPE_DSN, or keep the password in ~/.pgpass"
        )
    try:
        return _Given(key.kind.read(value), place)
    except ValueError as error:
        raise UsageError(_impossible(key, value, place, error)) from None


def _parse(key: Key, text: str, place: str) -> _Given:
    if key.name == "dsn" and place == key.flag:
        return _read(key, text, place)
    try:
        return _Given(key.kind.parse(text), place)
    except ValueError as error:
        raise UsageError(_impossible(key, text, place, error)) from None


def _impossible(key: Key, value: Any, place: str, hint: ValueError) -> str:
    # A dsn from the environment may hold a password, and so may any address.
    private = key.secret or key.name == "dsn" or "@" in str(value)
    shown = "" if private else f" = {json.dumps(value, default=str)}"
    words = str(hint) if isinstance(hint, Hint) else ""
    return "; ".join(filter(None, [f"{place}{shown}: allowed is {key.kind.allowed}", words]))


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    advice = "'kitepipe fetch --help' lists all"
    return "; ".join(filter(None, [what, did_you_mean(name, known), advice]))


def _no_secrets(key: Key) -> str:
    return f"secrets come by {key.variable} only, or by the file that 'kitepipe login' writes"


def _contents(file: Path) -> dict[str, Any]:
    import tomllib  # here, so that --version does not pay for it

    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix != ".json":
            return tomllib.loads(text)
        plain = json.loads(text, object_pairs_hook=_no_repeats)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # tomllib's, json's and UTF-8's errors are all of this kind
        raise UsageError(f"{file}: {error}") from error
    if not isinstance(plain, dict):
        raise UsageError(f"{file}: an object of keys and values is expected")
    return plain


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'key "{next(n for n in names if names.count(n) > 1)}" stands there twice')
    return plain
