"""Long work in short transactions, so that the server's writers get their turn."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .unit_of_work import UnitOfWork

#: Rows that are written in one transaction, at the most or a machine's more.
STEP = 1000

#: Seconds between two: as long as SQLite has a writer wait before it asks again.
_PAUSE = 0.1


def in_steps(unit: UnitOfWork, work: Iterator[int]) -> None:
    """Do *work*, which says how many rows it has written each time that it may stop.

    What fails takes back its own transaction; those before it stand.
    """
    while _step(unit, work):
        time.sleep(_PAUSE)


def _step(unit: UnitOfWork, work: Iterator[int]) -> bool:
    """Tell whether there may be more."""
    written = 0
    with unit.transaction():
        for rows in work:
            written += rows
            if written >= STEP:
                return True
    return False
