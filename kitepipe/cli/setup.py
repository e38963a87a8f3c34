"""The verbs of the first day: init and login."""

import sys
from pathlib import Path

import click

from kitepipe.cli.common import common_options, invocation
from kitepipe.cli.options import Verb, json_option, settings_options
from kitepipe.cli.output import say, say_json, tell
from kitepipe.config import Settings
from kitepipe.config_text import init_text
from kitepipe.errors import AuthenticationError, UsageError
from kitepipe.model import IST
from kitepipe.session_file import Session, read_session, store_session


@click.command(cls=Verb, example="kitepipe init && $EDITOR kitepipe.toml")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@common_options
def init(force: bool) -> int:
    """Write kitepipe.toml: every setting, commented out.

    With --config FILE it is written there. As it is, the file changes nothing.
    """
    path = invocation().config or Path("kitepipe.toml")
    if path.suffix == ".json":
        raise UsageError(f"{path}: JSON has no comments; let init write a .toml file")
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(init_text())
    except FileExistsError:
        raise UsageError(f"{path} is there already; --force writes over it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}; next: edit it, then 'kitepipe login'")
    return 0


@click.command(cls=Verb, example="KITEPIPE_API_KEY=... kitepipe login --listen")
@click.argument("request_token", required=False)
@click.option(
    "--listen",
    is_flag=True,
    help="Catch the redirect on this machine: register http://127.0.0.1:PORT/ as your app's "
    "redirect URL.",
)
@click.option("--port", default=8765, show_default=True, metavar="PORT", help="For --listen.")
@json_option
@settings_options
def login(
    settings: Settings, request_token: str | None, listen: bool, port: int, as_json: bool
) -> int:
    """Open today's Kite session, and keep it for the other verbs.

    REQUEST_TOKEN is what Kite's login page hands to your app, alone or as the whole URL to which
    the page redirects. Without it the login page's address is shown, and it is read from stdin.
    The API secret comes from KITEPIPE_API_SECRET, or is asked for. The session is kept in a file
    that only you can read, and ends at 06:00 IST.
    """
    from kitepipe.cli.listen import catch_redirect, token_in
    from kitepipe.kite import login_url, open_session

    api_key = _api_key(settings)
    if not request_token:
        tell(f"log in here: {login_url(settings.api_root, api_key)}")
        request_token = catch_redirect(port) if listen else _read_token()
    secret = settings.api_secret or _ask_secret()
    opened = open_session(settings.api_root, api_key, token_in(request_token), secret)
    session = Session(api_key, str(opened["access_token"]), str(opened.get("user_id") or ""))
    _report(settings, store_session(settings.session_file, session), as_json)
    return 0


def _report(settings: Settings, session: Session, as_json: bool) -> None:
    if settings.access_token and settings.access_token != session.access_token:
        tell("warning: KITEPIPE_ACCESS_TOKEN is set, and stronger than this session: unset it")
    dies_at = session.dies_at.astimezone(IST) if session.dies_at else None
    if as_json:
        told = dies_at and dies_at.isoformat()
        kept = str(settings.session_file)
        say_json({"user_id": session.user_id, "dies_at": told, "session_file": kept})
        return
    who = session.user_id or "you"
    say(f"logged in as {who} until {dies_at:%Y-%m-%d %H:%M} IST; kept in {settings.session_file}")


def _api_key(settings: Settings) -> str:
    if settings.api_key:
        return settings.api_key
    try:
        stored = read_session(settings.session_file)
    except AuthenticationError:
        stored = None  # this login is about to replace that file
    if stored is None:
        raise UsageError("set KITEPIPE_API_KEY to your app's key (https://developers.kite.trade)")
    return stored.api_key


def _read_token() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("request_token, or the whole redirect URL", err=True))
    return sys.stdin.readline()


def _ask_secret() -> str:
    if not sys.stdin.isatty():
        raise UsageError("set KITEPIPE_API_SECRET to your app's secret; no terminal to ask on")
    return str(click.prompt("API secret", hide_input=True, err=True))
