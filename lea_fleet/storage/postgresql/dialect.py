"""PostgreSQL's SQL fragments and transaction commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import psycopg

from ...core.machine import SEARCHED, look, stored_form
from ...core.text import sort_key
from ..interface import Following, Found
from .candidates import candidates
from .errors import is_conflict
from .session import Session

#: The columns that are searched, and those that listings are sorted by.
_FOLDED = {*SEARCHED, "note"}
_SORTED = {"machine_id", "user_name", "user_email", "hostname", "version"}

_BEGIN_READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

#: Of one machine, as nearly all are. A plan of ANY depends on the number of ids, so
#: that the server makes another one each time: 220 µs of its time instead of 110.
_LOCK_ONE = "SELECT 1 FROM enrolled_agents WHERE machine_id = :id FOR UPDATE"

#: In the order of ids, so that two transactions never wait for each other.
_LOCK = (
    "SELECT 1 FROM enrolled_agents WHERE machine_id = ANY(:ids)"
    " ORDER BY machine_id FOR UPDATE"
)

_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"


#: The transaction after which events are followed. One that this server has not begun
#: yet is another server's, from which the database was restored: see events.py.
_FROM = (
    "CASE WHEN CAST(:commit AS xid8) >= pg_snapshot_xmax(pg_current_snapshot())"
    " THEN CAST('0' AS xid8) ELSE CAST(:commit AS xid8) END"
)


class PostgresqlDialect:
    """See :class:`lea_fleet.storage.interface.Dialect`."""

    departed = "status <> 'active'"

    empty_list = "CAST('[]' AS json)"
    skip_locked = " FOR UPDATE SKIP LOCKED"

    following = Following(
        commit="CAST(xid AS text)",
        after=f"(xid, id) > ({_FROM}, :id)"
        " AND xid < pg_snapshot_xmin(pg_current_snapshot())",
        # Of the table: xid alone is the text above, by which 10 is before 9.
        order="lea_fleet_events.xid, lea_fleet_events.id",
    )

    in_transaction = attrgetter("in_transaction")

    def agent_as_json(
        self, members: Mapping[str, str], flags: Mapping[str, str]
    ) -> str:
        # row_to_json() takes half as long as json_build_object() for an agent, which
        # looks up how to convert each of its values: 5 µs instead of 9.
        columns = [f"{value} AS {name}" for name, value in {**members, **flags}.items()]
        built = f"SELECT row_to_json(a) FROM (SELECT {', '.join(columns)}) AS a"
        return f"convert_to(CAST(({built}) AS text), 'UTF8')"

    def list_as_json(self, column: str, rows: str, *, order: str) -> str:
        listed = f"coalesce(json_agg({column} ORDER BY {order}), CAST('[]' AS json))"
        return f"(SELECT {listed} FROM {rows})"

    def contains(self, columns: Iterable[str]) -> str:
        # LIKE, which an index of pg_trgm serves. Not strpos(), which none does.
        pattern = ":q"
        for wildcard in "!%_":
            pattern = f"replace({pattern}, '{wildcard}', '!{wildcard}')"
        found = [
            f"{name}_folded LIKE '%' || {pattern} || '%' ESCAPE '!'" for name in columns
        ]
        return f"({' OR '.join(found)})"

    def find(self, session: Session, text: str) -> Found:
        return Found(candidates(session, text, self))

    def catch_up(self, session: Session) -> None:
        return  # the server keeps its indexes up to date

    def note_change(self, session: Session, machine_id: str) -> None:
        return  # with_keys() has what is stored beside each column

    forget = note_change

    def integers_in(self, parameter: str) -> str:
        values = f"json_array_elements_text(CAST(:{parameter} AS json))"
        return f"SELECT CAST(value AS bigint) FROM {values}"

    def sort_key(self, column: str) -> str:
        return f"coalesce({column}_key, '')"

    def folded(self, column: str) -> str:
        return f"btrim(normalize(coalesce({column}_folded, '')))"

    def label(self, host: str) -> str:
        return f"split_part({host}, '.', 1)"

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

    def key_from_bytes(self, kind: str, key: bytes) -> tuple[str, Any]:
        # Decoded here: the server refuses what is not UTF-8, as in a made-up cursor.
        return ":after_key", key.decode("utf-8", "replace")

    is_conflict = staticmethod(is_conflict)

    def begin_writing(
        self, session: Session, about: str | Iterable[str], durable: bool
    ) -> None:
        begin = session.begin if durable else session.begin_not_durable
        ids = [about] if isinstance(about, str) else about
        names = sorted({name for each in ids for name in (each, stored_form(each))})
        if not names:
            session.command(begin)
            return
        lock, values = _LOCK_ONE, dict[str, Any](id=names[0])
        if len(names) > 1:
            lock, values = _LOCK, {"ids": names}
        found = session.run_before(begin, lock, values)
        if not found and isinstance(about, str):
            # A new machine has no row to wait for. Whoever waits here finds it then.
            session.run_before(_turn_of(session, about), lock, values)

    @contextmanager
    def patience(self, session: Session, seconds: float) -> Iterator[None]:
        usual = session.begin_not_durable
        limit = max(1, int(seconds * 1000))
        session.begin_not_durable += b"; SET LOCAL lock_timeout = %d" % limit
        try:
            yield
        finally:
            session.begin_not_durable = usual

    def lock(self, session: Session, machine_id: str) -> None:
        session.execute(_LOCK_ONE, {"id": machine_id})

    def lock_look(self, session: Session, machine_id: str) -> None:
        self.take_turn(session, "import")  # which locks no id that has no row
        session.command(_turn_of(session, machine_id))

    def take_turn(self, session: Session, name: str) -> None:
        # Of this transaction, so that it works behind a connection pooler.
        values = {"name": f"{session.schema} {name}"}
        session.execute(_TURN, values)

    def hand_out(self, session: Session) -> psycopg.Connection[Any]:
        session.handed_out = True
        return session.driver

    def begin_reading(self, session: Session) -> None:
        session.command(_BEGIN_READING)

    def batches(
        self, session: Session, statement: str, values: Mapping[str, Any], size: int
    ) -> Iterator[list[Any]]:
        return session.batches(statement, values, size)

    def write_once(
        self, session: Session, statement: str, values: Mapping[str, Any]
    ) -> int:
        return session.execute(statement + session.once, values).rowcount


def _turn_of(session: Session, machine_id: str) -> bytes:
    """Return the statement that waits for transactions about a machine without a row.

    Of all ids that look alike, so that none is added while one of them is blocked. It
    ends with the transaction, so that it works behind a connection pooler.
    """
    name = f"{session.schema} {look(machine_id)}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)
    return b"SELECT pg_advisory_xact_lock(%d)" % key


#: The one dialect of every PostgreSQL session: it has no state.
DIALECT = PostgresqlDialect()
