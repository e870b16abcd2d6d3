"""A server on loopback that stands before the real one and spoils what it is told to.

    with faulty_server(server.port) as front:
        front.then(answer(503, retry_after=1), lose)
        ...  # the client is run with front.url
    assert [request.path for request in front.requests] == [...]

The next requests meet the faults given to ``then``, one each; the rest go to the
real server, or meet the fault given to ``always``. In ``with front.closed():``
nobody listens on its port. Every request is kept in ``front.requests``.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.api import PREFIX

_DEADLINE = 30  # seconds
_OF_ONE_CONNECTION = {"connection", "transfer-encoding", "content-length"}


@contextmanager
def faulty_server(target_port, tls=None):
    """Run a server before the one on *target_port*; yield its Front.

    With *tls*, the SSLContext of a server, it speaks HTTPS, as localhost.
    """
    front = Front(target_port, tls)
    try:
        yield front
    finally:
        front.close()


def answer(status, body="", content_type="text/plain", *, retry_after=None, **fields):
    """A fault: answer with this instead of the real server.

    A name in *fields* is one of a header field, with ``_`` for ``-``.
    """
    if retry_after is not None:
        fields["Retry_After"] = str(retry_after)
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    fields["Content-Type"] = content_type

    def respond(exchange):
        exchange.respond(status, fields, body.encode())

    return respond


def redirect(status, location):
    """A fault: send the client elsewhere."""
    return answer(status, Location=location)


def bad_gateway(exchange):
    """A fault: the page of a proxy that does not reach the real server."""
    page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    answer(502, page, "text/html")(exchange)


def forward(exchange):
    """No fault: what the real server answers."""
    exchange.respond(*exchange.ask_the_real_server())


def lose(exchange):
    """A fault: the real server does it, but its answer is lost."""
    exchange.ask_the_real_server()


def hang(exchange):
    """A fault: no answer comes, and the connection stays open until it is closed."""
    exchange.front.closing.wait()


def drip(exchange):
    """A fault: an answer that comes byte by byte, and has no end."""
    exchange.send_response(201)
    exchange.end_headers()
    while not exchange.front.closing.wait(0.1):
        exchange.wfile.write(b" ")


@dataclass(frozen=True)
class Request:
    """What came from the client; *time* is in seconds of the monotonic clock."""

    method: str
    path: str
    headers: Message
    body: bytes
    time: float

    @property
    def json(self):
        return json.loads(self.body)


class Front:
    """A server that runs; *url* is that of the API behind it."""

    def __init__(self, target_port, tls):
        self.target_port = target_port
        self._tls = tls
        self.requests = []
        self.closing = threading.Event()
        self._faults = deque()
        self._otherwise = forward
        self._listen(0)

    @property
    def url(self):
        origin = "https://localhost" if self._tls else "http://127.0.0.1"
        return f"{origin}:{self.port}{PREFIX}"

    def then(self, *faults):
        """Let the next requests meet *faults*, one each."""
        self._faults.extend(faults)

    def always(self, fault):
        """Let every request meet *fault* that none was meant for by ``then``."""
        self._otherwise = fault

    @contextmanager
    def closed(self):
        """Refuse connections; the port stays ours."""
        self.close()
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", self.port))
            try:
                yield
            finally:
                holder.close()
                self._listen(self.port)

    def next_fault(self):
        return self._faults.popleft() if self._faults else self._otherwise

    def _listen(self, port):
        self.closing.clear()
        self._server = _Server(("127.0.0.1", port), _Exchange)
        self._server.front = self
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        """Close its port, and every connection that hangs."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # the end waits for all of them

    def handle_error(self, request, client_address):
        """Say nothing: a client may go when it likes."""


class _Exchange(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    timeout = _DEADLINE

    @property
    def front(self):
        return self.server.front

    def meet(self):
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.request_seen = Request(
            self.command, self.path, self.headers, body, time.monotonic()
        )
        self.front.requests.append(self.request_seen)
        self.front.next_fault()(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = meet

    def ask_the_real_server(self):
        """Return its status, header fields and body."""
        connection = HTTPConnection(
            "127.0.0.1", self.front.target_port, timeout=_DEADLINE
        )
        with closing(connection):
            connection.request(
                self.command, self.path, self.request_seen.body, dict(self.headers)
            )
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def respond(self, status, fields, body):
        self.send_response(status)
        for name, value in fields.items():
            if name.lower() not in _OF_ONE_CONNECTION | {"date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""
