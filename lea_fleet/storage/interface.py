"""The seam between the statements on the fleet and the engine that runs them.

A statement is one text that SQLite 3.35 and PostgreSQL 13 both accept, with named
parameters (``:name``); what they say differently is a Dialect. Everything that is not
a statement about the fleet (connecting, transactions, errors, schema, backup, checks)
is the engine's own: a sub-package that no statement imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from ..core.problems import DatabaseProblem


class Result(Protocol):
    """What a statement gives: rows, which are read by position or by name."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int = ..., /) -> list[Any]: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Session(Protocol):
    """An open connection, used by one thread at a time.

    A plain ``sqlite3.Connection`` is one: nothing stands between it and a heartbeat.
    """

    def execute(self, statement: str, values: Mapping[str, Any] = ..., /) -> Result: ...

    def executemany(
        self, statement: str, values: Iterable[Mapping[str, Any]], /
    ) -> Result: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class Dialect(Protocol):
    """What an engine says or does in a way of its own, for the statements.

    A *session* is of the type that its own engine opens.
    """

    def __hash__(self) -> int: ...

    #: The condition of the index ``lea_fleet_departed``, word for word.
    departed: str

    def agent_as_json(
        self, members: Mapping[str, str], flags: Mapping[str, str]
    ) -> str:
        """Return the expression for a JSON object in UTF-8 bytes.

        *members* are expressions by name, *flags* are conditions by name.
        """
        ...

    def contains(self, columns: Iterable[str]) -> str:
        """Return the condition that one of *columns* contains ``:q``, in any case."""
        ...

    def sort_key(self, column: str) -> str:
        """Return what a text column is ordered by, as people order names."""
        ...

    def in_transaction(self, session: Any) -> bool: ...

    def begin_writing(
        self, session: Any, about: str | Iterable[str], durable: bool
    ) -> None:
        """Begin a transaction that writes, with the locks that it needs.

        *about* names the machines that it writes about. What is committed survives a
        power cut where it is *durable*.
        """
        ...

    def hand_out(self, session: Any) -> Any:
        """Return *session* for others to use: what they set on it is not known."""
        ...

    def begin_reading(self, session: Any) -> None:
        """Begin a transaction in which everything is read from one snapshot."""
        ...

    def write_once(
        self, session: Any, statement: str, values: Mapping[str, Any]
    ) -> int:
        """Run one statement as a transaction that may be lost; return its rows."""
        ...


class Store(Protocol):
    """The sessions of one application, and what its engine does beside statements."""

    dialect: Dialect

    #: What the engine raises; :meth:`problem_of` says what that means to a caller.
    errors: tuple[type[Exception], ...]

    def acquire(self) -> Any:
        """Return a session that nobody else uses, with the schema in place.

        Raises DatabaseBusy or DatabaseUnavailable.
        """
        ...

    def release(self, session: Any) -> None: ...

    def discard(self, session: Any) -> None: ...

    def is_usable(self, session: Any) -> bool:
        """Tell whether this process may use *session*: none from before a fork."""
        ...

    def close_idle(self) -> None: ...

    def problem_of(self, error: Exception) -> DatabaseProblem: ...

    def distrust_idle(self) -> None: ...
