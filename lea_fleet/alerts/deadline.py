"""Give up a connection whose other side is slow, whatever it does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer

#: Seconds that a delivery may take altogether; also for each part of it.
LONGEST_DELIVERY = 10


@contextmanager
def deadline(connection: Callable[[], socket.socket | None]) -> Iterator[None]:
    """End what the block reads and writes once LONGEST_DELIVERY seconds are over.

    A timeout of the socket begins anew with each byte. *connection* returns the
    socket, or None while there is none. Raises TimeoutError, also where the end that
    was brought about looks like the end of an answer.
    """
    is_over = Event()

    def end() -> None:
        is_over.set()
        with suppress(OSError):  # closed meanwhile
            if (open_one := connection()) is not None:
                open_one.shutdown(socket.SHUT_RDWR)

    timer = Timer(LONGEST_DELIVERY, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if is_over.is_set():
            raise TimeoutError
