"""Receive request bodies within a deadline, so that slow clients do not block workers.

gunicorn's sync and threaded workers read a body only when the application asks, or when
they keep or close the connection: a client that sends a byte now and then held one for
minutes. Its socket is in the WSGI environment, so the time can be limited here. Other
servers have no such entry, and read as they do: waitress has the whole body before it
calls the application, Werkzeug's server has a thread for each connection.

What a client does before its header fields are complete is out of reach here, as is a
request to another route of the host: that needs a server in front that buffers.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from flask import has_request_context, request
from werkzeug.wsgi import get_content_length

from ..core.problems import DatabaseProblem, InvalidToken, MissingToken, Problem

#: Seconds for the body of a caller whose token is known, or was.
_KNOWN = 5

#: Seconds for any other body, on which the answer does not depend. Not 0: a connection
#: that is closed with bytes unread is reset, and a client on Windows then loses the
#: answer. The rest of a body is usually there within one round trip.
_STRANGER = 0.1

#: Seconds between two looks for reads that take too long, while there are any.
_TICK = 0.05

#: What the header fields tell, of callers who may be anybody.
_BEFORE_THE_BODY = (MissingToken, InvalidToken, DatabaseProblem)

#: Bytes of a refused body that are read at a time.
_PIECE = 64 * 1024


class _Deadlines:
    """Ends reads that take too long, in one thread for the whole process.

    A thread for each read would cost too much: a body often arrives a moment after its
    header fields. A first attempt that does not wait would avoid that, but after it
    fails gunicorn does not keep the connection.
    """

    def __init__(self) -> None:
        self._due: dict[TimelyInput, float] = {}
        self._any = Event()
        self._thread: Thread | None = None

    def add(self, reader: TimelyInput) -> None:
        self._due[reader] = reader.deadline
        if self._thread is None:
            self._thread = Thread(target=self._watch, daemon=True)
            self._thread.start()
        if not self._any.is_set():
            self._any.set()

    def remove(self, reader: TimelyInput) -> None:
        self._due.pop(reader, None)

    def _watch(self) -> None:
        while True:
            self._any.wait()
            sleep(_TICK)
            for reader, deadline in list(self._due.items()):
                if deadline <= monotonic():
                    _stop_reading(reader.socket)
            self._any.clear()
            if self._due:  # added before it was cleared
                self._any.set()


_deadlines = _Deadlines()


def _in_child() -> None:
    """Begin anew after a fork: the thread is the parent's."""
    global _deadlines
    _deadlines = _Deadlines()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class TimelyInput:
    """The body of a request, which is read within some *seconds* from now."""

    def __init__(self, environ: dict[str, Any], seconds: float) -> None:
        source = environ["wsgi.input"]
        already = isinstance(source, TimelyInput)
        self._input: Any = source._input if already else source
        self.socket: socket.socket = environ["gunicorn.socket"]
        self.deadline = monotonic() + seconds

    def read(self, size: int = -1) -> bytes:
        """Read *size* bytes; fewer at the end of the body, or when the time is up."""
        _deadlines.add(self)
        try:
            return self._input.read(size)  # type: ignore[no-any-return]
        finally:
            _deadlines.remove(self)


def limit_time(environ: dict[str, Any]) -> None:
    """Have the body read within the deadline."""
    if _is_blocking(environ):
        environ["wsgi.input"] = TimelyInput(environ, _KNOWN)


def discard_body(problem: Problem) -> None:
    """Read the rest of the body of a refused request, so that the answer arrives.

    All that comes in a time that depends on the *problem*. After that nothing more is
    read on this connection: the server closes it at once, and its worker is free.
    """
    if not has_request_context() or not _is_blocking(request.environ):
        return
    length = get_content_length(request.environ)
    if not length and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return
    seconds = _STRANGER if isinstance(problem, _BEFORE_THE_BODY) else _KNOWN
    body = TimelyInput(request.environ, seconds)
    try:
        while body.read(_PIECE):
            if monotonic() > body.deadline:
                break
        else:  # all of it, or the time is up
            return
    except Exception:  # a bad chunk, or the client is gone
        pass
    _stop_reading(body.socket)


def _is_blocking(environ: dict[str, Any]) -> bool:
    connection = environ.get("gunicorn.socket")
    # To stop in the midst of TLS would break the answer as well.
    return connection is not None and not isinstance(connection, ssl.SSLSocket)


def _stop_reading(connection: socket.socket) -> None:
    """End the input of *connection*, as if the client had; answers still go out."""
    with suppress(OSError):  # the client is gone
        connection.shutdown(socket.SHUT_RD)
