"""`python -m tests.soak.guided TARGET RUNS SEED`: a coverage-guided fuzzer (atheris) at one door.

It ends with 0, or with the first input that did what no input may do. Targets: replies (what numpy
reads is what JSON says), dumps of instruments, configuration files.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["kitepipe"]):
    from kitepipe.config import ConfigLoader
    from kitepipe.errors import StagingError, UsageError
    from kitepipe.staging import Staging
    from kitepipe.staging_instruments import take_snapshot
    from kitepipe.staging_plain import read_replies

_CANDLE = '["2024-01-10T09:15:00+0530",10,12.5,9.5,11.05,700]'
_BODY = f'{{"status":"success","data":{{"candles":[{_CANDLE},{_CANDLE}]}}}}'
_DUMP = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    'lot_size,instrument_type,segment,exchange\n256,1,INFY,"INFOSYS",0,,0,0.05,1,EQ,NSE,NSE\n'
)
_CONFIGURATION = 'exchanges = ["NSE"]\nrate_limit = 2.5\nbootstrap_date = "2015-01-01"\noi = true\n'


def replies(data: bytes) -> None:
    """Each number is Python's float, each instant the text's; other forms are left to SQL."""
    plain, columns = read_replies({1: data})
    if not plain:
        return
    rows = json.loads(data)["data"]["candles"]
    names = ("open", "high", "low", "close", "volume")
    found = [columns[name].tolist() for name in names]
    assert [list(map(float, row[1:6])) for row in rows] == [
        list(map(float, row)) for row in zip(*found, strict=True)
    ]
    instants = [datetime.fromisoformat(row[0][:19]).replace(tzinfo=UTC) for row in rows]
    assert [round(at.timestamp() * 1e6) for at in instants] == columns["ist_us"].tolist()
    assert [row[6] if len(row) > 6 else None for row in rows] == columns["oi"].tolist()


def dumps(staging: Staging) -> Callable[[bytes], None]:
    """Each dump is taken or refused; rows that are no instruments are in quarantine."""

    def take(data: bytes) -> None:
        try:
            report = take_snapshot(staging, data, "NSE", datetime.now(UTC))
        except (StagingError, UsageError):  # the latter where it lists nothing
            return
        assert report.rows > 0

    return take


def configurations(folder: Path) -> Callable[[bytes], None]:
    """Each file is settings, or an error that names the file."""

    def read(data: bytes) -> None:
        file = folder / ("k.json" if data[:1] in (b"{", b"[") else "k.toml")
        file.write_bytes(data)
        try:
            ConfigLoader(file, {}).load()
        except UsageError as error:
            if file.name not in str(error):
                raise AssertionError("which file is not told") from error

    return read


def main() -> None:
    """Go on for so many inputs; libFuzzer ends the process, with 0 if all went well."""
    target, runs, seed = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="kitepipe-guided-"))
    (folder / "corpus").mkdir()
    texts = {"replies": _BODY, "dumps": _DUMP, "configurations": _CONFIGURATION}
    (folder / "corpus" / "first").write_text(texts[target], encoding="utf-8")
    options = [f"-runs={runs}", f"-seed={seed}", "-max_len=4096", f"-artifact_prefix={folder}/"]
    with Staging.write(folder / "s.duckdb", "http://127.0.0.1:9") as staging:
        ways: dict[str, Any] = {
            "replies": replies,
            "dumps": dumps(staging),
            "configurations": configurations(folder),
        }
        atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], ways[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
