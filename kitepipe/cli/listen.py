"""The request_token of a login: out of what was pasted, or caught from the browser's redirect."""

import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from kitepipe.errors import AuthenticationError, UsageError


def token_in(text: str) -> str:
    """Return the request_token in `text`: alone, in a query, or in the whole redirect URL."""
    text = text.strip()
    if "=" in text or "/" in text:
        query = parse_qs(urlsplit(text).query or text.lstrip("?"))
        if query.get("status", ["success"]) != ["success"]:
            raise AuthenticationError("Kite's login page did not say success; log in again")
        text = query.get("request_token", [""])[0]
    if not re.fullmatch(r"\w{1,200}", text, re.ASCII):
        raise UsageError(
            "no request_token there: paste the token, or the whole address to which Kite's login "
            "page redirected"
        )
    return text


def catch_redirect(port: int) -> str:
    """Wait on the loopback address for the browser that Kite redirects here; return its query."""
    caught: list[str] = []

    class Catcher(BaseHTTPRequestHandler):
        timeout = 10  # a browser may open a connection and never speak

        def do_GET(self) -> None:
            """Take the query where it holds a token; browsers ask for icons too."""
            query = urlsplit(self.path).query
            found = "request_token=" in query
            if found:
                caught.append(f"?{query}")
            words = b"kitepipe has what it needs; this page may be closed.\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(words if found else b"no request_token here\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the request line holds the token."""

    try:
        server = HTTPServer(("127.0.0.1", port), Catcher)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--listen: port {port} cannot be used: {error}") from error
    with server:
        while not caught:
            server.handle_request()
    return caught[0]
