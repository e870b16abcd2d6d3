"""SQLite's SQL fragments."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

from ...core.clock import in_utc
from ...core.text import contains, fold_key, sort_key
from ..interface import Following
from .indexing import catch_up
from .search import find, forget, joined, note_change
from .transactions import begin_writing, leave_queue, write_once

#: The sort key of a cursor; a column may hold any type.
_FROM_BYTES = {
    "text": "CAST(:after_key AS TEXT)",
    "blob": ":after_key",
    "integer": "CAST(:after_key AS INTEGER)",
    "real": "CAST(:after_key AS REAL)",
    "null": "NULL",
}

#: Seconds that a search waits for the lock to bring the index up to date.
_PATIENCE = 0.05

#: No method of its own, so that no heartbeat pays for another call.
_unchanged: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


class SqliteDialect:
    """See :class:`lea_fleet.storage.interface.Dialect`."""

    departed = "status IS NOT 'active'"

    empty_list = "json('[]')"
    skip_locked = ""  # there is one writer at a time

    # For the same reason, ids are in the order of commits.
    following = Following(commit="'0'", after="id > :id", order="id")

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

    def list_as_json(self, column: str, rows: str, *, order: str) -> str:
        ordered = f"SELECT {column} FROM {rows} ORDER BY {order}"
        return f"json((SELECT json_group_array({column}) FROM ({ordered})))"

    def contains(self, columns: Iterable[str]) -> str:
        # One call for all columns, joined by NUL, which no search text contains.
        return f"lea_fleet_contains({joined(columns)}, :q)"

    find = staticmethod(find)
    note_change = staticmethod(note_change)
    forget = staticmethod(forget)

    def catch_up(self, session: sqlite3.Connection) -> None:
        if hasattr(session, "busy_timeout"):  # not a connection that the host opened
            with self.patience(session, _PATIENCE):
                catch_up(session)

    def integers_in(self, parameter: str) -> str:
        return f"SELECT value FROM json_each(:{parameter})"

    def sort_key(self, column: str) -> str:
        return f"lea_fleet_sort_key(CAST({column} AS BLOB))"

    def folded(self, column: str) -> str:
        return f"lea_fleet_folded(CAST({column} AS BLOB))"

    def label(self, host: str) -> str:
        return f"substr({host}, 1, instr({host} || '.', '.') - 1)"

    #: Nothing is kept: what is searched and sorted by is computed in each query.
    with_keys = staticmethod(_unchanged)

    def key_as_bytes(self, key: str) -> str:
        return f"typeof({key}), CAST({key} AS BLOB)"

    def key_from_bytes(self, kind: str, key: bytes) -> tuple[str, Any]:
        return _FROM_BYTES[kind], key

    def is_conflict(self, error: Exception) -> bool:
        return False  # there is one writer at a time

    # No method of its own, so that no transaction pays for another call.
    begin_writing = staticmethod(begin_writing)
    write_once = staticmethod(write_once)

    @contextmanager
    def patience(self, session: sqlite3.Connection, seconds: float) -> Iterator[None]:
        usual = session.busy_timeout  # type: ignore[attr-defined]
        session.busy_timeout = min(usual, seconds)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            session.busy_timeout = usual  # type: ignore[attr-defined]
            if session.handed_out:  # type: ignore[attr-defined]
                leave_queue(session)

    def lock(self, session: sqlite3.Connection, machine_id: str) -> None:
        pass  # begin_writing() has locked the file

    def lock_look(self, session: sqlite3.Connection, machine_id: str) -> None:
        pass

    def take_turn(self, session: sqlite3.Connection, name: str) -> None:
        return  # no other transaction writes beside this one

    def hand_out(self, session: sqlite3.Connection) -> sqlite3.Connection:
        if not getattr(session, "handed_out", True):  # True: the host opened it
            session.handed_out = True  # type: ignore[attr-defined]
            leave_queue(session)
        return session

    def begin_reading(self, session: sqlite3.Connection) -> None:
        session.execute("BEGIN DEFERRED")

    def batches(
        self,
        session: sqlite3.Connection,
        statement: str,
        values: Mapping[str, Any],
        size: int,
    ) -> Iterator[list[Any]]:
        # No generator, which would be resumed for each batch of a page.
        rows = session.execute(statement, values)
        return iter(partial(rows.fetchmany, size), [])


#: The one dialect of every SQLite session: it has no state.
DIALECT = SqliteDialect()


def dialect_for(session: Any) -> SqliteDialect:
    """Return the dialect of a session that a host has opened, ready for statements."""
    add_functions(session)
    return DIALECT


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the SQL functions that statements use on text and timestamps."""
    connection.create_function("lea_fleet_contains", 2, contains, deterministic=True)
    connection.create_function("lea_fleet_sort_key", 1, sort_key, deterministic=True)
    connection.create_function("lea_fleet_folded", 1, fold_key, deterministic=True)
    connection.create_function("lea_fleet_in_utc", 1, _in_utc, deterministic=True)


def _in_utc(value: Any) -> Any:
    """Return a timestamp in UTC; a column may hold any type."""
    return in_utc(value) if isinstance(value, str) else value
