"""PostgreSQL's SQL fragments and transaction commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import psycopg

from ...core.text import sort_key
from .session import Session

#: A transaction's first statement. Where the server would let a heartbeat wait for the
#: disk, that is left out; a session says so for all of its transactions.
_BEGIN = "BEGIN; SET LOCAL synchronous_commit = on"
_BEGIN_NOT_DURABLE = "BEGIN; SET LOCAL synchronous_commit = off"

#: The columns of machines that are searched, and those that listings are sorted by.
_FOLDED = {"machine_id", "user_name", "user_email", "hostname"}
_SORTED = _FOLDED | {"version"}

_LOCK = (
    "SELECT 1 FROM enrolled_agents WHERE machine_id = ANY(:ids)"
    " ORDER BY machine_id FOR UPDATE"
)


class PostgresqlDialect:
    """See :class:`lea_fleet.storage.interface.Dialect`."""

    departed = "status <> 'active'"

    in_transaction = attrgetter("in_transaction")

    def agent_as_json(
        self, members: Mapping[str, str], flags: Mapping[str, str]
    ) -> str:
        pairs = [f"'{name}', {value}" for name, value in {**members, **flags}.items()]
        built = f"json_build_object({', '.join(pairs)})"
        return f"convert_to(CAST({built} AS text), 'UTF8')"

    def contains(self, columns: Iterable[str]) -> str:
        found = [f"strpos({name}_folded, :q) > 0" for name in columns]
        return f"({' OR '.join(found)})"

    def sort_key(self, column: str) -> str:
        return f"coalesce({column}_key, '')"

    def with_keys(self, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        stored = dict(columns)
        for name in _FOLDED & columns.keys():
            value = columns[name]
            stored[f"{name}_folded"] = None if value is None else value.casefold()
        for name in _SORTED & columns.keys():
            value = columns[name]
            stored[f"{name}_key"] = None if value is None else sort_key(value.encode())
        return stored

    def key_as_bytes(self, key: str) -> str:
        return f"'text', convert_to({key}, 'UTF8')"

    def key_from_bytes(self, kind: str) -> str:
        return "convert_from(:after_key, 'UTF8')"

    def begin_writing(
        self, session: Session, about: str | Iterable[str], durable: bool
    ) -> None:
        session.driver.execute(_BEGIN if durable else _BEGIN_NOT_DURABLE)
        ids = [about] if isinstance(about, str) else list(about)
        if ids:
            session.execute(_LOCK, {"ids": ids})

    def hand_out(self, session: Session) -> psycopg.Connection[Any]:
        return session.driver

    def begin_reading(self, session: Session) -> None:
        session.driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def write_once(
        self, session: Session, statement: str, values: Mapping[str, Any]
    ) -> int:
        return session.execute(statement, values).rowcount


#: The one dialect of every PostgreSQL session: it has no state.
DIALECT = PostgresqlDialect()
