"""SQLite's SQL fragments and transaction commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import Any

from ...core.text import contains, sort_key
from .write_queue import end_turn, leave_queue, take_turn


class SqliteDialect:
    """See :class:`lea_fleet.storage.interface.Dialect`."""

    departed = "status IS NOT 'active'"

    #: SQLite's own state, so that a BEGIN by the host counts too.
    in_transaction = attrgetter("in_transaction")

    def agent_as_json(
        self, members: Mapping[str, str], flags: Mapping[str, str]
    ) -> str:
        # SQLite has no booleans, so json() makes them. A BLOB, since text would be
        # decoded and encoded again needlessly.
        pairs = [f"'{name}', {value}" for name, value in members.items()]
        pairs += [
            f"'{name}', json(iif({condition}, 'true', 'false'))"
            for name, condition in flags.items()
        ]
        return f"CAST(json_object({', '.join(pairs)}) AS BLOB)"

    def contains(self, columns: Iterable[str]) -> str:
        # One call for all columns, joined by NUL, which no search text contains.
        searched = " || char(0) || ".join([f"coalesce({name}, '')" for name in columns])
        return f"lea_fleet_contains(CAST({searched} AS BLOB), :q)"

    def sort_key(self, column: str) -> str:
        return f"lea_fleet_sort_key(CAST({column} AS BLOB))"

    def begin_writing(
        self, session: sqlite3.Connection, about: str | Iterable[str], durable: bool
    ) -> None:
        # SQLite locks the whole file, whatever the transaction is about.
        begin_writing(session, durable=durable)

    def hand_out(self, session: sqlite3.Connection) -> sqlite3.Connection:
        if not getattr(session, "handed_out", True):  # True: the host opened it
            session.handed_out = True  # type: ignore[attr-defined]
            leave_queue(session)
        return session

    def begin_reading(self, session: sqlite3.Connection) -> None:
        session.execute("BEGIN DEFERRED")

    def write_once(
        self, session: sqlite3.Connection, statement: str, values: Mapping[str, Any]
    ) -> int:
        """Run one statement as its own transaction; return the number of rows.

        A power cut may undo it. Unlike Connection.commit(), this does not check that
        the file is still there. Raises what :meth:`begin_writing` does.
        """
        set_synchronous(session, durable=False)
        changed = take_turn(session, statement, values).rowcount
        end_turn(session)
        return changed


#: The one dialect of every SQLite session: it has no state.
DIALECT = SqliteDialect()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a durable transaction: commit, or roll back if it raises.

    Raises what :func:`begin_writing` does.
    """
    begin_writing(connection, durable=True)
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def begin_writing(connection: sqlite3.Connection, *, durable: bool) -> None:
    """Begin a transaction and take the file's write lock.

    IMMEDIATE, since a deferred transaction that reads before it writes loses updates to
    other processes: 924 of 1,600 in a measurement with 8 of them. Raises
    sqlite3.OperationalError if another writer holds the lock for longer than the busy
    timeout.
    """
    set_synchronous(connection, durable=durable)
    take_turn(connection, "BEGIN IMMEDIATE")


def set_synchronous(connection: sqlite3.Connection, *, durable: bool) -> None:
    """Set how durable the next commits are; call it outside of a transaction.

    With ``FULL``, a commit survives a power cut; with ``NORMAL``, it may be lost, as a
    heartbeat may.
    """
    level = "FULL" if durable else "NORMAL"
    # Skipped if it is set already: a PRAGMA takes 17 µs of an enrollment's 420. The
    # setting is not known if other code has used the connection, or opened it.
    is_known = not getattr(connection, "handed_out", True)
    if not (is_known and getattr(connection, "synchronous", None) == level):
        connection.execute(f"PRAGMA synchronous = {level}")
        with suppress(AttributeError):
            connection.synchronous = level  # type: ignore[attr-defined]


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the SQL functions that statements use to search and sort text."""
    connection.create_function("lea_fleet_contains", 2, contains, deterministic=True)
    connection.create_function("lea_fleet_sort_key", 1, sort_key, deterministic=True)
