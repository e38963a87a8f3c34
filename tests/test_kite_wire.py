"""The wire to Kite: what is sent, and when, seen from the other end of a bare socket."""

import socket
from threading import Event, Thread

from kitepipe.kite import KiteClientWrapper, KiteOptions
from kitepipe.ratelimit import RateLimiter
from kitepipe.staging_inspect import inspect_body


def test_a_request_waits_for_its_turn_on_an_open_connection() -> None:
    """Opening takes longer than the play that the pace allows for: it is over before the turn."""
    asleep, awake = Event(), Event()

    def sleep(seconds: float) -> None:
        asleep.set()
        assert awake.wait(10)

    limiter = RateLimiter(1, clock=lambda: 2.0 * awake.is_set(), sleep=sleep)
    limiter.wait_if_needed()
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = KiteOptions(f"http://127.0.0.1:{server.getsockname()[1]}", "key", "token")
        with KiteClientWrapper(options, limiter, inspect_body) as client:
            asking = Thread(target=client.check_session)
            asking.start()
            assert asleep.wait(10)
            server.settimeout(10)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(0.1)
                sent_early = _received(connection)
                requests_early = client.requests
                awake.set()
                connection.settimeout(10)
                sent = _received(connection)
                connection.sendall(_PROFILE)
                asking.join(10)
        assert (sent_early, requests_early, client.requests) == (b"", 0, 1)
        assert sent.startswith(b"GET /user/profile HTTP/1.1\r\n")


_PROFILE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except TimeoutError:
        return b""
