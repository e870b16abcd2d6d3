"""Work in processes of its own, forked from the test that asks for it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

_FORK = multiprocessing.get_context("fork")
_DEADLINE = 30  # seconds


def in_processes(*works: Callable[[], Any]) -> list[Any]:
    """Run each of *works* in a process of its own; return what they return.

    They start at the same moment. One that raises fails the test, and its
    traceback is in the captured standard error.
    """
    start = _FORK.Barrier(len(works))
    children = [_start(work, start) for work in works]
    return [_result(*child) for child in children]


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/dev/fd"))


def _start(work, start):
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_run, args=(work, start, sender))
    process.start()
    sender.close()
    return process, receiver


def _run(work, start, sender):
    start.wait(_DEADLINE)
    sender.send(work())


def _result(process, receiver):
    with receiver:
        assert receiver.poll(_DEADLINE), "a process did not come to its end"
        result = receiver.recv()
    process.join()
    return result
