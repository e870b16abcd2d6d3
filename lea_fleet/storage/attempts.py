"""Run a transaction again that was rolled back for another one's sake.

An engine with several writers rolls one of two back that are in each other's way;
nothing of it was stored or announced then. SQLite has one writer at a time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from .unit_of_work import UnitOfWork

#: Seconds before the second attempt and the third, at most: a random part of them, so
#: that transactions that were in each other's way are not again.
PAUSES = (0.05, 0.2)


class Attempt:
    """A context for one transaction; a conflict ends it without raising."""

    def __init__(self, unit: UnitOfWork, is_last: bool) -> None:
        self._unit = unit
        # Within another transaction, all of that one was rolled back.
        self._is_last = is_last or unit.dialect.in_transaction(unit.session)
        self.is_in_vain = False

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> bool:
        if self._is_last or not isinstance(error, Exception):
            return False
        self.is_in_vain = self._unit.dialect.is_conflict(error)
        return self.is_in_vain


def attempts(unit: UnitOfWork) -> Iterator[Attempt]:
    """Yield at most three contexts, until one ends without a conflict.

    Each is for one whole transaction: ``with attempt, unit.transaction():``. What the
    block changes besides the database, each of them changes once more.
    """
    for pause in (*PAUSES, None):
        attempt = Attempt(unit, is_last=pause is None)
        yield attempt
        if not attempt.is_in_vain or pause is None:
            return
        time.sleep(random.uniform(0, pause))
