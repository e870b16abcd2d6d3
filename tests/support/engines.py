"""The database of a test, on each of the engines that it runs on.

Both classes have the same members, so that a test says once what holds on both.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import defaultdict
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lea_fleet.storage.postgresql import schema as postgresql_schema
from lea_fleet.storage.postgresql.address import place_of
from lea_fleet.storage.postgresql.connections import Connections as PostgresqlStore
from lea_fleet.storage.postgresql.dialect import DIALECT, PostgresqlDialect
from lea_fleet.storage.postgresql.session import Session as PostgresqlSession
from lea_fleet.storage.postgresql.statements import quoted, translated
from lea_fleet.storage.sqlite import schema as sqlite_schema
from lea_fleet.storage.sqlite.connection import Connection as SqliteSession
from lea_fleet.storage.sqlite.connections import Connections as SqliteStore
from lea_fleet.storage.sqlite.dialect import SqliteDialect, add_functions
from tests.support.older_server import OlderServer, OlderServersStatements
from tests.support.postgresql import new_schema

_DEADLINE = 60  # seconds

#: The parameters of a fixture for :func:`new_engine`.
ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@contextmanager
def new_engine(request, path):
    """Yield the database of the tests of *request*.

    Nothing is there yet, except that PostgreSQL has empty tables for a test marked
    ``tables_made``. The parameter of its fixture is one of ENGINES; SQLite, with the
    file *path*, is the default.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        yield SqliteFile(path)
        return
    server = request.getfixturevalue("postgresql_server")
    with ExitStack() as schemas:

        def beside():
            name = schemas.enter_context(_schema(request))
            return PostgresqlSchema(f"{server}postgres", name, beside)

        yield beside()


def _schema(request):
    if request.node.get_closest_marker("tables_made"):
        return request.getfixturevalue("lent_schemas").lend()
    return new_schema(request.getfixturevalue("postgresql_admin"))


def engine_of(environment):
    """Return the database that variables of the environment name."""
    url = environment.get("LEA_FLEET_DATABASE_URL")
    if url is None:
        return SqliteFile(Path(environment["RPA_AGENTS_DB_PATH"]))
    return PostgresqlSchema(url, environment["LEA_FLEET_DATABASE_SCHEMA"])


class _Database:
    """What holds on both engines."""

    @property
    def environment(self):
        """The settings as variables of the environment."""
        given = self.settings.items()
        return {name: str(value) for name, value in given if value is not None}

    def wrap(self, monkeypatch, name, wrapped):
        """Replace the dialect's method *name* by ``wrapped(method)``."""
        method = wrapped(getattr(self.dialect, name))
        is_static = isinstance(vars(self.dialect)[name], staticmethod)
        monkeypatch.setattr(
            self.dialect, name, staticmethod(method) if is_static else method
        )

    def execute(self, statement, *values):
        """Run a statement as another program would; return its rows."""
        with self.connected() as connection:
            result = connection.execute(statement, values)
            return result.fetchall() if result.description else []

    def insert(self, table, **columns):
        """Insert a row as another program would."""
        if table == "enrolled_agents":
            columns = self.stored(columns)
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.execute(statement, *columns.values())

    def empty(self):
        """Delete all rows of all tables."""
        with self.connected() as connection:
            connection.execute("BEGIN")
            for (table,) in connection.execute(self._tables).fetchall():
                connection.execute(f"DELETE FROM {table}")
            connection.execute("COMMIT")

    def contents(self):
        """Return all rows of all tables by the table's name, in no order of theirs."""
        with self.connected() as connection:
            return {
                table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
                for (table,) in connection.execute(self._tables).fetchall()
            }


class SqliteFile(_Database):
    """A SQLite file, which is not there until something makes it."""

    _tables = "SELECT name FROM sqlite_master WHERE type = 'table'"

    name = "sqlite"
    dialect = SqliteDialect
    errors = sqlite3.Error
    store = SqliteStore

    #: What a session is.
    session = SqliteSession

    #: How a host begins a transaction that writes.
    begin = "BEGIN IMMEDIATE"

    #: The metrics that there are not.
    unmeasured: set[str] = set()

    #: What the driver raises where the database can no longer be used.
    fault = sqlite3.OperationalError("disk I/O error")

    #: What it raises where another one's lock was waited for in vain.
    busy = sqlite3.OperationalError("database is locked")

    #: How many calls of ours a page of the fleet may take, in how many files.
    limits_of_page = 113, 25

    #: What a command says with ``--json`` of the copies of what it deleted.
    cleaned = {"wal_emptied": True, "log_emptied": True, "vacuumed": False}

    def __init__(self, path):
        self.path = path
        #: What ``flask fleet move --to`` is given.
        self.address = str(path)
        #: What problems name it by.
        self.place = str(path.parent)
        #: What an application is given to use it.
        self.settings = {"RPA_AGENTS_DB_PATH": path}
        #: How the doctor shows these.
        self.shown = (
            f"RPA_AGENTS_DB_PATH={path}, LEA_FLEET_DATABASE_URL=not set,"
            " LEA_FLEET_DATABASE_SCHEMA=public"
        )
        #: What a command says where there is no fleet, and what where it begins one.
        self.says_absent = f"There is no database at {path}"
        self.says_begun = f"Began a new database at {path}."
        #: How an error begins while another process writes, and one of a fault.
        self.says_busy = f"Another process is writing to {path}"
        self.says_unusable = f"{path} cannot be used: "

    def beside(self):
        """Return another one, for another application."""
        return SqliteFile(self.path.with_name(f"{uuid4().hex}.db"))

    def exists(self):
        """Return whether anything was made."""
        return self.path.exists()

    @contextmanager
    def missing(self):
        """Let there be no database, where there is one that is in use."""
        away = self.path.with_suffix(".away")
        self.path.rename(away)
        yield
        away.rename(self.path)

    def as_bytes(self):
        """Return all that is stored, with what was deleted if that is there still."""
        files = [path for path in self.path.parent.iterdir() if path.is_file()]
        return b"".join(path.read_bytes() for path in files)

    @contextmanager
    def connected(self):
        """Yield a connection in autocommit, as another program has one."""
        self.path.parent.mkdir(exist_ok=True)
        connection = sqlite3.connect(self.path, isolation_level=None)
        with closing(connection):
            yield connection

    @contextmanager
    def being_written(self):
        """Hold the lock that every write waits for, as another process does."""
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def opened_by_host(self):
        """Yield a connection of the driver, as a host opens one."""
        with self.connected() as connection:
            yield connection

    def version(self, connection):
        """Return what changes whenever another connection than this one writes."""
        return connection.execute("PRAGMA data_version").fetchone()

    def compile(self, connection, statement):
        """Compile a statement of ours without its values. Raises one of *errors*."""
        add_functions(connection)
        connection.execute(f"EXPLAIN {statement}", defaultdict(lambda: None))

    @contextmanager
    def measured(self, connection):
        """Yield a list: of as many steps as SQLite takes during the block."""
        steps = []
        connection.set_progress_handler(lambda: steps.append(1), 10)
        yield steps
        connection.set_progress_handler(None, 0)

    def is_open(self, session):
        """Return whether a session has an open connection."""
        try:
            session.total_changes  # sends SQLite no statement
        except sqlite3.ProgrammingError:
            return False
        return True

    def wait_for_others(self):
        """Nobody else's transaction delays what has been committed."""

    def older_server(self):
        """Return the older server, on this file."""
        self.path.parent.mkdir(exist_ok=True)
        return OlderServer(self.path)

    def notes(self):
        """Return the names of what notes changes for a move, and of what it noted."""
        query = (
            "SELECT name FROM sqlite_master WHERE name LIKE 'lea_fleet_not%'"
            " AND tbl_name <> 'lea_fleet_notes'"
        )
        return [name for (name,) in self.execute(query)]

    def make_tables(self):
        """Create our tables without an application."""
        with self.connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # as an application does
            sqlite_schema.ensure_schema(connection)

    @contextmanager
    def being_rewritten(self):
        """Hold a lock that those who read wait for too, as another process does."""
        with self.connected() as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            yield

    def refuse_rows(self, table, machine_id, reason):
        """Let each new row of a machine in *table* fail, as on a full disk."""
        self.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
            f" WHEN new.machine_id = '{machine_id}'"
            f" BEGIN SELECT raise(FAIL, '{reason}'); END"
        )

    def run_script(self, script):
        """Run several statements, as an administrator does."""
        with self.connected() as connection:
            connection.executescript(script)

    def wipe(self, table):
        """Delete all rows of a table, and what SQLite would leave of them."""
        with self.connected() as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"DELETE FROM {table}")

    def stored(self, columns):
        """Return *columns* of a machine with those that are derived of them."""
        return columns

    def qualified(self, table):
        """Return the name of a *table* as the application's connection finds it."""
        return table


class PostgresqlSchema(_Database):
    """A schema of a PostgreSQL database, which is not there until it is made."""

    _tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"

    name = "postgresql"
    dialect = PostgresqlDialect
    errors = psycopg.Error
    store = PostgresqlStore

    #: What a session is.
    session = PostgresqlSession

    #: How a host begins a transaction that writes.
    begin = "BEGIN"

    #: The metrics that there are not.
    unmeasured = {"lea_fleet_wal_bytes"}

    #: What the driver raises where the database can no longer be used.
    fault = psycopg.OperationalError("the connection is closed")

    #: What it raises where another one's lock was waited for in vain.
    busy = psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")

    #: How many calls of ours a page of the fleet may take, in how many files.
    limits_of_page = 155, 25

    cleaned = {
        "wal_emptied": None,
        "log_emptied": None,
        "vacuumed": False,
        "may_remain_in": ["free space", "WAL", "WAL archives", "backups", "replicas"],
    }

    def __init__(self, url, name, beside=None):
        self._url = self.address = url
        self._name = name
        #: What problems name it by.
        self.place = place_of(url)
        #: Makes another one, for another application.
        self.beside = beside
        self.shown = (
            f"RPA_AGENTS_DB_PATH={Path('data/databases/rpa_data.db').absolute()},"
            f" LEA_FLEET_DATABASE_URL=postgresql://{conninfo_to_dict(url)['host']},"
            f" LEA_FLEET_DATABASE_SCHEMA={name}"
        )
        self.says_absent = f"There is no fleet in the schema {name} of {self.place}"
        self.says_begun = f"Began a new fleet in the schema {name} of {self.place}."
        self.says_busy = f"{self.place} is busy: "
        self.says_unusable = f"{self.place} cannot be used: "
        self.settings = {
            "RPA_AGENTS_DB_PATH": None,
            "LEA_FLEET_DATABASE_URL": url,
            "LEA_FLEET_DATABASE_SCHEMA": name,
        }

    def exists(self):
        """Return whether anything was made."""
        query = "SELECT 1 FROM pg_namespace WHERE nspname = current_schema()"
        return bool(self.execute(query))

    @contextmanager
    def missing(self):
        """Let there be no database, where there is one that is in use."""
        away = f"{self._name}_away"
        with psycopg.connect(self._url, autocommit=True) as driver:
            driver.execute(f"ALTER SCHEMA {self._name} RENAME TO {away}")
            yield
            driver.execute(f"ALTER SCHEMA {away} RENAME TO {self._name}")

    def as_bytes(self):
        """Return all that is stored, in bytes."""
        rows = itertools.chain.from_iterable(self.contents().values())
        return "\n".join(map(str, itertools.chain.from_iterable(rows))).encode()

    @contextmanager
    def connected(self):
        """Yield a connection in autocommit, as another program has one.

        Its statements are written with ``?`` for values, as for SQLite.
        """
        with psycopg.connect(self._url, autocommit=True) as driver:
            driver.execute(f"SET search_path = {quoted(self._name)}")
            yield _Connection(driver)

    @contextmanager
    def being_written(self):
        """Hold the locks that every write waits for; those who read do not wait."""
        with self.connected() as connection:
            self._lock(connection, "EXCLUSIVE")
            yield

    @contextmanager
    def being_rewritten(self):
        """Hold the locks that those who read wait for too."""
        with self.connected() as connection:
            self._lock(connection, "ACCESS EXCLUSIVE")
            yield

    def _lock(self, connection, mode):
        # The machines first, as the application does.
        tables = sorted(quoted(table) for (table,) in connection.execute(self._tables))
        connection.execute("BEGIN")
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN {mode} MODE")

    @contextmanager
    def opened_by_host(self):
        """Yield a connection of the driver, as a host opens one."""
        with self.connected() as connection:
            yield connection.driver

    def version(self, connection):
        """Return what changes whenever a row is written: which version each row is."""
        return [
            connection.execute(f"SELECT xmin::text, ctid::text FROM {table}").fetchall()
            for (table,) in connection.execute(self._tables).fetchall()
        ]

    def compile(self, connection, statement):
        """Compile a statement of ours without its values. Raises one of *errors*."""
        query, _ = translated(statement, quoted(self._name))
        connection.driver.execute(b"PREPARE it AS " + query)
        connection.driver.execute("DEALLOCATE it")

    @contextmanager
    def measured(self, connection):
        """Yield a list: of as many rows as its open transaction reads in the block."""
        # These counts begin with the transaction, or with earlier ones.
        read = (
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))"
            " FROM pg_stat_xact_user_tables"
        )
        rows = []
        # As in a large fleet: of a small table, all is read.
        for kind in ("seqscan", "bitmapscan"):
            connection.execute(f"SET LOCAL enable_{kind} = off")
        ((before,),) = connection.execute(read)
        yield rows
        ((after,),) = connection.execute(read)
        rows += [1] * int(after - before)

    def is_open(self, session):
        """Return whether a session has an open connection."""
        return not session.driver.closed

    def wait_for_others(self):
        """Wait until the transactions have ended that were there.

        They are other tests', and delay the events that have been committed.
        """
        done = "SELECT pg_snapshot_xmin(pg_current_snapshot()) > CAST(? AS xid8)"
        deadline = time.monotonic() + _DEADLINE
        with self.connected() as connection:
            now = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
            while connection.execute(done, now).fetchone() != (True,):
                assert time.monotonic() < deadline, "another transaction does not end"
                time.sleep(0.01)

    def older_server(self):
        """Return the statements of the older server, which knows no PostgreSQL."""
        self.make_tables()
        return OlderServersStatements(self.connected)

    def notes(self):
        """Return the names of what notes changes for a move, and of what it noted."""
        return [
            *self.execute(
                "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
                " WHERE NOT tgisinternal AND tgname <> 'lea_fleet_closed'"
                " AND tgrelid IN (SELECT oid FROM pg_class"
                " WHERE relnamespace = current_schema()::regnamespace)"
            ),
            *self.execute(
                "SELECT relname FROM pg_class WHERE relname = 'lea_fleet_noted'"
                " AND relnamespace = current_schema()::regnamespace"
                " UNION SELECT proname FROM pg_proc WHERE proname = 'lea_fleet_note'"
                " AND pronamespace = current_schema()::regnamespace"
            ),
        ]

    def make_tables(self):
        """Create our tables without an application."""
        with psycopg.connect(self._url, autocommit=True) as driver:
            postgresql_schema.ensure_schema(driver, self._name)

    def refuse_rows(self, table, machine_id, reason):
        """Let each new row of a machine in *table* fail, as on a full disk."""
        self.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE disk_full USING MESSAGE = '{reason}'; END $$"
        )
        self.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW"
            f" WHEN (new.machine_id = '{machine_id}') EXECUTE FUNCTION refuse()"
        )

    def run_script(self, script):
        """Run several statements, as an administrator does."""
        self.execute(script)

    def wipe(self, table):
        """Delete all rows of a table."""
        self.execute(f"DELETE FROM {table}")

    def stored(self, columns):
        """Return *columns* of a machine with those that are derived of them."""
        return DIALECT.with_keys(columns)

    def qualified(self, table):
        """Return the name of a *table* as the application's connection finds it."""
        return f"{quoted(self._name)}.{table}"

    def wait_until_it_blocks(self, session):
        """Wait until another connection waits for a lock that *session* has."""
        pid = session.driver.info.backend_pid
        blocked = "SELECT 1 FROM pg_locks WHERE ? = ANY(pg_blocking_pids(pid))"
        deadline = time.monotonic() + _DEADLINE
        with self.connected() as connection:
            while connection.execute(blocked, [pid]).fetchone() is None:
                assert time.monotonic() < deadline, "nobody waits"
                time.sleep(0.01)


class _Connection:
    def __init__(self, driver):
        self.driver = driver

    def execute(self, statement, values=()):
        query = statement.replace("%", "%%").replace("?", "%s") if values else statement
        return self.driver.execute(query, values or None)
