"""Long work in short transactions, so that the server's writers get their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from .unit_of_work import UnitOfWork

#: Rows that are written in one transaction, at the most or a machine's more.
STEP = 1000

#: Seconds between two: as long as SQLite has a writer wait before it asks again.
_PAUSE = 0.1

#: A machine_id, or None for what is about no machine.
_Machine = TypeVar("_Machine", str, "str | None")


def in_steps(
    unit: UnitOfWork,
    machine_ids: Iterable[_Machine],
    work: Callable[[list[_Machine]], Iterator[int]],
) -> None:
    """Do *work* on the machines, in transactions that name those they write about.

    *work* yields how many rows it has written each time that it may stop. What fails
    takes back its own transaction; those before it stand.
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
    """Tell whether there may be more."""
    written = 0
    with unit.transaction(about):
        for rows in steps:
            written += rows
            if written >= STEP:
                return True
    return False
