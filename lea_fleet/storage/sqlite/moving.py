"""A SQLite file as a side of a move: what the file it leaves and a new one share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from ..sides import Mark, Misfit, MoveRefused, mark_of, row_of
from ..tables import NUMBERED, Row, Table
from .connection import connect

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: In place of what PostgreSQL cannot store.
_REPLACEMENT = "\ufffd"


class SqliteRows:
    """The rows that *connection* sees, which must return text as bytes.

    What PostgreSQL cannot store as it is is replaced, and a line about it is put into
    *misfits*, by table, key and column.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        misfits: dict[tuple[str, str, str], Misfit],
    ) -> None:
        self._connection = connection
        self._misfits = misfits

    def all(self, table: Table) -> Iterator[Row]:
        order = " ORDER BY id" if table in NUMBERED else ""
        return self._read(table, self._connection.execute(select(table) + order))

    def some(self, table: Table, keys: Sequence[Row]) -> list[Row]:
        query = f"{select(table)} WHERE {is_key(table)}"
        found = (self._connection.execute(query, key) for key in keys)
        return [*self._read(table, chain.from_iterable(found))]

    def numbers(self) -> dict[str, int]:
        numbers = {}
        for table in NUMBERED:
            query = f"SELECT max(id) FROM {table.name}"
            (highest,) = self._connection.execute(query).fetchone()
            numbers[table.name] = highest or 0
        # Higher than any id where the newest rows were deleted.
        for name, number in self._connection.execute("SELECT * FROM sqlite_sequence"):
            name = name.decode()
            if name in numbers:
                numbers[name] = max(numbers[name], number)
        return numbers

    def _read(self, table: Table, rows: Any) -> Iterator[Row]:
        for row in rows:
            try:
                values = [v.decode() if type(v) is bytes else v for v in row]
            except UnicodeDecodeError:
                values = self._mended(table, row)
            if any("\0" in v for v in values if type(v) is str):
                values = self._mended(table, row)
            yield tuple(values)

    def _mended(self, table: Table, row: Sequence[Any]) -> list[Any]:
        values = [
            value.decode("utf-8", "replace") if type(value) is bytes else value
            for value in row
        ]
        key = ", ".join(map(repr, values[: table.width]))
        for number, value in enumerate(values):
            if type(value) is not str:
                continue
            reason = None
            if value.encode() != row[number]:
                reason = "is not UTF-8"
            if "\0" in value:
                reason = "contains NUL"
                values[number] = value.replace("\0", _REPLACEMENT)
            if reason:
                column = table.columns[number]
                misfit = Misfit(table.name, key, column, reason)
                self._misfits[table.name, key, column] = misfit
        return values


def select(table: Table) -> str:
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"


def is_key(table: Table) -> str:
    return " AND ".join(f"{name} = ?" for name in table.key)


def opened(file: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open *file* for exact reading: text is returned as bytes."""
    connection = connect(file, "rw", busy_timeout)
    connection.row_factory = None
    connection.text_factory = bytes
    return connection


def read_mark(connection: sqlite3.Connection) -> Mark | None:
    """Return what the file remembers of a move, if anything."""
    row = connection.execute(
        "SELECT id, other, state, at, digests FROM lea_fleet_moves"
        " ORDER BY state = 'open' LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return mark_of([v.decode() if type(v) is bytes else v for v in row])


def write_mark(connection: sqlite3.Connection, mark: Mark) -> None:
    """Put *mark* in place of what the file remembers of a move.

    That the fleet has come here is still known if it has to stay.
    """
    connection.execute("DELETE FROM lea_fleet_moves WHERE state <> 'open'")
    connection.execute(
        "INSERT INTO lea_fleet_moves VALUES (?, ?, ?, ?, ?)",
        row_of(mark),
    )


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Let one move at a time use *file*. Raises MoveRefused.

    By a lock on a file beside it, which ends with the process, however that ends.
    """
    lock = Path(f"{file}-lea-move")
    with lock.open("ab") as held:
        try:
            _lock(held.fileno())
        except OSError:
            raise MoveRefused(f"Another move of {file} is running.") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
