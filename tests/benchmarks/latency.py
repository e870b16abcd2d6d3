"""How long writers wait for each other: threads, processes and another program."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

from tests.benchmarks import load
from tests.support.processes import in_processes
from tests.support.server import running_server

#: Concurrent clients, each of which enrolls one machine after another.
CLIENTS = 8

#: gunicorn's options for each shape of a server.
SHAPES = {
    "2 sync workers": ("-w", "2"),
    "2 workers of 4 threads": ("-w", "2", "--threads", "4"),
    "8 threads": ("-w", "1", "--threads", "8"),
}

_ROOT = Path(__file__).parent.parent.parent


def enrollments(folder, options, make_request, seconds):
    """Return the seconds that each enrollment took with that many clients at once."""

    def client(first):
        def work():
            took, began = [], time.perf_counter()
            while time.perf_counter() - began < seconds:
                request = make_request(first + len(took) * CLIENTS)
                sent = time.perf_counter()
                load.send(server.port, request)
                took.append(time.perf_counter() - sent)
            return took

        return work

    app, here = "tests.benchmarks.quiet:create_app()", ("--pythonpath", str(_ROOT))
    with running_server(folder, *options, *here, app=app) as server:
        answers = in_processes(*(client(first) for first in range(CLIENTS)))
    return [took for each in answers for took in each]


@contextmanager
def another_writer(path):
    """Write to a table of the host's twenty times a second."""
    stop = threading.Event()

    def write():
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("CREATE TABLE traces (at REAL)")
            while not stop.wait(0.05):
                with connection:
                    connection.execute("INSERT INTO traces VALUES (?)", [time.time()])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
