"""Run parts of a test in processes and threads of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.support.api import OPERATOR_TOKEN

_FORK = multiprocessing.get_context("fork")
_DEADLINE = 120  # seconds


def in_processes(*works: Callable[[], Any]) -> list[Any]:
    """Run each of *works* in its own process; return their results.

    They start at the same time. If one raises, the test fails, and the traceback is in
    the captured standard error.
    """
    start = _FORK.Barrier(len(works))
    children = [_start(work, start) for work in works]
    return [_result(*child) for child in children]


@contextmanager
def beside(work: Callable[[Any, Any], None]) -> Iterator[None]:
    """Run ``work(ready, over)`` in another process during the block.

    The block begins when *work* sets the event *ready*. At its end, *over* is set and
    *work* is waited for. If *work* raises, the test fails.
    """
    ready, over = _FORK.Event(), _FORK.Event()
    process = _FORK.Process(target=work, args=(ready, over), daemon=True)
    process.start()
    try:
        assert ready.wait(_DEADLINE), "a process did not come to its beginning"
        yield
    finally:
        over.set()
        process.join(_DEADLINE)
    assert process.exitcode == 0, "a process did not come to its end"


def at_once(call: Callable[[Any], Any], arguments: Iterable[Any], threads: int) -> Any:
    """Call with each of *arguments*, in so many threads; return the results."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, arguments))


def open_descriptors(pid: int | None = None) -> int:
    """Return how many files this process, or that of *pid*, has open (Linux)."""
    return len(os.listdir("/dev/fd" if pid is None else f"/proc/{pid}/fd"))


def taken_by_a_script(engine, *words):
    """Run a command in a shell script that prints its output as ``<…>``.

    *words* follow ``flask fleet``. Return the completed process of the script.
    """
    return run_script(
        engine,
        f'TOKEN="$("$0" -m flask --app lea_fleet fleet {" ".join(words)})"'
        ' && printf "<%s>" "$TOKEN"',
    )


def run_script(engine, script):
    """Run a shell *script* in which ``$0`` is Python; return the completed process.

    Its commands use the database *engine*.
    """
    return subprocess.run(
        ["sh", "-c", script, sys.executable],
        env={
            **os.environ,
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            **engine.environment,
        },
        capture_output=True,
        text=True,
    )


def heed_interrupts() -> None:
    """Let Ctrl-C end a new process, for ``preexec_fn=``.

    A shell without job control makes its background processes ignore it, and so do the
    processes that these start: perhaps these tests.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
