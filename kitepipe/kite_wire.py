"""The wire to Kite: a request takes its turn when its connection is open, right before it leaves.

Kite counts arrivals. One that had yet to connect (TLS takes 100 to 200 ms) would arrive so much
later, too close to those behind it; and connections are opened at any time in a run.
"""

from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class PacedAdapter(HTTPAdapter):
    """Calls `take_turn` in the thread that sends, once a request."""

    def __init__(self, take_turn: Callable[[], None], connections: int) -> None:
        self._pools = _paced_pools(take_turn)
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of a proxy's connections."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _paced_pools(take_turn: Callable[[], None]) -> dict[str, type[HTTPConnectionPool]]:
    class Connection(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is None:
                self.connect()
            take_turn()
            super().request(*args, **kwargs)

    class SecureConnection(HTTPSConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            take_turn()  # urllib3 has connected it
            super().request(*args, **kwargs)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}
