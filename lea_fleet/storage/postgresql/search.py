"""The indexes for searches with ``q``, where the extension pg_trgm is installed."""

from __future__ import annotations

from ...core.findings import Verdict, ok, warning
from .reading import Reading

_INDEXES = ["lea_fleet_search", "lea_fleet_search_more", "lea_fleet_search_notes"]


def search_check(reading: Reading) -> Verdict:
    """Tell how searches with ``q`` find machines."""
    has_extension, indexes = reading.row(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm'),"
        " (SELECT count(*) FROM pg_class JOIN pg_namespace AS space"
        " ON space.oid = relnamespace WHERE nspname = %(schema)s"
        " AND relname = ANY(%(indexes)s))",
        {"schema": reading.schema, "indexes": _INDEXES},
    )
    if indexes == len(_INDEXES):
        return ok("by indexes of pg_trgm")
    if not has_extension:
        return ok("reads all machines: the extension pg_trgm is not installed")
    return warning(
        "reads all machines, although pg_trgm is installed",
        "Make its indexes: flask fleet schema --sql | psql DATABASE. Writers wait for"
        " some seconds in a large fleet.",
    )
