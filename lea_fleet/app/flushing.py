"""Do later what a request need not wait for, by one thread for each application.

What is counted in memory is written by a timer thread, which exists only while
something is left to write; and when the process ends. So it is written a little late,
and is lost only if the process is killed.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from contextlib import suppress
from threading import Lock, Timer
from typing import Protocol

#: Seconds between two flushes.
_FLUSH = 10


class Part(Protocol):
    """What counts in memory, and writes that later."""

    def flush(self) -> bool:
        """Write what is due; return whether something is left to write."""

    def close(self) -> None:
        """Write everything, whether due or not: the process ends."""

    def forget(self) -> None:
        """Begin anew: what was counted before a fork is the parent's."""


class Flusher:
    """Flushes its parts some time after one of them has asked for it."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self.forget()
        _all.add(self)

    def add(self, part: Part) -> None:
        """Let *part* be flushed with the others."""
        self._parts.append(part)

    def forget(self) -> None:
        """Begin anew: the thread is the parent's, who may have held the lock."""
        self._lock = Lock()
        self._timer: Timer | None = None
        for part in self._parts:
            part.forget()

    def arm(self) -> None:
        """Have a thread flush, soon. A part may hold its own lock meanwhile."""
        with self._lock:
            if self._timer is not None:
                return
            timer = Timer(_FLUSH, self.flush)
            timer.daemon = True
            with suppress(RuntimeError):  # no more threads: the next one tries again
                timer.start()
                self._timer = timer

    def flush(self) -> None:
        """Let each part write what is due."""
        with self._lock:
            self._timer = None
        if any([part.flush() for part in self._parts]):
            self.arm()

    def close(self) -> None:
        """Let each part write everything."""
        for part in self._parts:
            part.close()


#: All that a process has. What they count must be out before it ends; and a child
#: process must not repeat it, nor wait for a lock that a thread held during the fork.
_all: weakref.WeakSet[Flusher] = weakref.WeakSet()


def close_all() -> None:
    """Write what every application of this process has not written yet."""
    for flusher in list(_all):
        flusher.close()


def forget_all() -> None:
    """Forget what every application of this process has not written yet."""
    for flusher in list(_all):
        flusher.forget()


atexit.register(close_all)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=forget_all)
