"""The interface between the SQL statements and the database engine.

A statement is one text that SQLite 3.35 and PostgreSQL 13 both accept, with named
parameters (``:name``); a Dialect has the parts in which the two differ. Everything
else (connecting, transactions, errors, schema, backup, checks) is in the engine's
sub-package, which modules with statements do not import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from ..core.problems import DatabaseProblem


class Result(Protocol):
    """The result of a statement; its rows can be read by position or by name."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int = ..., /) -> list[Any]: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Session(Protocol):
    """An open connection, used by one thread at a time.

    A ``sqlite3.Connection`` already satisfies this, so no wrapper slows heartbeats.
    """

    def execute(self, statement: str, values: Mapping[str, Any] = ..., /) -> Result: ...

    def executemany(
        self, statement: str, values: Iterable[Mapping[str, Any]], /
    ) -> Result: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class Following(NamedTuple):
    """The SQL fragments by which events are followed, in an order that never changes.

    *commit* is the text of what an event's transaction is ordered by. *after* is the
    condition for events after ``:commit`` and ``:id``, before which none can appear any
    more; *order* is their order.
    """

    commit: str
    after: str
    order: str


class Found(NamedTuple):
    """The ids of rows among which are all that a search finds.

    None if no index tells, or if they are many: then all rows are to be read.
    *is_behind* is whether the index lacks much of what it should have.
    """

    ids: list[int] | None
    is_behind: bool = False


class Dialect(Protocol):
    """The SQL fragments and transaction commands that differ between engines.

    A *session* must be one that the same engine opened.
    """

    def __hash__(self) -> int: ...

    #: The condition of the index ``lea_fleet_departed``, which must match it exactly.
    departed: str

    #: The expression for an empty list within agent_as_json().
    empty_list: str

    #: What lets a subquery leave out rows that other transactions are changing.
    skip_locked: str

    #: Ids of events are not in the order of commits where several transactions write.
    following: Following

    def agent_as_json(
        self, members: Mapping[str, str], flags: Mapping[str, str]
    ) -> str:
        """Return an SQL expression that gives a JSON object as UTF-8 bytes.

        *members* maps names to SQL expressions, *flags* names to SQL conditions, which
        become booleans.
        """

    def list_as_json(self, column: str, rows: str, *, order: str) -> str:
        """Return an SQL expression that gives a JSON array of a *column*.

        *rows* is the table, with its condition. It is JSON within agent_as_json().
        """

    def contains(self, columns: Iterable[str]) -> str:
        """Return a condition: one of *columns* contains ``:q``, ignoring case."""

    def find(self, session: Any, text: str) -> Found:
        """Return among which rows are all that contain the case-folded *text*."""

    def catch_up(self, session: Any) -> None:
        """Bring the index that find() uses up to date, as far as that is quick.

        Nothing within a transaction. Searches find everything without it.
        """

    def note_change(self, session: Any, machine_id: str) -> None:
        """Record that what a machine is searched by has changed.

        Not needed for one that is new or enrolled anew.
        """

    def forget(self, session: Any, machine_id: str) -> None:
        """Delete what the engine keeps to find a machine by text that is erased."""

    def integers_in(self, parameter: str) -> str:
        """Return a query for the integers of a *parameter*, a JSON array."""

    def sort_key(self, column: str) -> str:
        """Return the sort expression of a text column, for the order people expect."""

    def folded(self, column: str) -> str:
        """Return an expression for a text column, folded as by core.text.folded().

        The column is one that is searched; NULL is as empty text.
        """

    def label(self, host: str) -> str:
        """Return an expression for the part of a *host* before its first dot."""

    def with_keys(self, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *columns* to write, with those that are derived of them.

        An engine may keep what it searches and sorts by.
        """

    def key_as_bytes(self, key: str) -> str:
        """Return two select columns: the type of a sort key, and its value as bytes."""

    def key_from_bytes(self, kind: str, key: bytes) -> tuple[str, Any]:
        """Return the expression for ``:after_key`` and its value, for a cursor's *key*.

        It is compared as the type that it had.
        """

    def in_transaction(self, session: Any) -> bool:
        """Return whether a transaction is open on *session*."""

    def is_conflict(self, error: Exception) -> bool:
        """Return whether *error* rolled a transaction back for another one's sake.

        What it did may be done again in a new transaction.
        """

    def begin_writing(
        self, session: Any, about: str | Iterable[str], durable: bool
    ) -> None:
        """Begin a write transaction and take its locks.

        *about* names the machines that it writes about. A *durable* commit survives a
        power cut.
        """

    def patience(self, session: Any, seconds: float) -> AbstractContextManager[None]:
        """Return a context in which a write that is not durable waits no longer.

        For those that somebody waits for, and that can be done later.
        """

    def lock(self, session: Any, machine_id: str) -> None:
        """Lock a machine that the open transaction did not find when it began."""

    def lock_look(self, session: Any, machine_id: str) -> None:
        """Wait for transactions that add a machine whose id looks like this one.

        No other one begins then before the end of the open transaction.
        """

    def take_turn(self, session: Any, name: str) -> None:
        """Let no other transaction that has called this with *name* run beside this.

        For those that insert many rows, in an order that others do not know, or that
        write what they have read.
        """

    def hand_out(self, session: Any) -> Any:
        """Return *session*, marked as one whose settings other code may change."""

    def begin_reading(self, session: Any) -> None:
        """Begin a transaction whose reads all see the same snapshot."""

    def batches(
        self, session: Any, statement: str, values: Mapping[str, Any], size: int
    ) -> Iterator[list[Any]]:
        """Yield the rows of a query *size* at a time, with no more in memory."""

    def write_once(
        self, session: Any, statement: str, values: Mapping[str, Any]
    ) -> int:
        """Run one statement as its own transaction; return the number of rows.

        It ends with its WHERE clause. A power cut may undo it.
        """


class Store(Protocol):
    """The sessions of one application, and its engine's errors and dialect."""

    dialect: Dialect

    #: The engine's exception classes; :meth:`problem_of` converts them.
    errors: tuple[type[Exception], ...]

    def acquire(self) -> Any:
        """Return a session for exclusive use, and create the schema if needed.

        Raises DatabaseBusy or DatabaseUnavailable.
        """

    def never_begin(self) -> None:
        """Let :meth:`acquire` refuse a missing database instead of making it."""

    def release(self, session: Any) -> None:
        """Roll back an open transaction, and keep *session* for reuse."""

    def discard(self, session: Any) -> None:
        """Close *session* instead of reusing it."""

    def is_usable(self, session: Any) -> bool:
        """Return whether this process may use *session*: not if it forked since."""

    def close_idle(self) -> None:
        """Close the sessions that are not in use."""

    def problem_of(self, error: Exception) -> DatabaseProblem:
        """Return the problem to raise for one of :attr:`errors`."""

    def may_run_again(self, error: Exception) -> bool:
        """Return whether the transaction that *error* ended may be run again.

        It was rolled back for another one's sake, or with its connection. Not after a
        commit whose outcome is not known.
        """

    def wal_size(self) -> int | None:
        """Return the bytes of the write-ahead log; None if the engine does not tell."""

    def distrust_idle(self) -> None:
        """Stop reusing the sessions that are idle now, after an error."""
