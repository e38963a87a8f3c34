"""Loading as others do it: the official client's parse and an upsert, and dlt's merge."""

from collections.abc import Iterator
from importlib.util import find_spec

from tests.bench import official
from tests.bench.figures import Figure
from tests.bench.loading import run_load
from tests.bench.processes import run
from tests.bench.workplace import Workplace
from tests.servers import UnavailableError

_SMALL = (1, 4)  # instruments and windows: peers take a minute for a million candles
_PAIRS = 3


def load_beside_peers(place: Workplace) -> Iterator[Figure]:
    """`kitepipe load`, process and all, against peers without their start, at their smallest."""
    if not find_spec("dlt"):
        raise UnavailableError("dlt is not installed: make bench installs it")
    material = place.material(place.size.instruments, place.size.windows)
    small = place.material(*_SMALL)
    bodies = small.bodies()
    ours, client, dlt = [], [], []
    for _ in range(_PAIRS):
        with place.database() as dsn:
            client.append(small.candles / official.upsert(dsn, bodies))
        with place.database() as dsn:
            peer = run(["-m", "tests.bench.merging", dsn, str(small.staging)], place.new_folder())
            dlt.append(small.candles / peer.report()["seconds"])
        with place.database() as dsn:
            ran = run_load(material, dsn, expect=material.candles)
            ours.append(material.candles / ran.seconds)
    what = "load: candles/s"
    yield Figure("peers", what, ours, "kiteconnect + execute_values", client, least=30)
    yield Figure("peers", what, ours, "dlt, merge of Arrow tables", dlt, least=7)
