"""A SQLite file as a side of a move: what the file it leaves and a new one share."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import Any

from ..sides import Mark, Misfit, MoveRefused, mark_of, row_of
from ..tables import NUMBERED, NUMBERS, Row, Table
from .connection import connect

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: In place of what PostgreSQL cannot store.
_REPLACEMENT = "\ufffd"

#: NUL, and a byte that is not UTF-8, as :func:`opened` lets it be read.
_UNSTORABLE = re.compile("[\0\udc80-\udcff]")


class SqliteRows:
    """The rows that *connection* sees, which :func:`opened` has opened.

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
            if name in numbers:
                numbers[name] = max(numbers[name], number)
        return numbers

    def _read(self, table: Table, rows: Any) -> Iterator[Row]:
        fitting: set[tuple[type, ...]] = set()
        for row in rows:
            kinds = tuple(map(type, row))
            text = "".join([value for value in row if type(value) is str])
            if kinds not in fitting and _fit(table, kinds):
                fitting.add(kinds)
            if kinds not in fitting or _UNSTORABLE.search(text):
                row = self._mended(table, row)
            yield row

    def _mended(self, table: Table, row: Row) -> Row:
        found = [_stored(*each) for each in zip(table.columns, row)]
        key = ", ".join(repr(value) for value, _ in found[: table.width])
        for column, (_, reason) in zip(table.columns, found):
            if reason:
                misfit = Misfit(table.name, key, column, reason)
                self._misfits[table.name, key, column] = misfit
        return tuple(value for value, _ in found)


def _fit(table: Table, kinds: Sequence[type]) -> bool:
    return all(
        kind is type(None) or kind is (int if name in NUMBERS else str)
        for name, kind in zip(table.columns, kinds)
    )


def _stored(column: str, value: Any) -> tuple[Any, str]:
    """Return what is stored for *value*, and why that is another one, if it is."""
    if value is None or (column in NUMBERS and type(value) is int):
        return value, ""
    if column in NUMBERS:
        return int(value) if type(value) is float else 0, "is not a whole number"
    reason = ""
    if type(value) is bytes:
        value, reason = value.decode("utf-8", "replace"), "is binary"
    elif type(value) is not str:
        value, reason = str(value), "is a number"
    raw = value.encode("utf-8", "surrogateescape")
    readable = raw.decode("utf-8", "replace")
    if readable != value:
        value, reason = readable, "is not UTF-8"
    if "\0" in value:
        value, reason = value.replace("\0", _REPLACEMENT), "contains NUL"
    return value, reason


def select(table: Table) -> str:
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"


def is_key(table: Table) -> str:
    return " AND ".join(f"{name} = ?" for name in table.key)


def opened(file: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open *file* for :func:`read_exactly`."""
    return read_exactly(connect(file, "rw", busy_timeout))


def read_exactly(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let no byte that is not UTF-8 be lost when *connection* reads; return it."""
    connection.row_factory = None
    connection.text_factory = methodcaller("decode", "utf-8", "surrogateescape")
    return connection


def read_mark(connection: sqlite3.Connection) -> Mark | None:
    """Return what the file remembers of a move, if anything."""
    row = connection.execute(
        "SELECT id, other, state, at, digests FROM lea_fleet_moves"
        " ORDER BY state = 'open' LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return mark_of(row)


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
    try:
        held = lock.open("ab")
    except OSError as error:
        raise MoveRefused(f"{lock} cannot be made: {error.strerror}.") from None
    with held:
        try:
            _lock(held.fileno())
            if not os.path.samestat(os.fstat(held.fileno()), os.stat(lock)):
                raise FileNotFoundError  # another move has just ended
        except OSError:
            raise MoveRefused(f"Another move of {file} is running.") from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows deletes no open file
                lock.unlink()


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
