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

import socket
import ssl
from contextlib import suppress
from threading import Timer
from typing import Any

from flask import has_request_context, request
from werkzeug.wsgi import get_content_length

from ..core.limits import LONGEST_BODY
from ..core.problems import (
    BodyTooLarge,
    DatabaseProblem,
    InvalidToken,
    MissingToken,
    Problem,
)

#: Seconds for the body of a caller whose token is known, or was.
_KNOWN = 5

#: Seconds for any other body, on which the answer does not depend. Not 0: a connection
#: that is closed with bytes unread is reset, and a client on Windows then loses the
#: answer. The rest of a body is usually there within one round trip.
_STRANGER = 0.1

#: What the header fields tell, of callers who may be anybody or who send too much.
_BEFORE_THE_BODY = (MissingToken, InvalidToken, BodyTooLarge, DatabaseProblem)


class TimelyInput:
    """The body of a request, of which each read ends within some *seconds*."""

    def __init__(
        self, environ: dict[str, Any], length: int | None, seconds: float
    ) -> None:
        source = environ["wsgi.input"]
        already = isinstance(source, TimelyInput)
        self._input: Any = source._input if already else source
        self._socket = environ["gunicorn.socket"]
        self._seconds = seconds
        # gunicorn's reader of chunks cannot go on after an error.
        self._may_repeat = length is not None

    def read(self, size: int = -1) -> bytes:
        """Read *size* bytes; fewer at the end of the body, or when the time is up."""
        if self._may_repeat:
            self._socket.setblocking(False)
            try:
                return self._input.read(size)  # type: ignore[no-any-return]
            except BlockingIOError:  # rare: usually all of it is there
                pass
            finally:
                self._socket.setblocking(True)
        timer = Timer(self._seconds, _stop_reading, [self._socket])
        timer.daemon = True
        timer.start()
        try:
            return self._input.read(size)  # type: ignore[no-any-return]
        finally:
            timer.cancel()


def limit_time(environ: dict[str, Any], length: int | None) -> None:
    """Have the body, of *length* bytes if that is known, read within the deadline."""
    if _is_blocking(environ):
        environ["wsgi.input"] = TimelyInput(environ, length, _KNOWN)


def discard_body(problem: Problem) -> None:
    """Read the rest of the body of a refused request, so that the answer arrives.

    At most 64 KiB, in a time that depends on the *problem*. After that nothing more is
    read on this connection: the server closes it at once, and its worker is free.
    """
    if not has_request_context() or not _is_blocking(request.environ):
        return
    length = get_content_length(request.environ)
    if not length and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return
    seconds = _STRANGER if isinstance(problem, _BEFORE_THE_BODY) else _KNOWN
    at_most = LONGEST_BODY + 1 if length is None else min(length, LONGEST_BODY + 1)
    try:
        sent = TimelyInput(request.environ, length, seconds).read(at_most)
        if len(sent) <= LONGEST_BODY:  # all of it, or the time is up
            return
    except Exception:  # a bad chunk, or the client is gone
        pass
    _stop_reading(request.environ["gunicorn.socket"])


def _is_blocking(environ: dict[str, Any]) -> bool:
    connection = environ.get("gunicorn.socket")
    # To stop in the midst of TLS would break the answer as well.
    return connection is not None and not isinstance(connection, ssl.SSLSocket)


def _stop_reading(connection: socket.socket) -> None:
    """End the input of *connection*, as if the client had; answers still go out."""
    with suppress(OSError):  # the client is gone
        connection.shutdown(socket.SHUT_RD)
