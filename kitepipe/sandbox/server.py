"""The wire: HTTP/1.1 with keep-alive on the loopback address, and faults of delivery."""

import gzip
import json
import random
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kitepipe.sandbox.control import control
from kitepipe.sandbox.market import Market, Request
from kitepipe.sandbox.options import SandboxOptions
from kitepipe.sandbox.replies import Reply, compact

_LINGER_NOT = struct.pack("ii", 1, 0)


class SandboxServer(ThreadingHTTPServer):
    """One thread a connection; `stopping` ends stalls and drips, `bugs` keeps tracebacks."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: SandboxOptions, market: Market) -> None:
        super().__init__(("127.0.0.1", options.port), SandboxHandler)
        self.options = options
        self.market = market
        self.stopping = threading.Event()
        self.bugs: list[str] = []
        self.resets: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._jitter = random.Random(options.seed)

    @property
    def url(self) -> str:
        """Return the api root."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def latency_s(self) -> float:
        """Return how long the next answer is held back."""
        latency = self.options.latency_ms
        low, high = latency if isinstance(latency, tuple) else (latency, latency)
        drawn = self._jitter.uniform(low, high) + self._jitter.uniform(0, self.options.jitter_ms)
        return drawn / 1000

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that closing the sandbox closes it."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it; one to be reset goes without a goodbye."""
        self._open.discard(request)
        if request in self.resets:
            self.resets.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what went wrong in here; a client that goes away is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            self.bugs.append(traceback.format_exc())

    def stop(self) -> None:
        """End everything: stalls, connections, the loop."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class SandboxHandler(BaseHTTPRequestHandler):
    """Reads one request, has it answered, sends the answer in its manner."""

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the journal knows."""

    def _answer(self) -> None:
        received = monotonic()
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path.startswith("/sandbox/"):
            self._send(self._controlled(url.path.removeprefix("/sandbox/"), body))
            return
        request = Request(
            method=self.command,
            path=url.path,
            params=dict(parse_qsl(url.query, keep_blank_values=True)),
            form=self._form(body),
            authorization=self.headers.get("Authorization", ""),
            received=received,
            target=self.path,
        )
        reply = self.server.market.answer(request)
        self.server.stopping.wait(max(0.0, self.server.latency_s() - (monotonic() - received)))
        self._deliver(self._encoded(reply))

    def _controlled(self, verb: str, body: bytes) -> Reply:
        try:
            asked = json.loads(body or b"{}")
        except ValueError as wrong:
            return Reply(400, compact({"error": str(wrong)}))
        return control(self.server.market, self.command, verb, asked)

    def _form(self, body: bytes) -> Mapping[str, str]:
        if "json" in self.headers.get("Content-Type", ""):
            with suppress(ValueError):
                return dict(json.loads(body))
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))

    def _encoded(self, reply: Reply) -> tuple[Reply, dict[str, str]]:
        csv = reply.content_type == "text/csv"
        wanted = csv or self.server.options.gzip_history
        if "Content-Encoding" in reply.headers:
            return reply, {}
        if not wanted or "gzip" not in self.headers.get("Accept-Encoding", ""):
            return reply, {}
        packed = gzip.compress(reply.body, compresslevel=1, mtime=0)
        return Reply(reply.status, packed, reply.content_type, reply.headers, reply.manner), {
            "Content-Encoding": "gzip"
        }

    def _deliver(self, encoded: tuple[Reply, dict[str, str]]) -> None:
        reply, headers = encoded
        match reply.manner:
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                self.server.resets.add(self.connection)
                self.close_connection = True
            case "stall":
                self.server.stopping.wait(self.server.options.stall_s)
                self.close_connection = True
            case "short" | "hang":
                half = reply.body[: len(reply.body) // 2]
                self.wfile.write(self._head(reply, headers) + half)
                if reply.manner == "hang":
                    self.server.stopping.wait(self.server.options.stall_s)
                self.close_connection = True
            case "drip":
                self._drip(reply, headers)
            case _:
                self._send(reply, headers)

    def _send(self, reply: Reply, headers: Mapping[str, str] | None = None) -> None:
        # One write: a head and a body apart wait for each other's acknowledgement.
        self.wfile.write(self._head(reply, headers or {}) + reply.body)

    def _drip(self, reply: Reply, headers: Mapping[str, str]) -> None:
        self.wfile.write(self._head(reply, headers))
        for at in range(len(reply.body)):
            self.wfile.write(reply.body[at : at + 1])
            if self.server.stopping.wait(self.server.options.drip_s):
                self.close_connection = True
                return

    def _head(self, reply: Reply, headers: Mapping[str, str]) -> bytes:
        lines = {"Server": "kitepipe-sandbox", "Content-Length": str(len(reply.body))}
        if self.server.options.date_header:
            lines["Date"] = format_datetime(self.server.market.clock.now(), usegmt=True)
        if reply.content_type is not None:
            lines["Content-Type"] = reply.content_type
        lines |= {**reply.headers, **headers}
        if self.close_connection:
            lines["Connection"] = "close"
        phrase = self.responses.get(reply.status, ("",))[0]
        head = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{k}: {v}" for k, v in lines.items())]
        return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
