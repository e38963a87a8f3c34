"""Nobody gets in: TLS is verified, what listens is reached from here only, roles may do little."""

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg2.extensions import make_dsn

from kitepipe.cli.listen import catch_redirect
from kitepipe.config import ConfigLoader
from kitepipe.errors import UsageError
from tests.box_help import ROOT, Box
from tests.load_help import candles
from tests.sandbox_asking import sandbox
from tests.servers import looking
from tests.servers_local import free_port

ELSEWHERE = "127.0.0.2"  # reaches what listens on every address, not what does on 127.0.0.1


@contextmanager
def _impostor(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Serve TLS with a certificate that nobody vouches for; yields its root and what it read."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
    )
    pem = folder / "impostor.pem"
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem.write_bytes(
        key.private_bytes(form, kind, serialization.NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(form)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    read: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as inside:
                    read.append(inside.recv(1 << 16))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", read
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": ""},
        {"PYTHONHTTPSVERIFY": "0", "SSL_NO_VERIFY": "1"},
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_refused(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Exit 11 with the reason, whatever variables are set; no byte of the session is sent."""
    with sandbox() as kite, _impostor(tmp_path) as (root, read):
        box = Box(tmp_path, kite, environ=environ | {"KITEPIPE_API_ROOT": root})
        ended = box.kitepipe("fetch")
    assert (ended.code, "certificate" in ended.error.lower(), read) == (11, True, [])


def test_no_setting_leaves_tls_out_for_another_host() -> None:
    """http:// is for this machine only, and no key speaks of verification."""
    with pytest.raises(UsageError, match="http:// only on this machine"):
        ConfigLoader(environ={"KITEPIPE_API_ROOT": "http://api.kite.trade"}).load()


def _is_reached(port: int, host: str) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def test_the_sandbox_listens_on_the_loopback_only() -> None:
    """It answers at 127.0.0.1 and at no other address."""
    with sandbox() as kite:
        port = urlsplit(kite.url).port or 0
        assert (_is_reached(port, "127.0.0.1"), _is_reached(port, ELSEWHERE)) == (True, False)


def test_a_login_listens_on_the_loopback_only() -> None:
    """The redirect with its request_token comes from this machine's browser."""
    port = free_port()
    thread = threading.Thread(target=catch_redirect, args=(port,))
    thread.start()
    try:
        end = time.monotonic() + 10
        while not _is_reached(port, "127.0.0.1"):
            assert time.monotonic() < end
        assert not _is_reached(port, ELSEWHERE)
    finally:
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(b"GET /?request_token=x&status=success HTTP/1.0\r\n\r\n")
            browser.recv(1 << 16)
        thread.join(10)


def test_a_role_with_the_grants_of_the_readme_does_everything_but_the_schema(
    warehouse_dsn: str, tmp_path: Path
) -> None:
    """No superuser, no owner: rows of the tables are enough, and no more is granted."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (grants,) = re.findall(r"```sql\n(create role kite_loader.*?)```", readme, re.DOTALL)
    loader, reader = (f"kite_{name}_{os.getpid()}" for name in ("loader", "reader"))
    grants = grants.replace("kite_loader", loader).replace("kite_reader", reader)
    one = ("--exchanges", "NSE", "--tradingsymbols", "NSE:INFY", "--from", "2026-01-01")
    verbs = [("run", *one), ("load",), ("replay",), ("verify",), ("status", "--gaps")]
    with sandbox(other_rate_limit=1000) as kite, looking(warehouse_dsn) as look:
        look(grants)
        try:
            box = Box(tmp_path, kite, make_dsn(warehouse_dsn, user=loader))
            for verb in [*verbs, ("archive",), ("replay",)]:
                ended = box.kitepipe(*verb)
                assert ended.code == 0, (verb, ended.err)
            assert len(candles(look)) > 200
            with looking(make_dsn(warehouse_dsn, user=reader)) as read:
                assert len(read("select * from kite_ohlcv")) == len(candles(look))
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    read("delete from kite_ohlcv_historic")
            with looking(box.dsn) as load, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                load("drop table kite_quarantine")
        finally:
            look(f"drop owned by {loader}, {reader}; drop role {loader}, {reader}")
