"""Create and complete our tables in a schema of PostgreSQL."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from .session import Session

#: Held while tables are created, so that of several servers one does it.
_LOCK = 7_361_295_104_712_831_001


def statements(schema: str) -> str:
    """Return the SQL script that makes our tables; *schema* is a quoted identifier."""
    return _script().replace("{schema}", schema)


def ensure_schema(session: Session, name: str) -> None:
    """Create the tables, columns and indexes that the schema lacks."""
    if is_complete(session, name):
        return
    session.driver.execute("BEGIN")
    try:
        session.driver.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not is_complete(session, name):
            session.driver.execute(statements(session.schema))
        session.commit()
    except BaseException:
        session.rollback()
        raise


def is_complete(session: Session, name: str) -> bool:
    """Return whether all our tables, columns, indexes and functions exist."""
    expected = _expected()
    (found,) = session.driver.execute(
        "SELECT count(*) FROM (SELECT relname FROM pg_catalog.pg_class"
        " JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace"
        " WHERE nspname = %(schema)s AND relname = ANY(%(names)s)) AS ours",
        {"schema": name, "names": expected},
    ).fetchone() or (0,)
    return bool(found == len(expected))


@cache
def _script() -> str:
    return files(__package__).joinpath("schema.sql").read_text("utf-8")


@cache
def _expected() -> list[str]:
    """Return the names of our tables and indexes."""
    names = []
    for line in _script().splitlines():
        words = line.split()
        if words[:1] == ["CREATE"] and words[1] in ("TABLE", "INDEX"):
            names.append(words[5].removeprefix("{schema}."))
    return names
