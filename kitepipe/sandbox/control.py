"""The control door: how another process moves the clock, breaks things and reads the counts.

It has no limit, no latency, and is not counted. Bodies are JSON objects, instants ISO 8601 (IST
where no offset stands).
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from kitepipe.errors import UsageError
from kitepipe.model import Instrument, Interval
from kitepipe.sandbox.catalogue import new_listing
from kitepipe.sandbox.clock import as_instant
from kitepipe.sandbox.corrections import Correction
from kitepipe.sandbox.faults import Faults, parse_faults
from kitepipe.sandbox.market import Market
from kitepipe.sandbox.replies import Reply, compact

Body = dict[str, Any]


def control(market: Market, method: str, verb: str, body: Body) -> Reply:
    """Do what is asked for; 400 with the reason when it makes no sense."""
    action = _ACTIONS.get((method, verb))
    if action is None:
        known = ", ".join(f"{how} /sandbox/{what}" for how, what in _ACTIONS)
        return Reply(404, compact({"error": f"there is {known}"}))
    try:
        return Reply(200, compact(action(market, body) or {"ok": True}))
    except (KeyError, ValueError, TypeError, UsageError) as wrong:
        return Reply(400, compact({"error": f"{type(wrong).__name__}: {wrong}"}))


def _instant(text: str | None) -> datetime | None:
    return as_instant(datetime.fromisoformat(text)) if text else None


def _requests(market: Market, _: Body) -> Body:
    return market.journal.counts.as_dict()


def _log(market: Market, _: Body) -> Body:
    return {
        "log": [
            {
                "received": entry.received,
                "kind": entry.kind,
                "method": entry.method,
                "path": entry.path,
                "status": entry.status,
                "fault": entry.fault,
            }
            for entry in market.journal.entries
        ]
    }


def _now(market: Market, body: Body) -> Body:
    if "now" in body:
        market.clock.set(_instant(body["now"]), body.get("clock_runs"))
    return {"now": market.clock.now().isoformat()}


def _faults(market: Market, body: Body) -> None:
    if "token" in body or "symbol" in body:
        name = body.get("symbol") or int(body["token"])
        token = market.listing.find(name, market.clock.now()).instrument.instrument_token
        market.faults.fail(token, body["kind"], body.get("times"))
    elif "text" in body:
        market.faults.set(parse_faults(body["text"]))
    else:
        market.faults.set(Faults(body.get("rates") or {}, tuple(body.get("script") or ())))


def _rate_limit(market: Market, body: Body) -> None:
    market.limit(float(body["per_second"]))


def _split(market: Market, body: Body) -> None:
    market.split(body["symbol"], date.fromisoformat(body["ex_date"]), float(body["ratio"]))


def _correct(market: Market, body: Body) -> None:
    at = as_instant(datetime.fromisoformat(body["at"]))
    correction = Correction(
        at=at,
        values=body.get("values") or {},
        raw=body.get("raw"),
        gone=bool(body.get("gone")),
        since=_instant(body.get("since")),
    )
    key = market.listing.find(body["symbol"], market.clock.now()).spec.key
    market.corrections.add(key, Interval(body["interval"]), correction)


def _list(market: Market, body: Body) -> None:
    fields = dict(body["instrument"])
    if fields.get("expiry"):
        fields["expiry"] = date.fromisoformat(fields["expiry"])
    since = date.fromisoformat(body.get("first_day", "1995-01-01"))
    row = new_listing(Instrument(**fields), since, float(body.get("price", 100)))
    market.listing.add(row, _instant(body.get("at")))


def _delist(market: Market, body: Body) -> None:
    market.listing.remove(body["symbol"], _instant(body.get("at")))


def _rename(market: Market, body: Body) -> None:
    market.listing.rename(body["symbol"], body["tradingsymbol"], _instant(body.get("at")))


def _move_token(market: Market, body: Body) -> None:
    market.listing.move_token(body["symbol"], int(body["token"]), _instant(body.get("at")))


def _expire_token(market: Market, _: Body) -> None:
    market.accounts.expire()


def _reset(market: Market, _: Body) -> None:
    market.journal.clear()


_ACTIONS: dict[tuple[str, str], Callable[[Market, Body], Body | None]] = {
    ("GET", "requests"): _requests,
    ("GET", "log"): _log,
    ("GET", "now"): _now,
    ("POST", "now"): _now,
    ("POST", "faults"): _faults,
    ("POST", "rate_limit"): _rate_limit,
    ("POST", "split"): _split,
    ("POST", "correct"): _correct,
    ("POST", "list"): _list,
    ("POST", "delist"): _delist,
    ("POST", "rename"): _rename,
    ("POST", "move_token"): _move_token,
    ("POST", "expire_token"): _expire_token,
    ("POST", "reset_counts"): _reset,
}
