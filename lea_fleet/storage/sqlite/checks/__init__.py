"""Check an SQLite database and its files without changing anything in its folder."""

from __future__ import annotations

from ....core.findings import Checks
from .database import database_checks
from .files import file_checks
from .reading import Reading, reading

__all__ = ["Reading", "engine_checks", "reading"]


def engine_checks(reading: Reading, busy_timeout: float, quick: bool) -> Checks:
    """Return the checks of the files and of the database, by name.

    *quick* does not compare the indexes with their tables.
    """
    return {
        **file_checks(reading.database),
        **database_checks(reading, busy_timeout, quick),
    }
