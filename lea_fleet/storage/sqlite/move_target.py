"""A new SQLite file that the fleet comes to."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path

from ...core.files import name_new
from ...core.problems import DatabaseProblem, DatabaseUnavailable
from ...core.text import printable
from ..sides import Mark, MoveRefused
from ..tables import Row, Table
from .errors import database_problem
from .files import UNDONE, UNFINISHED, has_database, place_of
from .moving import SqliteRows, alone, is_key, opened, read_mark, write_mark
from .permissions import make_database_file, refuse_to_shut_out_owner
from .schema import script


class SqliteTarget:
    """See :class:`lea_fleet.storage.sides.Target`.

    The file gets its name when it is complete, so that no server opens it before.
    *busy_timeout* is how long to wait for a writer of a complete one, in seconds.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self.place = printable(str(path))  # PostgreSQL stores it
        self._path = path
        self._busy_timeout = busy_timeout
        self._unfinished = Path(f"{path}{UNFINISHED}")
        self._undone = Path(f"{path}{UNDONE}")
        self._writer: sqlite3.Connection | None = None

    def __enter__(self) -> SqliteTarget:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def problem_of(self, error: Exception) -> DatabaseProblem:
        return database_problem(error, self._path)

    def alone(self) -> AbstractContextManager[None]:
        if not self._path.parent.is_dir():
            raise MoveRefused(f"The folder {self._path.parent} does not exist.")
        return alone(self._path)

    def mark(self) -> Mark | None:
        if has_database(self._path):
            return self._mark_of(self._path)
        if has_database(self._undone):
            mark = self._mark_of(self._undone)
            return None if mark is None else mark._replace(state="undone")
        return None

    def _mark_of(self, path: Path) -> Mark | None:
        with closing(opened(place_of(path).file, self._busy_timeout)) as reader:
            is_ours = "SELECT 1 FROM sqlite_master WHERE name = 'lea_fleet_moves'"
            return read_mark(reader) if reader.execute(is_ours).fetchone() else None

    @contextmanager
    def snapshot(self) -> Iterator[SqliteRows]:
        file = self._unfinished if self._writer else place_of(self._path).file
        with closing(opened(file, self._busy_timeout)) as reader:
            reader.execute("BEGIN")
            yield SqliteRows(reader, {})

    def refuse(self) -> None:
        refuse_to_shut_out_owner(self._path)
        if os.path.lexists(self._path):
            raise MoveRefused(f"{self.place} already exists; a move makes a new file.")
        for name in (f"{self._path}-wal", f"{self._path}-journal"):
            if os.path.lexists(name):  # SQLite would write it into the new file
                raise MoveRefused(
                    f"{name} is left of another file that was there. Choose another"
                    " path."
                )

    def begin(self, mark: Mark) -> None:
        self.refuse()
        self.abandon()
        with self._faults_reported():
            make_database_file(self._unfinished)
        writer = self._writer = sqlite3.connect(self._unfinished, isolation_level=None)
        # It is of no use before its end, when it is synced.
        writer.execute("PRAGMA journal_mode = OFF")
        writer.execute("PRAGMA synchronous = OFF")
        writer.executescript(script())

    def fill(self, table: Table, rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * len(table.columns))
        names = ", ".join(table.columns)
        with self._transaction() as writer:
            writer.executemany(
                f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows
            )

    def replace(self, table: Table, keys: Sequence[Row], rows: Sequence[Row]) -> None:
        with self._transaction() as writer:
            writer.executemany(f"DELETE FROM {table.name} WHERE {is_key(table)}", keys)
        self.fill(table, rows)

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()  # there is no network

    def set_numbers(self, numbers: dict[str, int]) -> None:
        with self._transaction() as writer:
            for name, number in numbers.items():
                writer.execute(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", [number, name]
                )
                writer.execute(
                    "INSERT INTO sqlite_sequence SELECT ?, ? WHERE NOT EXISTS"
                    " (SELECT 1 FROM sqlite_sequence WHERE name = ?)",
                    [name, number, name],
                )

    def open(self, mark: Mark) -> None:
        with self._transaction() as writer:
            write_mark(writer, mark)
        self._close()
        with self._faults_reported():
            with self._unfinished.open("rb+") as written:
                os.fsync(written.fileno())
            name_new(self._unfinished, self._path)

    @contextmanager
    def locked(self) -> Iterator[SqliteRows]:
        file = place_of(self._path).file
        with closing(opened(file, self._busy_timeout)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteRows(connection, {})

    def withdraw(self, mark: Mark) -> None:
        # A server that has it open notices this, and answers 503. Its WAL goes along:
        # SQLite would write it into a new file of this name.
        with self._faults_reported():
            for end in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{end}", f"{self._undone}{end}")

    def abandon(self) -> None:
        self._close()
        self._unfinished.unlink(missing_ok=True)

    @contextmanager
    def _faults_reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DatabaseUnavailable(
                f"{self._path} cannot be made: {error.strerror}."
            ) from error

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._writer is not None
        self._writer.execute("BEGIN")
        yield self._writer
        self._writer.execute("COMMIT")
