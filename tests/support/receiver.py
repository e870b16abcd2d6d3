"""A receiver of webhooks, which verifies each message and may misbehave."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """What came: *ids* and *messages* of what was answered with a 2xx, in order.

    *answers* are functions that answer the next requests, each with the handler as its
    argument; then all are answered 204.
    """

    def __init__(self, secret=SECRET):
        self.ids, self.messages, self.answers = [], [], []
        self.requests = 0
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self.url = ""

    @property
    def settings(self):
        return {
            "LEA_FLEET_WEBHOOK_URL": self.url,
            "LEA_FLEET_WEBHOOK_SECRET": SECRET,
        }

    def types(self, *wanted):
        """Return what was told: types and machines, of those *wanted* or of all."""
        return [
            (each["type"], each["data"].get("machine_id"))
            for each in self.messages
            if not wanted or each["type"] in wanted
        ]

    def handle(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        message = self._webhook.verify(body, dict(handler.headers))
        with self._lock:
            self.requests += 1
            answer = self.answers.pop(0) if self.answers else status(204)
            # Before the sender can know it.
            self.ids.append(handler.headers["webhook-id"])
            self.messages.append(message)
        if not answer(handler):
            with self._lock:
                self.ids.remove(handler.headers["webhook-id"])
                self.messages.remove(message)


def status(code, **headers):
    """Return an answer with that status."""

    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return 200 <= code < 300

    return answer


def silence(seconds):
    """Return an answer that never comes."""

    def answer(handler):
        time.sleep(seconds)
        return False

    return answer


def byte_by_byte(seconds):
    """Return an answer that never ends, though each of its bytes comes soon."""

    def answer(handler):
        end = time.monotonic() + seconds
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while time.monotonic() < end:
            handler.wfile.write(b"x")
            time.sleep(0.1)
        return False

    return answer


def endless(handler):
    """Answer 200 with a body of a gigabyte."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(2**10):
        handler.wfile.write(bytes(2**20))
    return True


def hang_up(handler):
    handler.connection.close()
    return False


@contextmanager
def receiving(secret=SECRET, context=None):
    """Yield a :class:`Receiver` that listens on this computer.

    With *context* of ssl, it is reached by https.
    """
    receiver = Receiver(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            try:
                receiver.handle(self)
            except OSError:  # the sender has gone
                self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_port}/lea"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
