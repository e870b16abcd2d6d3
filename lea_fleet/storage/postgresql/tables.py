"""Check our tables: what this role may do, whether they are ours, their keys."""

from __future__ import annotations

from ...core.findings import Checks, Verdict, fault, ok, some, warning
from ..administration import judge_move, judge_triggers
from .errors import LET_IN
from .keys import compare
from .move_source import is_noting
from .marks import read_mark
from .reading import Reading
from .search import search_check

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")

#: Seconds in which stored search keys are compared, newest machines first. Measured:
#: 20 µs of processor time for each machine.
_LONG, _SHORT = 5.0, 0.5

_RENAME = (
    "Rename it, or give lea_fleet a schema of its own (LEA_FLEET_DATABASE_SCHEMA)."
)


def table_checks(reading: Reading, quick: bool) -> Checks:
    """Return the checks of our tables."""
    return {
        "rights": lambda: _rights(reading),
        "tables": lambda: _tables(reading),
        "triggers": lambda: _triggers(reading),
        "move": lambda: _move(reading),
        "search_keys": lambda: _search_keys(reading, _SHORT if quick else _LONG),
        "search": lambda: search_check(reading),
    }


def _rights(reading: Reading) -> Verdict:
    if not reading.tables_found.has_space:
        (may_create,) = reading.row(
            "SELECT has_database_privilege(current_database(), 'CREATE')"
        )
        return _of_new(may_create, f"the schema {reading.schema}")
    may_use, may_create = reading.row(
        "SELECT has_schema_privilege(%(name)s, 'USAGE'),"
        " has_schema_privilege(%(name)s, 'CREATE')",
        {"name": reading.schema},
    )
    if not may_use:
        return fault(f"this role may not use the schema {reading.schema}", LET_IN)
    lacking = _lacking(reading)
    if lacking:
        return fault(f"this role may not {some(lacking)}", LET_IN)
    if reading.tables_found.missing_names():
        return _of_new(may_create, "tables")
    if may_create:
        return ok("this role may read, write and create")
    return ok("this role may read and write, not create: no need, all is there")


def _of_new(may_create: bool, what: str) -> Verdict:
    if may_create:
        return ok(f"this role may create {what}")
    return fault(f"this role may not create {what}", LET_IN)


def _lacking(reading: Reading) -> list[str]:
    """Return what this role may not do with our tables that exist."""
    rows = reading.rows(
        "SELECT privilege, relname FROM pg_catalog.pg_class"
        " JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace"
        " CROSS JOIN unnest(CAST(%(privileges)s AS text[])) AS privilege"
        " WHERE nspname = %(schema)s AND relname = ANY(%(tables)s)"
        " AND NOT has_table_privilege(pg_class.oid, privilege) ORDER BY 2, 1",
        {
            "privileges": [*_PRIVILEGES],
            "schema": reading.schema,
            "tables": sorted(reading.tables()),
        },
    )
    return [f"{privilege} {table}" for privilege, table in rows]


def _tables(reading: Reading) -> Verdict:
    found = reading.tables_found
    foreign = found.foreign()
    if foreign:
        told = [f"{table} lacks {', '.join(lack)}" for table, lack in foreign.items()]
        return fault(f"not lea_fleet's, under its names: {'; '.join(told)}", _RENAME)
    missing = found.missing_tables()
    if missing:
        return ok(f"{len(missing)} tables to make, at the first request")
    columns = [".".join(column) for column in found.missing_columns()]
    if columns:
        return ok(f"to add at the first request: the column {', '.join(columns)}")
    others = sorted(found.missing_names())
    if others:
        return ok(f"to make at the first request: {', '.join(others)}")
    return ok("all there")


def _triggers(reading: Reading) -> Verdict:
    """Look for triggers on the table that the host may share.

    But for ours, which refuses writes: the check of the move says so.
    """
    rows = reading.rows(
        "SELECT tgname FROM pg_catalog.pg_trigger"
        " JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid"
        " JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace"
        " WHERE nspname = %s AND relname = 'enrolled_agents' AND NOT tgisinternal"
        " AND tgname <> 'lea_fleet_closed' ORDER BY tgname",
        [reading.schema],
    )
    return judge_triggers([name for (name,) in rows])


def _move(reading: Reading) -> Verdict:
    reading.session.ensure_begun()
    driver, schema = reading.session.driver, reading.schema
    return judge_move(read_mark(driver, schema), is_noting(driver, schema))


def _search_keys(reading: Reading, seconds: float) -> Verdict:
    compared = compare(reading.fleet, seconds)
    told = "all" if compared.is_all else "the newest"
    machines = f"{told} {compared.machines} machines"
    if not compared.wrong:
        return ok(f"as they should be, of {machines}")
    return warning(
        f"of {machines}, {compared.wrong} have wrong ones, of another program or"
        " version: searches and sorted lists miss them",
        "Compute them anew: flask fleet schema --rewrite-keys",
    )
