"""A real server for the tests: gunicorn in its own processes, used over TCP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from werkzeug.test import TestResponse

from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.engines import SqliteFile, new_engine

_DEADLINE = 60  # seconds
_LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")


@contextmanager
def running_server(
    folder,
    *options,
    app="lea_fleet:create_app()",
    database=None,
    engine=None,
    packages=None,
    **settings,
):
    """Run gunicorn with *options* on *app*, with the database in *folder* or elsewhere.

    *database* is the path of a SQLite file, *engine* a database of engines.py. Modules
    in the folder *packages* are imported from there. *settings* are those of lea_fleet,
    as text. No process of the server remains at the end, even if the test fails.
    """
    engine = engine or SqliteFile(database or folder / "rpa_data.db")
    server = Server(folder, options, app, settings, engine, packages)
    try:
        server.wait_until_it_answers()
        yield server
    finally:
        server.stop()


@contextmanager
def server_on_engine(request, folder, *options, **settings):
    """Run gunicorn on the engine that the parameter of the fixture of *request* is."""
    with new_engine(request, folder / "rpa_data.db") as engine:
        with running_server(folder, *options, engine=engine, **settings) as server:
            yield server


def wait_until_it_listens(process, port):
    """Wait until *process* accepts connections on *port*; fail if it ends before."""
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)


class Server:
    """A running server, with methods to use it and to end it."""

    def __init__(self, folder, options, app, settings, engine, packages=None):
        folder.mkdir(exist_ok=True)
        self.engine = engine
        self.environment = {
            **os.environ,
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            **engine.environment,
            "XDG_RUNTIME_DIR": str(folder),  # where gunicorn puts its own socket
            **{f"FLASK_{name}": value for name, value in settings.items()},
        }
        if packages is not None:
            self.environment["PYTHONPATH"] = str(packages)
        self._folder = folder
        self._command = [sys.executable, "-m", "gunicorn", *options, app]
        self._count = int(options[options.index("-w") + 1]) if "-w" in options else 1
        self._log = folder / "gunicorn.log"
        self._start(port=0)

    def _start(self, port):
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*self._command, "-b", f"127.0.0.1:{port}"],
                env=self.environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self):
        return self._log.read_text()

    @property
    def database(self):
        """The path of the SQLite file."""
        return self.engine.path

    @property
    def client(self):
        return TcpClient(self.port)

    @property
    def operator(self):
        return Api(self.client, OPERATOR_TOKEN)

    def read(self, query, values=()):
        """Return the first column of a query, read from the database directly."""
        with self.engine.connected() as connection:
            return [row[0] for row in connection.execute(query, values)]

    def workers(self):
        """Return the ids of the worker processes, once all of them run (Linux)."""
        master = self.process.pid
        deadline = time.monotonic() + _DEADLINE
        while True:
            children = Path(f"/proc/{master}/task/{master}/children").read_text()
            workers = [int(pid) for pid in children.split()]
            if len(workers) == self._count:
                return workers
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def wait_until_it_answers(self):
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def stop(self):
        """Stop it as an operator does; kill it if that does not help."""
        self.process.terminate()
        try:
            self.process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        """Kill all its processes at once, so that none can clean up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_workers(self):
        """Kill all workers at once; the master process starts new ones."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def kill_and_restart(self):
        """Kill all its processes at once, and run it again on the same port."""
        self.kill()
        self.start_again()

    def start_again(self):
        """Run it again on the same port, after its end."""
        self._start(self.port)
        self.wait_until_it_answers()

    def _answers(self):
        found = _LISTENING.search(self.log)
        if found is None:
            return False
        self.port = int(found[1])
        try:
            return self.client.open("/").status_code == 404
        except (OSError, HTTPException):
            return False


class TcpClient:
    """Replaces Flask's test client; opens a connection for each request."""

    def __init__(self, port):
        self.port = port

    def open(
        self,
        path,
        *,
        method="GET",
        headers=(),
        data=None,
        content_type=None,
        buffered=True,  # the response is always read to its end
    ):
        headers = dict(headers)
        if content_type is not None:
            headers["Content-Type"] = content_type
        return self._ask(method, path, data, headers)

    def _ask(self, *request):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE)
        with closing(connection):
            connection.request(*request)
            return _read(connection.getresponse())

    def send(self, *parts, finish=False):
        """Send raw bytes; return the response, or None if there is none.

        If *finish*, end the sending side, so that nothing can follow.
        """
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, _DEADLINE) as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                if finish:
                    connection.shutdown(socket.SHUT_WR)
                answer = HTTPResponse(connection)
                with closing(answer):
                    answer.begin()
                    return _read(answer)
            except (ConnectionError, HTTPException):
                return None


class KeptClient(TcpClient):
    """A client that keeps its connection between requests, for one thread."""

    def __init__(self, port):
        super().__init__(port)
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)

    def close(self):
        self._connection.close()

    def _ask(self, *request):
        try:
            self._connection.request(*request)
            return _read(self._connection.getresponse())
        except ConnectionError:  # the server closed the idle connection
            self._connection.close()
            self._connection.request(*request)
            return _read(self._connection.getresponse())
        except HTTPException:  # nothing that follows would be a response
            self._connection.close()
            raise


def _read(answer):
    status = f"{answer.status} {answer.reason}"
    return TestResponse([answer.read()], status, answer.getheaders(), None)
