"""A SQLite file that the fleet leaves, while servers go on writing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cached_property
from pathlib import Path

from ...core.problems import DatabaseProblem
from ...core.text import printable
from ..sides import Mark, Misfit
from ..tables import TABLES, Row, Table
from .connection import Connection
from .connections import Connections
from .dry_run import copy_for_dry_run
from .errors import database_problem
from .files import place_of
from .moving import (
    SqliteRows,
    alone,
    opened,
    read_exactly,
    read_mark,
    write_mark,
)
from .transactions import set_synchronous, take_turn

#: The keys of changed rows. Only a move makes this table, and takes it away.
_NOTES = "lea_fleet_noted"
_MAKE_NOTES = f"CREATE TABLE {_NOTES} (source TEXT NOT NULL, k1, k2, k3)"

#: The fingerprints of the rows when the file was closed.
_MAKE_PRINTS = "CREATE TABLE lea_fleet_moved (source TEXT NOT NULL, prints BLOB)"

_TRIGGERS = (
    "SELECT name FROM sqlite_master"
    " WHERE type = 'trigger' AND name LIKE 'lea\\_fleet\\_noting\\_%' ESCAPE '\\'"
)


class SqliteSource:
    """See :class:`lea_fleet.storage.sides.Source`.

    *busy_timeout* is how long to wait for another writer, in seconds.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self.place = printable(str(path))  # PostgreSQL stores it
        self._path = path
        self._file = place_of(path).file
        self._busy_timeout = busy_timeout
        self._misfits: dict[tuple[str, str, str], Misfit] = {}
        self._store = Connections(path, busy_timeout=busy_timeout, reuse=False)
        self._store.never_begin()

    @cached_property
    def _writer(self) -> Connection:
        """The connection that writes; our tables are complete from then on."""
        return self._store.acquire()

    def __enter__(self) -> SqliteSource:
        return self

    def __exit__(self, *error: object) -> None:
        if "_writer" in vars(self):
            self._store.release(self._writer)

    @property
    def misfits(self) -> list[Misfit]:
        return [*self._misfits.values()]

    def problem_of(self, error: Exception) -> DatabaseProblem:
        return database_problem(error, self._path)

    def alone(self) -> AbstractContextManager[None]:
        return alone(self._file)

    def mark(self) -> Mark | None:
        return read_mark(self._writer)

    @contextmanager
    def untouched(self) -> Iterator[SqliteRows]:
        copy = copy_for_dry_run(self._path, self._busy_timeout)
        if copy is None:
            with self.snapshot() as rows:
                yield rows
            return
        with closing(read_exactly(copy)) as reader:
            yield SqliteRows(reader, self._misfits)

    @contextmanager
    def snapshot(self) -> Iterator[SqliteRows]:
        with closing(opened(self._file, self._busy_timeout)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM enrolled_agents LIMIT 1").fetchall()
            yield SqliteRows(reader, self._misfits)

    def begin_noting(self) -> None:
        with self._transaction():
            self._drop_notes()
            self._writer.execute(_MAKE_NOTES)
            for table in TABLES:
                for event in ("INSERT", "UPDATE", "DELETE") if table.is_noted else ():
                    self._writer.execute(_trigger(table, event))

    def take_noted(self) -> dict[str, list[Row]]:
        taken = f"DELETE FROM {_NOTES} RETURNING source, k1, k2, k3"
        if self._writer.in_transaction:
            rows = self._writer.execute(taken).fetchall()
        else:
            with self._transaction():
                rows = self._writer.execute(taken).fetchall()
        noted: dict[str, dict[Row, None]] = {}
        widths = {table.name: table.width for table in TABLES}
        for source, *key in rows:
            noted.setdefault(source, {})[tuple(key[: widths[source]])] = None
        return {source: [*keys] for source, keys in noted.items()}

    def end_noting(self) -> None:
        if is_noting(self._writer):
            with self._transaction():
                self._drop_notes()

    @contextmanager
    def locked(self) -> Iterator[SqliteRows]:
        with closing(opened(self._file, self._busy_timeout)) as reader:
            with self._transaction():
                # What others have committed: nobody writes, and we only our notes.
                yield SqliteRows(reader, self._misfits)

    def close(self, mark: Mark) -> None:
        write_mark(self._writer, mark)

    def keep(self, mark: Mark, prints: dict[str, bytes]) -> None:
        with self._transaction():
            write_mark(self._writer, mark)
            self._writer.execute("DROP TABLE IF EXISTS lea_fleet_moved")
            self._writer.execute(_MAKE_PRINTS)
            self._writer.executemany(
                "INSERT INTO lea_fleet_moved VALUES (?, ?)", prints.items()
            )

    def prints(self) -> dict[str, bytes]:
        rows = self._writer.execute("SELECT source, prints FROM lea_fleet_moved")
        return {source: prints for source, prints in rows}

    def settle(self) -> None:
        with self._transaction():
            self._writer.execute(
                "UPDATE lea_fleet_moves SET state = 'closed' WHERE state = 'closing'"
            )

    def reopen(self) -> None:
        mark = self.mark()
        if mark is None or not mark.is_closed:
            return
        with self._transaction():
            self._writer.execute("DELETE FROM lea_fleet_moves WHERE state <> 'open'")
            self._writer.execute("DROP TABLE IF EXISTS lea_fleet_moved")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # Not the fleet's own, which a closed file refuses. It must last, or a power cut
        # could leave two databases that take writes.
        set_synchronous(self._writer, durable=True)
        take_turn(self._writer, "BEGIN IMMEDIATE")
        try:
            yield
            self._writer.commit()
        except BaseException:
            self._writer.rollback()
            raise

    def _drop_notes(self) -> None:
        for (name,) in self._writer.execute(_TRIGGERS).fetchall():
            self._writer.execute(f"DROP TRIGGER {name}")
        self._writer.execute(f"DROP TABLE IF EXISTS {_NOTES}")


def is_noting(connection: sqlite3.Connection) -> bool:
    """Return whether triggers note changes: a move runs, or was interrupted."""
    return connection.execute(_TRIGGERS).fetchone() is not None


def _trigger(table: Table, event: str) -> str:
    """Return what notes the key of a row before and after it changes."""
    rows = {"INSERT": ["NEW"], "DELETE": ["OLD"], "UPDATE": ["OLD", "NEW"]}[event]
    notes = ""
    for row in rows:
        key = [f"{row}.{name}" for name in table.key]
        key += ["NULL"] * (3 - table.width)
        notes += f" INSERT INTO {_NOTES} VALUES ('{table.name}', {', '.join(key)});"
    return (
        f"CREATE TRIGGER lea_fleet_noting_{table.name}_{event.lower()}"
        f" AFTER {event} ON {table.name} BEGIN{notes} END"
    )
