"""Create and complete our tables in a schema of PostgreSQL; refuse others' tables.

A role that may not create has this done by its administrator, with :func:`script`:
what is there already needs no right to create.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import Connection

from ...core.problems import DatabaseUnavailable
from .statements import quoted

#: The columns added after the first version, by table and name, with their
#: declarations: word for word as in schema.sql. NOT NULL needs a DEFAULT, which rows of
#: an older process get. A new table or index needs only its lines in schema.sql.
ADDITIONS = {
    ("enrolled_agents", "user_id_folded"): 'text COLLATE "C"',
    ("enrolled_agents", "os_info_folded"): 'text COLLATE "C"',
    ("lea_fleet_tokens", "rotated_by_agent"): "boolean NOT NULL DEFAULT false",
    ("lea_fleet_releases", "enrollment_token"): "bigint",
    (
        "lea_fleet_enrollment_tokens",
        "tags",
    ): "text COLLATE \"C\" NOT NULL DEFAULT '[]'",
}

#: Makes the indexes for searches if the extension pg_trgm is installed. With the table:
#: in a large one it would take seconds in which no other server can write.
_SEARCH_INDEXES = """DO $$
DECLARE
  space text := (SELECT quote_ident(nspname) FROM pg_catalog.pg_extension
    JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
    WHERE extname = 'pg_trgm');
BEGIN
  IF space IS NOT NULL THEN
    EXECUTE format('CREATE INDEX IF NOT EXISTS lea_fleet_search
      ON {schema}.enrolled_agents USING gin (machine_id_folded %1$s.gin_trgm_ops,
      user_name_folded %1$s.gin_trgm_ops, user_email_folded %1$s.gin_trgm_ops,
      hostname_folded %1$s.gin_trgm_ops)', space);
    EXECUTE format('CREATE INDEX IF NOT EXISTS lea_fleet_search_more
      ON {schema}.enrolled_agents USING gin (user_id_folded %1$s.gin_trgm_ops,
      os_info_folded %1$s.gin_trgm_ops)', space);
    EXECUTE format('CREATE INDEX IF NOT EXISTS lea_fleet_search_notes
      ON {schema}.lea_fleet_notes USING gin (note_folded %1$s.gin_trgm_ops)', space);
  END IF;
END
$$"""

#: Held while a schema's tables are created, so that of several servers one does it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"

#: A statement of schema.sql: what it makes, and the name of that.
_HEAD = re.compile(
    r"CREATE (?:OR REPLACE )?(TABLE|INDEX|FUNCTION)(?: IF NOT EXISTS)? ([\w{}.]+)"
)

_COLUMN = re.compile(r"^  ([a-z_]+) ", re.MULTILINE)

_FOUND = """
    SELECT 'RELATION', relname, NULL FROM pg_catalog.pg_class
      WHERE relnamespace = %(space)s AND relname = ANY(%(names)s)
    UNION ALL
    SELECT 'FUNCTION', proname, NULL FROM pg_catalog.pg_proc
      WHERE pronamespace = %(space)s AND proname = ANY(%(names)s)
    UNION ALL
    SELECT 'COLUMN', relname, attname FROM pg_catalog.pg_attribute
      JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
      WHERE relnamespace = %(space)s AND relname = ANY(%(names)s)
      AND relkind NOT IN ('i', 'I') AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class Found:
    """What there is of our schema: the names, and (table, column) pairs.

    *has_space* is whether the schema itself exists.
    """

    has_space: bool
    names: set[str]
    columns: set[tuple[str, str]]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing. Raises DatabaseUnavailable for others' tables."""
        for table, columns in self.foreign().items():
            raise DatabaseUnavailable(
                f"The database has a table or view {table} that is not lea_fleet's:"
                f" it lacks {', '.join(columns)}. It is left alone; rename it, or give"
                " lea_fleet a schema of its own (LEA_FLEET_DATABASE_SCHEMA)."
            )
        return _expected_names() <= self.names and not self._lacking()

    @property
    def tables(self) -> set[str]:
        """The names of our tables that exist."""
        return _expected_columns().keys() & self.names

    def missing_tables(self) -> set[str]:
        """Return our tables that do not exist: before the first request, all."""
        return _expected_columns().keys() - self.names

    def missing_columns(self) -> list[tuple[str, str]]:
        """Return the (table, column) pairs that a newer version has added."""
        lacking = self._lacking()
        return [column for column in ADDITIONS if column in lacking]

    def missing_names(self) -> set[str]:
        """Return our tables, indexes and functions that do not exist."""
        return _expected_names() - self.names

    def foreign(self) -> dict[str, list[str]]:
        """Return the tables that are not ours, and the columns that they lack."""
        foreign: dict[str, list[str]] = {}
        for table, column in sorted(self._lacking() - ADDITIONS.keys()):
            foreign.setdefault(table, []).append(column)
        return foreign

    def refuse_dry_run(self, place: str) -> None:
        """Raise DatabaseUnavailable if tables that exist are not complete."""
        columns = [".".join(column) for column in self.missing_columns()]
        lacking = columns or sorted(self.missing_names())
        if lacking:
            raise DatabaseUnavailable(
                f"{place} lacks {', '.join(lacking)}, which the first request to a"
                " server of this version adds. Until then there is no dry run."
            )

    def _lacking(self) -> set[tuple[str, str]]:
        return {
            (table, column)
            for table, columns in _expected_columns().items()
            if table in self.names
            for column in columns
            if (table, column) not in self.columns
        }


def look(driver: Connection[Any], name: str) -> Found:
    """Return what there is of our tables in the schema *name*."""
    space = driver.execute(
        "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s", [name]
    ).fetchone()
    if space is None:
        return Found(False, set(), set())
    rows = driver.execute(
        _FOUND, {"space": space[0], "names": sorted(_expected_names())}
    ).fetchall()
    columns = {(table, column) for kind, table, column in rows if kind == "COLUMN"}
    return Found(True, {name for _, name, _ in rows}, columns)


def ensure_schema(driver: Connection[Any], name: str) -> None:
    """Create the schema, tables, columns, indexes and functions that are missing.

    If nothing is missing, no right to create is needed, and no lock. Raises
    DatabaseUnavailable if a table with one of our names is not ours.
    """
    if look(driver, name).is_complete:
        return
    driver.execute("BEGIN")
    try:
        driver.execute(_LOCK, [f"lea_fleet tables {name}"])
        # Another process may have created them while this one waited for the lock.
        found = look(driver, name)
        if not found.is_complete:
            driver.execute(";".join(_missing(found, name)))
        driver.execute("COMMIT")
    except BaseException:
        driver.rollback()
        raise


def make_tables(driver: Connection[Any], name: str) -> None:
    """Create all our tables and functions in the empty schema *name*."""
    driver.execute(";".join(_statements(name)))


def script(name: str, role: str | None) -> str:
    """Return the SQL for an administrator: what makes and completes our tables.

    It can be run again, and with *role* ends with what lets that role use them.
    """
    space = quoted(name)
    parts = ["BEGIN", f"CREATE SCHEMA IF NOT EXISTS {space}", *_statements(name)]
    if role is not None:
        parts += _grants(space, quoted(role))
    return ";\n\n".join([*parts, "COMMIT"]) + ";\n"


def _missing(found: Found, name: str) -> Iterator[str]:
    """Yield the statements that make what is missing, and no others.

    PostgreSQL asks for the right to create before it looks whether anything is to do.
    """
    if not found.has_space:
        yield f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}"
    lacking, names = set(found.missing_columns()), found.missing_names()
    for kind, of, statement in _parts():
        if of in names or (kind == "COLUMN" and of in lacking):
            yield statement.replace("{schema}", quoted(name))
    if "enrolled_agents" in names:
        yield _SEARCH_INDEXES.replace("{schema}", quoted(name))


def _statements(name: str) -> list[str]:
    texts = [*(text for _, _, text in _parts()), _SEARCH_INDEXES]
    return [text.replace("{schema}", quoted(name)) for text in texts]


def _grants(space: str, role: str) -> Iterator[str]:
    yield f"GRANT USAGE ON SCHEMA {space} TO {role}"
    tables = ",\n  ".join(f"{space}.{table}" for table in _expected_columns())
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON\n  {tables}\n  TO {role}"
    for kind, name, _ in _parts():
        if kind == "FUNCTION":
            yield f"GRANT EXECUTE ON FUNCTION {space}.{name} TO {role}"


@cache
def _parts() -> list[tuple[str, Any, str]]:
    """Return our statements in the order to run them: kind, name and text.

    Columns come before indexes, which may be on one of them; the name of a COLUMN is a
    pair with its table's.
    """
    text = files(__package__).joinpath("schema.sql").read_text("utf-8")
    parts = []
    for part in re.split(r"^(?=CREATE )", text, flags=re.MULTILINE)[1:]:
        statement = re.sub(r"(\n|^)--.*", "", part).strip().removesuffix(";")
        found = _HEAD.match(statement)
        assert found is not None, statement
        kind, name = found.groups()
        parts.append((kind, name.removeprefix("{schema}."), statement))
    columns: list[tuple[str, Any, str]] = [
        (
            "COLUMN",
            (table, column),
            f"ALTER TABLE {{schema}}.{table} ADD COLUMN IF NOT EXISTS"
            f" {column} {declared}",
        )
        for (table, column), declared in ADDITIONS.items()
    ]
    tables = [part for part in parts if part[0] == "TABLE"]
    return [*tables, *columns, *(part for part in parts if part[0] != "TABLE")]


@cache
def _expected_names() -> set[str]:
    return {name for kind, name, _ in _parts() if kind != "COLUMN"}


@cache
def _expected_columns() -> dict[str, set[str]]:
    return {
        name: set(_COLUMN.findall(statement))
        for kind, name, statement in _parts()
        if kind == "TABLE"
    }
