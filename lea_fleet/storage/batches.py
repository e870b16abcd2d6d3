"""Split long work into short transactions, so that the server can write between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from .unit_of_work import UnitOfWork

#: Rows per transaction; the last machine of a transaction may exceed it.
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
    """Do *work* on the machines in transactions, each of which names its machines.

    *work* yields how many rows it has written each time that it may stop. An error
    rolls back its own transaction only.
    """
    waiting = iter(machine_ids)
    batch = list(islice(waiting, STEP))
    while batch:
        about = [machine_id for machine_id in batch if machine_id is not None]
        steps = work(batch)
        while _step(unit, about, steps):
            time.sleep(_PAUSE)
        batch = list(islice(waiting, STEP))
        if batch:
            time.sleep(_PAUSE)


def _step(unit: UnitOfWork, about: list[str], steps: Iterator[int]) -> bool:
    """Run one transaction; tell whether there may be more to do."""
    written = 0
    with unit.transaction(about):
        for rows in steps:
            written += rows
            if written >= STEP:
                return True
    return False
