"""A schema of PostgreSQL that the fleet leaves, while servers go on writing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from psycopg import Connection

from ..sides import Mark
from ..tables import TABLES, Row, Table
from .moving import BRIEFLY, BUSY, TRIES, PostgresqlRows, PostgresqlSide
from .schema import ensure_schema, look
from .statements import quoted

#: Notes the key of a row before and after it changes; the argument selects it.
_NOTE = """
CREATE FUNCTION {schema}.lea_fleet_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  note text := format('INSERT INTO {schema}.lea_fleet_noted SELECT %L, %s',
    TG_TABLE_NAME, TG_ARGV[0]);
BEGIN
  IF TG_OP <> 'INSERT' THEN
    EXECUTE note USING OLD;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    EXECUTE note USING NEW;
  END IF;
  RETURN NULL;
END
$$"""

_MAKE_NOTES = (
    "CREATE TABLE {schema}.lea_fleet_noted (source text, k1 text, k2 text, k3 text)"
)
_MAKE_PRINTS = "CREATE TABLE {schema}.lea_fleet_moved (source text, prints bytea)"


class PostgresqlSource(PostgresqlSide):
    """See :class:`lea_fleet.storage.sides.Source`."""

    def __enter__(self) -> PostgresqlSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.driver.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with super().alone():
            ensure_schema(self.driver, self._schema)
            yield

    def untouched(self) -> AbstractContextManager[PostgresqlRows]:
        look(self.driver, self._schema).refuse_dry_run(self.place)
        return self.snapshot()

    def begin_noting(self) -> None:
        triggers = [
            "CREATE TRIGGER lea_fleet_noting AFTER INSERT OR UPDATE OR DELETE"
            f" ON {self.qualified(table.name)} FOR EACH ROW EXECUTE FUNCTION"
            f" {self.qualified('lea_fleet_note')}('{_key_of(table)}')"
            for table in filter(_is_noted, TABLES)
        ]
        self._replace_notes(_MAKE_NOTES, _NOTE, *triggers)

    def take_noted(self) -> dict[str, list[Row]]:
        rows = self.driver.execute(
            f"DELETE FROM {self.qualified('lea_fleet_noted')}"
            " RETURNING source, k1, k2, k3"
        ).fetchall()
        tables = {table.name: table for table in TABLES}
        noted: dict[str, dict[Row, None]] = {}
        for source, *key in rows:
            noted.setdefault(source, {})[self._typed(tables[source], key)] = None
        return {source: [*keys] for source, keys in noted.items()}

    def end_noting(self) -> None:
        self._replace_notes()

    def close(self, mark: Mark) -> None:
        self.write_mark(mark)
        self.refuse_writes(f"The fleet was moved to {mark.other}: see there")

    def keep(self, mark: Mark, prints: dict[str, bytes]) -> None:
        with self.transaction():
            self.write_mark(mark)
            self.run("DROP TABLE IF EXISTS {schema}.lea_fleet_moved")
            self.run(_MAKE_PRINTS)
            for each in prints.items():
                table = self.qualified("lea_fleet_moved")
                self.driver.execute(f"INSERT INTO {table} VALUES (%s, %s)", each)

    def prints(self) -> dict[str, bytes]:
        table = self.qualified("lea_fleet_moved")
        return dict(self.driver.execute(f"SELECT source, prints FROM {table}"))

    def settle(self) -> None:
        self.run(
            "UPDATE {schema}.lea_fleet_moves SET state = 'closed'"
            " WHERE state = 'closing'"
        )

    def reopen(self) -> None:
        if self.driver.closed:  # lost since
            self.driver = self._connected()
        mark = self.mark()
        if mark is None or not mark.is_closed:
            return
        with self.transaction():
            self.let_write()
            self.run("DELETE FROM {schema}.lea_fleet_moves WHERE state <> 'open'")
            self.run("DROP TABLE IF EXISTS {schema}.lea_fleet_moved")
        self.drop_closed()

    def _replace_notes(self, *statements: str) -> None:
        """Drop what notes changes, and run *statements*, while nobody writes.

        Again, if somebody reads: a trigger is dropped only from an idle table.
        """
        for is_last in TRIES:
            are_locked = False
            try:
                with self.transaction():
                    self.lock_tables()  # which tries again itself
                    are_locked = True
                    self.run(BRIEFLY)
                    self._drop_notes()
                    for statement in statements:
                        self.run(statement)
                return
            except BUSY:
                if is_last or not are_locked:
                    raise

    def _drop_notes(self) -> None:
        self.run("DROP FUNCTION IF EXISTS {schema}.lea_fleet_note() CASCADE")
        self.run("DROP TABLE IF EXISTS {schema}.lea_fleet_noted")

    def _typed(self, table: Table, key: list[str | None]) -> Row:
        kinds = self.kinds(table)
        return tuple(
            int(value) if value is not None and kinds[name] == "bigint" else value
            for name, value in zip(table.key, key)
        )


def is_noting(driver: Connection[Any], schema: str) -> bool:
    """Return whether triggers note changes: a move runs, or was interrupted."""
    table = f"{quoted(schema)}.lea_fleet_noted"
    row = driver.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return bool(row and row[0])


def _is_noted(table: Table) -> bool:
    return table.is_noted


def _key_of(table: Table) -> str:
    key = [f"($1).{name}::text" for name in table.key]
    return ", ".join(key + ["NULL"] * (3 - table.width))
