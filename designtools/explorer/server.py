"""The server of the explorer: this machine only, one secret path, a fixed table of answers, nothing read by a name from outside.

A page elsewhere cannot reach it: the address holds a random token, the host must be this machine's own name (so that a
name of somebody else's that is pointed here, DNS rebinding, is refused), and no answer carries leave for other origins.
Nothing in a design is run: the page's content policy admits the two scripts of this package and no other, and every
text of the design travels as data that the page shows as text.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from designtools import precision
from designtools.explorer.session import Refused, Session
from designtools.result import plain

HERE = Path(__file__).parent
LARGEST = 1 << 16  # bytes of a request
SLOWEST = 20.0  # s that a request may take to arrive
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "frame-ancestors 'none'"  # beside the stricter one that the report itself states: its own two scripts by their digests
HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
}  # fmt: skip
FILES: Mapping[str, tuple[str, str]] = {
    "": ("explorer.html", "text/html; charset=utf-8"),
    "explorer.js": ("explorer.js", "text/javascript; charset=utf-8"),
    "explorer.css": ("explorer.css", "text/css; charset=utf-8"),
}  # last part of the address -> file of this package, type


class Reply(NamedTuple):
    """An answer: HTTP status, content type, body, content policy."""

    status: int
    kind: str
    body: bytes
    policy: str = POLICY


class Explorer(ThreadingHTTPServer):
    """`with Explorer(folder) as server: server.serve_forever()`; `address` is where a browser finds it.

    folder: a finished design; port: 0 takes a free one; save_to: the only folder that is ever written to, none where left out.
    Raises Unreadable where `folder` holds no design, OSError where the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder, port: int = 0, save_to=None):
        precision.enable()
        self.session = Session(folder, save_to)
        self.token = secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), Handler)
        self.hosts = {f"{name}:{self.server_address[1]}" for name in ("127.0.0.1", "localhost")}
        self.session.begin()

    @property
    def address(self) -> str:
        """Where a browser finds the page; it holds the token."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request, client_address):
        """A browser that went away is no error."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = SLOWEST
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "designtools", ""

    def do_GET(self):
        self._answered(self._get)

    def do_POST(self):
        self._answered(self._post)

    def log_message(self, *_):
        pass

    def _answered(self, answer) -> None:
        try:
            reply = answer(self._place())
        except Refused as error:
            reply = _json({"error": str(error)}, error.status)
        self.send_response(reply.status)
        about = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body)), "Content-Security-Policy": reply.policy}
        for name, value in (HEADERS | about).items():
            self.send_header(name, value)
        if reply.status >= 400:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(reply.body)

    def _place(self) -> str:
        """The last part of the address, after host and token have been judged."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused("must be asked by this machine's own name", 403)
        token, _, place = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused("must be asked at the address that `designtools show` printed", 403)
        return place

    def _get(self, place: str):
        if place in FILES:
            name, kind = FILES[place]
            return Reply(200, kind, (HERE / name).read_bytes())
        if place == "plotly.js":
            from plotly.offline import get_plotlyjs

            return Reply(200, "text/javascript; charset=utf-8", get_plotlyjs().encode())
        if place == "report":
            return Reply(200, "text/html; charset=utf-8", self.server.session.report().encode(), REPORT_POLICY)
        if place not in Session.SHOWN:
            raise Refused("no such page", 404)
        return _json(getattr(self.server.session, Session.SHOWN[place])())

    def _post(self, place: str):
        if place not in Session.ASKED:
            raise Refused("no such page", 404)
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused("must be asked by the explorer's own page", 403)
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise Refused("must be JSON", 415)
        return _json(getattr(self.server.session, Session.ASKED[place])(self._body()))

    def _body(self) -> Mapping:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            raise Refused(f"must be at most {LARGEST} bytes", 413)
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused("must be JSON", 400) from None
        if not isinstance(body, Mapping):
            raise Refused("must be an object", 400)
        return body


def _json(value, status: int = 200) -> Reply:
    return Reply(status, "application/json; charset=utf-8", json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode())
