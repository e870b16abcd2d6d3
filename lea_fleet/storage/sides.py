"""What a move of a fleet needs of the two databases that it goes from and to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from ..core.problems import DatabaseProblem
from .tables import Row, Table


class MoveRefused(Exception):
    """Nothing was moved, and nothing has changed; the text says why."""


class Mark(NamedTuple):
    """What a database remembers of a move.

    *state* is ``closed`` in a database that the fleet has left, and ``closing`` until
    the other one is open. It is ``open`` in one that the fleet has come to, ``filling``
    before that, and ``undone`` in one that it has left again by an undo. *digests* maps
    the names of tables to their number of rows and digest.
    """

    id: str
    other: str
    state: str
    at: str
    digests: dict[str, tuple[int, str]]

    @property
    def is_closed(self) -> bool:
        """Whether the database refuses writes, since the fleet leaves it."""
        return self.state in ("closing", "closed")


def row_of(mark: Mark) -> list[str]:
    """Return *mark* as a row of ``lea_fleet_moves``."""
    return [*mark[:4], json.dumps(mark.digests)]


def mark_of(row: Sequence[str]) -> Mark:
    """Return the mark that :func:`row_of` has made a row of."""
    id, other, state, at, digests = row
    found = json.loads(digests).items()
    return Mark(id, other, state, at, {name: (n, text) for name, (n, text) in found})


class Misfit(NamedTuple):
    """A value that the other engine cannot store as it is.

    *row* is the key of its row as text.
    """

    table: str
    row: str
    column: str
    reason: str


class Rows(Protocol):
    """Rows as one transaction sees them."""

    def all(self, table: Table) -> Iterator[Row]:
        """Yield all rows of *table*, a batch of them in memory; by id if it has one."""

    def some(self, table: Table, keys: Sequence[Row]) -> list[Row]:
        """Return the rows of *table* with these *keys*, of those that exist."""

    def numbers(self) -> dict[str, int]:
        """Return the highest id ever handed out in each table that has ids."""


class Side(Protocol):
    """A database, as a move reads or writes it."""

    place: str

    #: The engine's exception classes; :meth:`problem_of` converts them.
    errors: tuple[type[Exception], ...]

    def problem_of(self, error: Exception) -> DatabaseProblem:
        """Return the problem to raise for one of :attr:`errors`."""

    def alone(self) -> AbstractContextManager[None]:
        """Let no other move use this database. Raises MoveRefused."""

    def mark(self) -> Mark | None:
        """Return what it remembers of a move, if anything."""

    def snapshot(self) -> AbstractContextManager[Rows]:
        """Read the rows of one state of the database."""

    def locked(self) -> AbstractContextManager[Rows]:
        """Let nobody else write until the end, which commits, or rolls back."""


class Source(Side, Protocol):
    """The database that the fleet moves from, which servers go on writing."""

    @property
    def misfits(self) -> list[Misfit]:
        """The values that the other engine cannot store, which were replaced."""

    def untouched(self) -> AbstractContextManager[Rows]:
        """As :meth:`snapshot`, for a dry run: missing tables count as empty."""

    def begin_noting(self) -> None:
        """Let triggers note the keys of rows that change from now on."""

    def take_noted(self) -> dict[str, list[Row]]:
        """Return the noted keys by table, and forget them."""

    def end_noting(self) -> None:
        """Take the triggers and the notes away, if there are any."""

    def close(self, mark: Mark) -> None:
        """Refuse further writes of ours, within :meth:`locked`."""

    def keep(self, mark: Mark, prints: dict[str, bytes]) -> None:
        """Remember *mark*, and the sorted fingerprints of each table's rows."""

    def prints(self) -> dict[str, bytes]:
        """Return the fingerprints that were kept."""

    def settle(self) -> None:
        """Remember that the target is open."""

    def reopen(self) -> None:
        """Take writes again, and forget that the fleet was leaving."""


class Target(Side, Protocol):
    """The database that the fleet moves to, which no server uses yet."""

    def begin(self, mark: Mark) -> None:
        """Make our tables, empty and closed to servers.

        What a move that did not end has left there is deleted. Raises MoveRefused as
        :meth:`refuse` does.
        """

    def refuse(self) -> None:
        """Raise MoveRefused if there is a fleet, or this user may make none there."""

    def fill(self, table: Table, rows: Iterable[Row]) -> None:
        """Add *rows*, in a transaction of their own."""

    def replace(self, table: Table, keys: Sequence[Row], rows: Sequence[Row]) -> None:
        """Delete the rows with *keys* and add *rows*, in one transaction."""

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        """Let what takes longer than *seconds* in the block fail."""

    def abandon(self) -> None:
        """Leave it as it was before :meth:`begin`, unless it is open."""

    def set_numbers(self, numbers: dict[str, int]) -> None:
        """Let new ids follow *numbers*."""

    def open(self, mark: Mark) -> None:
        """Let servers use it."""

    def withdraw(self, mark: Mark) -> None:
        """Close it for good and give up its rows, within :meth:`locked`."""


def end_interrupted(source: Source) -> bool:
    """Take the notes of a killed move away; return False if one is running."""
    try:
        with source.alone():
            source.end_noting()
    except MoveRefused:
        return False
    return True


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield *items*, *size* at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
