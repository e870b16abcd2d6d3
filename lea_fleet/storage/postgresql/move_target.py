"""A schema of PostgreSQL that the fleet comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from ..sides import Mark, MoveRefused
from ..tables import TABLES, Row, Table
from .dialect import DIALECT
from .keys import SOURCES
from .moving import PostgresqlSide
from .schema import ensure_schema, look

#: Of the events that are moved: before all of this server's transactions, in the order
#: of their ids, so that who follows them goes on where it was.
_BEFORE_ALL = "0"

#: The columns that something is derived of, by table.
_SEARCHED = {"enrolled_agents": SOURCES, "lea_fleet_notes": ("note",)}

#: Whether this role may create what a move makes, and owns what is there already.
_MAY_MAKE = """
SELECT coalesce(
  (SELECT has_schema_privilege(space.oid, 'USAGE')
      AND has_schema_privilege(space.oid, 'CREATE')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class
        WHERE relnamespace = space.oid AND relkind = 'r'
        AND (relname = 'enrolled_agents' OR relname LIKE 'lea\\_fleet\\_%%')
        AND NOT pg_has_role(relowner, 'USAGE'))
    FROM pg_catalog.pg_namespace AS space WHERE nspname = %(schema)s),
  has_database_privilege(current_database(), 'CREATE'))"""


class PostgresqlTarget(PostgresqlSide):
    """See :class:`lea_fleet.storage.sides.Target`."""

    def __enter__(self) -> PostgresqlTarget:
        return self

    def __exit__(self, *error: object) -> None:
        self.driver.close()

    def begin(self, mark: Mark) -> None:
        ensure_schema(self.driver, self._schema)
        with self.transaction():
            self.lock_tables()  # so that nothing is written after the look
            self.refuse()
            self._clear()
            self.write_mark(mark)
            self.refuse_writes(f"the fleet of {mark.other} is being moved here")

    def refuse(self) -> None:
        left = self.mark()
        is_left_over = left is not None and left.state in ("filling", "undone")
        if not is_left_over and not self._is_empty():
            raise MoveRefused(
                f"{self.place} is not empty. A fleet moves into a schema of its own:"
                " see LEA_FLEET_DATABASE_SCHEMA."
            )
        row = self.driver.execute(_MAY_MAKE, {"schema": self._schema}).fetchone()
        if row is None or not row[0]:
            raise MoveRefused(
                f"This role may not create tables in {self.place}. A move needs the"
                " role that owns the tables, or one that may create them."
            )

    def fill(self, table: Table, rows: Iterable[Row]) -> None:
        names, rows = _stored(table, rows)
        copy = f"COPY {self.qualified(table.name)} ({', '.join(names)}) FROM STDIN"
        with self.transaction(), self.driver.cursor() as cursor:
            with cursor.copy(copy) as copying:
                for row in rows:
                    copying.write_row(row)

    def replace(self, table: Table, keys: Sequence[Row], rows: Sequence[Row]) -> None:
        # DELETE … USING has the join's condition in its WHERE.
        source, _, same = self.keys(table).partition(" ON ")
        with self.transaction():
            self.driver.execute(
                f"DELETE FROM {self.qualified(table.name)} AS t"
                f" USING {source} WHERE {same}",
                [*map(list, zip(*keys))],
            )
            self.fill(table, rows)

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        patience, self.driver.patience = self.driver.patience, seconds
        try:
            yield
        finally:
            self.driver.patience = patience

    def set_numbers(self, numbers: dict[str, int]) -> None:
        for name, number in numbers.items():
            self.driver.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), greatest(%s, 1), %s)",
                [self.qualified(name), number, number > 0],
            )

    def open(self, mark: Mark) -> None:
        with self.transaction():
            self.write_mark(mark)
            self.let_write()
        # It is open now, whatever fails. Without statistics, the first queries would
        # take the wrong plans; the server makes them itself some time later.
        with suppress(psycopg.Error):
            self.drop_closed()
            for table in TABLES:
                self.driver.execute(f"ANALYZE {self.qualified(table.name)}")

    def abandon(self) -> None:
        mark = self.mark()
        if mark is None or mark.state != "filling":
            return
        with self.transaction():
            self._clear()
        self.drop_closed()

    def withdraw(self, mark: Mark) -> None:
        self._clear()
        self.write_mark(mark)
        self.refuse_writes(f"The fleet was taken back to {mark.other}: see there")

    def _is_empty(self) -> bool:
        tables = look(self.driver, self._schema).tables
        return not any(
            self.driver.execute(
                f"SELECT 1 FROM {self.qualified(table.name)} LIMIT 1"
            ).fetchone()
            for table in TABLES
            if table.name in tables
        )

    def _clear(self) -> None:
        self.let_write()
        names = [self.qualified(table.name) for table in TABLES]
        names.append(self.qualified("lea_fleet_moves"))
        self.driver.execute(f"TRUNCATE {', '.join(names)}")


def _stored(table: Table, rows: Iterable[Row]) -> tuple[Sequence[str], Iterable[Row]]:
    """Return the columns and rows to store, with what the engine derives."""
    names = table.columns
    if table.name == "lea_fleet_events":
        return [*names, "xid"], ((*row, _BEFORE_ALL) for row in rows)
    sources = _SEARCHED.get(table.name)
    if sources is None:
        return names, rows
    derived = _derived(dict.fromkeys(sources))
    return [*names, *derived], _with_keys(table, sources, rows)


def _with_keys(
    table: Table, sources: Sequence[str], rows: Iterable[Row]
) -> Iterator[Row]:
    places = [table.columns.index(name) for name in sources]
    for row in rows:
        searched = dict(zip(sources, (row[place] for place in places)))
        yield (*row, *_derived(searched).values())


def _derived(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is derived of *columns*, without these."""
    stored = DIALECT.with_keys(columns)
    return {name: value for name, value in stored.items() if name not in columns}
