"""Names that are not meant well do no harm: in SQL, files, the terminal, reports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepipe.cli.output import harmless
from kitepipe.model import Instrument
from tests.box_help import Box
from tests.sandbox_asking import sandbox
from tests.servers import Look
from tests.staging_help import stored

# What is an instrument all the same, and what is none, with the rule that says so.
NAMES = (
    *(
        "'; drop table kite_ohlcv_historic; --",
        "../../pwned",
        "`$(touch pwned)`",
        "*",
        "%s%(x)s{0}",
    ),
    *(
        "[bold]",
        " lead",
        "\N{ROCKET}",
        "\N{HEBREW LETTER ALEF}",
        "\\x00",
        "NULL",
        "x" * 255,
    ),
)
REFUSED = {
    "\u202edetrevni": "control_character",
    "\x1b[2J\x1b]0;pwned\a": "control_character",
    "nul\x00": "control_character",
    "A" * 10_000: "too_long",
    'open "quote': "bad_csv",
    '"at the end': "bad_csv",
    "carriage\rreturn": "bad_csv",
}
WANTED = ("--exchanges", "NSE", "--from", "2025-11-01", "--candle-interval", "day,60minute")


# Unicode's Bidi_Control.
_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text() | st.text(st.sampled_from(["\x1b", "[", "m", ";", "0", "8", "3", "1", *_MARKS])))
def test_no_text_steers_the_terminal_and_json_says_the_same(text: str) -> None:
    """Names and messages come from outside: in lines as in documents they only stand there."""
    quiet = re.sub(r"\x1b\[(0|1|31|32|33)m", "", harmless(f"a {text} b"))
    assert not [c for c in quiet if not c.isprintable() and ord(c) < 0xA0 and c not in "\n\t"]
    assert not set(quiet) & set(_MARKS)
    assert json.loads(harmless(json.dumps(text, ensure_ascii=False))) == text


def test_colours_of_our_own_stay() -> None:
    """What a terminal does with them is known."""
    assert harmless("\x1b[1mfetch\x1b[0m: \x1b[2J") == "\x1b[1mfetch\x1b[0m: \\u001b[2J"
    assert harmless("\x1b[8mhidden \x1b[30;40m") == "\\u001b[8mhidden \\u001b[30;40m"


@pytest.fixture
def box(tmp_path: Path, warehouse_dsn: str) -> Iterator[Box]:
    """A box whose Kite lists them all, two levels below the folder of the test."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with sandbox(api_key=f"odd{tmp_path.name}", other_rate_limit=1000) as kite:
        for place, name in enumerate([*NAMES, *REFUSED], start=3_500_000):
            kite.list_instrument(_instrument(place, name))
        yield Box(folder, kite, warehouse_dsn, {"KITEPIPE_ARCHIVE": "far"})


def _instrument(place: int, name: str) -> Instrument:
    return Instrument(
        256 * place, "NSE", name, name="odd", exchange_token=place, segment="NSE",
        instrument_type="EQ",
    )  # fmt: skip


@pytest.mark.faults
def test_names_do_no_harm_on_their_way(box: Box, look: Look, tmp_path: Path) -> None:
    """Each verb does its work and says so; what is listed is loaded, and nothing else is made."""
    for name in (NAMES[0], NAMES[5]):
        box.kite.fail(name, "500")
    said = [box.kitepipe("instruments")]
    said.append(box.kitepipe("fetch", *WANTED))
    assert said[-1].code == 3
    assert f"NSE:{NAMES[0]}" in said[-1].out
    for name in (NAMES[0], NAMES[5]):
        box.kite.fail(name, "500", times=0)
    run = f"run {' '.join(WANTED)}"
    verbs = ("status --gaps", "verify", "archive --json", "replay --json", "verify")
    for verb in (run, f"{run} --refetch", *verbs):
        said.append(box.kitepipe(*verb.split()))
        assert said[-1].code == 0, (verb, said[-1])
    text = "".join(ended.out + ended.err for ended in said)
    assert [c for c in text if not c.isprintable() and c not in "\n"] == []
    found = look("select tradingsymbol from kite_instruments where name = 'odd'")
    assert {name for (name,) in found} == set(NAMES)
    loaded = "select count(distinct tradingsymbol) from kite_ohlcv where tradingsymbol = any(%s)"
    assert look(loaded, list(NAMES)) == [(len(NAMES),)]
    rules = stored(box.staging, "select rule, count(*) from instrument_quarantine group by rule")
    assert dict(rules) == {rule: list(REFUSED.values()).count(rule) for rule in REFUSED.values()}
    assert {path.name for path in tmp_path.rglob("*") if "pwned" in path.name} == set()
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
    assert json.loads(said[-2].out)["equal"] > 0
