"""Split long work into short transactions, so that others can write in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from .attempts import attempts
from .unit_of_work import UnitOfWork

#: Rows in a transaction; the rows of its last machine may exceed this.
STEP = 1000

#: Seconds between two transactions: SQLite's longest pause before a writer retries.
_PAUSE = 0.1

#: A machine_id, or None for events about no machine.
_Machine = TypeVar("_Machine", str, "str | None")

#: What was done with one machine.
_Done = TypeVar("_Done")

#: Wherever the work on a batch may be interrupted: the number of rows written since the
#: last time, and what was done.
Steps = Iterator[tuple[int, list[_Done]]]


def in_steps(
    unit: UnitOfWork,
    machine_ids: Iterable[_Machine],
    work: Callable[[list[_Machine]], Steps[_Done]],
    done: list[_Done],
    begin: Callable[[], None] | None = None,
) -> None:
    """Do *work* on the machines in transactions of about STEP rows each.

    *work* takes a batch of machine ids. Each transaction names its machines, calls
    *begin* first, and adds to *done* once it is committed. An error rolls back only the
    transaction in which it is raised. After a conflict with another one, the work on
    the batch begins anew, and finds what was committed.
    """
    waiting = iter(machine_ids)
    batch = list(islice(waiting, STEP))
    while batch:
        until_done(_Batch(unit, batch, work, done, begin).step)
        batch = list(islice(waiting, STEP))
        if batch:
            time.sleep(_PAUSE)


def until_done(step: Callable[[], bool]) -> None:
    """Call *step* again and again, with pauses for others, until it returns False."""
    while step():
        time.sleep(_PAUSE)


class _Batch(Generic[_Machine, _Done]):
    """The work on some machines; see :func:`in_steps`."""

    def __init__(
        self,
        unit: UnitOfWork,
        batch: list[_Machine],
        work: Callable[[list[_Machine]], Steps[_Done]],
        done: list[_Done],
        begin: Callable[[], None] | None,
    ) -> None:
        self._unit = unit
        self._batch: list[_Machine] = batch
        self._work: Callable[[list[_Machine]], Steps[_Done]] = work
        self._done = done
        self._begin = begin
        self._steps = work(batch)

    def step(self) -> bool:
        """Run one transaction; return whether there may be more to do."""
        about = [machine_id for machine_id in self._batch if machine_id is not None]
        more, done = False, list[_Done]()
        for attempt in attempts(self._unit):
            with attempt, self._unit.transaction(about):
                if self._begin is not None:
                    self._begin()
                more, done = self._written()
            if attempt.is_in_vain:
                self._steps = self._work(self._batch)
        self._done += done
        return more

    def _written(self) -> tuple[bool, list[_Done]]:
        written, done = 0, list[_Done]()
        for rows, what in self._steps:
            written += rows
            done += what
            if written >= STEP:
                return True, done
        return False, done
