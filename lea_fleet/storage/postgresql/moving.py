"""A schema of PostgreSQL as a side of a move; see ``storage/sides.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.pq import TransactionStatus
from psycopg.sql import Literal

from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ..sides import Mark, Misfit, MoveRefused, row_of
from ..tables import NUMBERED, TABLES, Row, Table
from .address import place_of
from .connections import refuse_server
from .direct import WRITABLE, PatientConnection, parameters
from .errors import database_problem, first_line
from .marks import read_mark
from .statements import quoted

#: Seconds for which a server that does not answer is waited for: it may be the one that
#: other writers are locked out for.
_SILENCE = {
    "tcp_user_timeout": 3000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}

#: Kept by the session of a move, which the triggers let write.
_OWN = "lea_fleet.move"

#: A move waits 3 seconds for a lock, and what it commits is on the disk.
_PREPARE = f"SET {_OWN} = 'own'; SET lock_timeout = '3s'; SET synchronous_commit = on"

#: The function of the triggers that refuse writes, with its body. For each statement,
#: so that it costs nothing while they are absent.
_CLOSED = """
CREATE OR REPLACE FUNCTION {schema}.lea_fleet_closed() RETURNS trigger
  LANGUAGE plpgsql AS """
_REFUSE = """BEGIN
  RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = %s;
END"""
_LET = "BEGIN RETURN NULL; END"

_HAS_TRIGGER = (
    "SELECT 1 FROM pg_catalog.pg_trigger"
    " WHERE tgrelid = %s::regclass AND tgname = 'lea_fleet_closed'"
)


#: For what waits for readers, and lets new ones wait meanwhile.
BRIEFLY = "SET LOCAL lock_timeout = '300ms'"

#: The tries to get locks that others hold: whether each is the last one.
TRIES = (False, False, False, False, True)

#: Somebody else holds what a statement waits for.
BUSY = (errors.DeadlockDetected, errors.LockNotAvailable)


class PostgresqlRows:
    """The rows that *driver* sees in its transaction."""

    def __init__(self, side: PostgresqlSide, driver: Connection[Any]) -> None:
        self._side = side
        self._driver = driver

    def all(self, table: Table) -> Iterator[Row]:
        order = " ORDER BY id" if table in NUMBERED else ""
        query = f"COPY ({self._side.select(table)}{order}) TO STDOUT"
        with self._driver.cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types(self._side.types(table))
            yield from copy.rows()

    def some(self, table: Table, keys: Sequence[Row]) -> list[Row]:
        query = f"{self._side.select(table)} JOIN {self._side.keys(table)}"
        return self._driver.execute(query, [*map(list, zip(*keys))]).fetchall()

    def numbers(self) -> dict[str, int]:
        numbers = {}
        for table in NUMBERED:
            name = self._side.qualified(table.name)
            row = self._driver.execute(
                f"SELECT greatest((SELECT max(id) FROM {name}),"
                " pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')), 0)",
                [name],
            ).fetchone()
            numbers[table.name] = row[0] if row else 0
        return numbers


class PostgresqlSide:
    """What a source and a target share: a connection of its own, and the schema."""

    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    #: PostgreSQL has no text that SQLite cannot store.
    misfits: list[Misfit] = []

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema
        self.place = f"{place_of(url)}, schema {schema}"
        self._columns: dict[str, dict[str, str]] = {}
        self.driver = self._connected()

    def problem_of(self, error: Exception) -> DatabaseProblem:
        if isinstance(error, errors.InsufficientPrivilege):
            return DatabaseUnavailable(
                f"{self.place} cannot be used: {first_line(error)}. A move needs the"
                " role that owns the tables, or one that may create them."
            )
        return database_problem(error, self.place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one move at a time use the schema. Raises MoveRefused.

        By an advisory lock of this session, which ends with it. It is waited for: the
        session of a move that was killed goes on until a lock that it waits for.
        """
        lock = f"hashtextextended('lea_fleet move {self._schema}', 0)"
        try:
            self.driver.execute(f"SELECT pg_advisory_lock({lock})")
        except errors.LockNotAvailable:
            raise MoveRefused(f"Another move of {self.place} is running.") from None
        try:
            yield
        finally:
            if not self.driver.closed and not self.driver.broken:
                self.driver.execute(f"SELECT pg_advisory_unlock({lock})")

    def mark(self) -> Mark | None:
        return read_mark(self.driver, self._schema)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresqlRows]:
        # Closed without a rollback, which would wait for the end of a COPY whose rows
        # nobody reads any more.
        with closing(self._connected()) as driver:
            driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            driver.execute("SELECT 1")  # takes the snapshot
            yield PostgresqlRows(self, driver)

    @contextmanager
    def locked(self) -> Iterator[PostgresqlRows]:
        with self.transaction():
            self.lock_tables()
            # If this process hangs, or cannot be reached, the server ends the lock.
            self.driver.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")
            yield PostgresqlRows(self, self.driver)

    def lock_tables(self) -> None:
        """Lock all tables against writers, in the open transaction.

        Again, if a writer that holds one wants another one: PostgreSQL ends one of the
        two transactions. The machines first, as every transaction about one does.
        """
        names = [self.qualified(table.name) for table in TABLES]
        for is_last in TRIES:
            try:
                self.driver.execute(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE")
                return
            except BUSY:
                if is_last:
                    raise
                self.driver.execute("ROLLBACK")
                self.driver.execute("BEGIN")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction, unless one is open."""
        if self.driver.info.transaction_status != TransactionStatus.IDLE:
            yield
            return
        self.driver.execute("BEGIN")
        try:
            yield
            self.driver.execute("COMMIT")
        except BaseException:
            if self.driver.lock.locked():  # by a COPY: see snapshot()
                self.driver.close()
            if not self.driver.closed:
                self.driver.rollback()
            raise

    def write_mark(self, mark: Mark) -> None:
        """Put *mark* in place of what the schema remembers of a move.

        That the fleet has come here is still known if it has to stay.
        """
        table = self.qualified("lea_fleet_moves")
        self.driver.execute(f"DELETE FROM {table} WHERE state <> 'open'")
        self.driver.execute(
            f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)",
            row_of(mark),
        )

    def refuse_writes(self, reason: str) -> None:
        """Let every write of a table of ours by others fail, with *reason*."""
        self._let_closed(_REFUSE % self._literal(reason))
        for table in TABLES:
            name = self.qualified(table.name)
            if self.driver.execute(_HAS_TRIGGER, [name]).fetchone():
                continue  # of an earlier time
            self.driver.execute(
                f"CREATE TRIGGER lea_fleet_closed BEFORE INSERT OR UPDATE OR DELETE"
                f" OR TRUNCATE ON {name} FOR EACH STATEMENT"
                f" WHEN (current_setting('{_OWN}', true) IS DISTINCT FROM 'own')"
                f" EXECUTE FUNCTION {self.qualified('lea_fleet_closed')}()"
            )

    def let_write(self) -> None:
        """Let others write. Waits for nobody, unlike what takes the triggers away."""
        self._let_closed(_LET)

    def drop_closed(self) -> None:
        """Take the triggers away that refused writes, unless somebody reads."""
        with suppress(*BUSY):
            with self.transaction():
                self.run(BRIEFLY)
                self.run("DROP FUNCTION IF EXISTS {schema}.lea_fleet_closed() CASCADE")

    def _let_closed(self, body: str) -> None:
        self.driver.execute(
            _CLOSED.replace("{schema}", quoted(self._schema)) + self._literal(body)
        )

    def _literal(self, text: str) -> str:
        return Literal(text).as_string(self.driver)

    def run(self, statement: str) -> None:
        self.driver.execute(statement.replace("{schema}", quoted(self._schema)))

    def qualified(self, name: str) -> str:
        return f"{quoted(self._schema)}.{name}"

    def select(self, table: Table) -> str:
        """Return what selects *table* by the alias ``t``, truth values as numbers."""
        kinds = self.kinds(table)
        columns = [
            f"t.{name}::int" if kinds[name] == "boolean" else f"t.{name}"
            for name in table.columns
        ]
        return f"SELECT {', '.join(columns)} FROM {self.qualified(table.name)} AS t"

    def types(self, table: Table) -> list[str]:
        names = {"boolean": "int4", "bigint": "int8"}
        kinds = self.kinds(table)
        return [names.get(kinds[name], "text") for name in table.columns]

    def keys(self, table: Table) -> str:
        """Return keys as a table to join, from an array for each column of the key."""
        kinds = self.kinds(table)
        arrays = ", ".join(f"%s::{kinds[name]}[]" for name in table.key)
        names = [f"k{number}" for number in range(table.width)]
        same = " AND ".join(f"t.{a} = k.{b}" for a, b in zip(table.key, names))
        return f"unnest({arrays}) AS k({', '.join(names)}) ON {same}"

    def kinds(self, table: Table) -> dict[str, str]:
        """Return the type of each column."""
        if not self._columns:
            for name, column, kind in self.driver.execute(
                "SELECT table_name, column_name, data_type"
                " FROM information_schema.columns WHERE table_schema = %s",
                [self._schema],
            ):
                self._columns.setdefault(name, {})[column] = kind
        return self._columns[table.name]

    def _connected(self) -> PatientConnection:
        ours = parameters(self._url, **{**WRITABLE, **_SILENCE})
        try:
            driver = PatientConnection.connect(self._url, autocommit=True, **ours)
        except psycopg.Error as error:
            raise self.problem_of(error) from None
        try:
            refuse_server(driver, self.place)
            driver.execute(_PREPARE)
        except BaseException:
            driver.close()
            raise
        return driver
