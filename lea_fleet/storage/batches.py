"""Split long work into short transactions, so that others can write in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from .unit_of_work import UnitOfWork

#: Rows in a transaction; the rows of its last machine may exceed this.
STEP = 1000

#: Seconds between two transactions: SQLite's longest pause before a writer retries.
_PAUSE = 0.1

#: A machine_id, or None for events about no machine.
_Machine = TypeVar("_Machine", str, "str | None")


def in_steps(
    unit: UnitOfWork,
    machine_ids: Iterable[_Machine],
    work: Callable[[list[_Machine]], Iterator[int]],
) -> None:
    """Do *work* on the machines in transactions of about STEP rows each.

    *work* takes a batch of machine ids. Wherever it may be interrupted, it yields the
    number of rows written since the last yield. Each transaction names its machines; an
    error rolls back only the transaction in which it is raised.
    """
    waiting = iter(machine_ids)
    batch = list(islice(waiting, STEP))
    while batch:
        about = [machine_id for machine_id in batch if machine_id is not None]
        steps = work(batch)
        until_done(partial(_step, unit, about, steps))
        batch = list(islice(waiting, STEP))
        if batch:
            time.sleep(_PAUSE)


def until_done(step: Callable[[], bool]) -> None:
    """Call *step* again and again, with pauses for others, until it returns False."""
    while step():
        time.sleep(_PAUSE)


def _step(unit: UnitOfWork, about: list[str], steps: Iterator[int]) -> bool:
    """Run one transaction; return whether there may be more to do."""
    written = 0
    with unit.transaction(about):
        for rows in steps:
            written += rows
            if written >= STEP:
                return True
    return False
