"""The heartbeat interval, where a process has to ask the database for it."""

from __future__ import annotations

from datetime import datetime

from ..core.heartbeat_interval import KnownInterval, spread
from ..storage.intervals import Intervals
from ..storage.unit_of_work import UnitOfWork


def decide_interval(known: KnownInterval, now: datetime, unit: UnitOfWork) -> int:
    """Fit the interval to the fleet; return the seconds until the next heartbeat.

    Only where something is written anyway: no other heartbeat waits for a lock.
    """
    with unit.transaction(durable=False):
        seconds = Intervals(unit).decide()
    known.learn(seconds, now)
    return spread(seconds)


def ask_interval(known: KnownInterval, now: datetime, unit: UnitOfWork) -> int:
    """Return the seconds until the next heartbeat, as the database has them."""
    seconds = Intervals(unit).present()
    known.learn(seconds, now)
    return spread(seconds)
