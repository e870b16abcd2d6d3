"""The index for searches with ``q``, where the extension pg_trgm is installed."""

from __future__ import annotations

from ...core.findings import Verdict, ok, warning
from .reading import Reading

_INDEX = "lea_fleet_search"


def search_check(reading: Reading) -> Verdict:
    """Tell how searches with ``q`` find machines."""
    has_extension, has_index = reading.row(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm'),"
        " EXISTS (SELECT FROM pg_class JOIN pg_namespace AS space"
        " ON space.oid = relnamespace WHERE nspname = %(schema)s"
        " AND relname = %(index)s)",
        {"schema": reading.schema, "index": _INDEX},
    )
    if has_index:
        return ok("by an index of pg_trgm")
    if not has_extension:
        return ok("reads all machines: the extension pg_trgm is not installed")
    return warning(
        "reads all machines, although pg_trgm is installed",
        "Make its index: flask fleet schema --sql | psql DATABASE. Writers wait for"
        " some seconds in a large fleet.",
    )
