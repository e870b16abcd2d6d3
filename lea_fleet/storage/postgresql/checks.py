"""Check a PostgreSQL server and our tables there without changing anything."""

from __future__ import annotations

from ...core.findings import Checks
from .load import load_checks
from .reading import Reading, reading
from .server import server_checks
from .tables import table_checks

__all__ = ["Reading", "engine_checks", "reading"]


def engine_checks(reading: Reading, quick: bool) -> Checks:
    """Return the checks of the server and of our tables, by name.

    *quick* compares fewer of the stored search keys.
    """
    return {
        **server_checks(reading),
        **table_checks(reading, quick),
        **load_checks(reading),
    }
