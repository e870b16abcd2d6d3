"""Read or update the heartbeat interval in the database."""

from __future__ import annotations

from datetime import datetime

from ..core.heartbeat_interval import KnownInterval, spread
from ..storage.intervals import Intervals
from ..storage.unit_of_work import UnitOfWork


def decide_interval(known: KnownInterval, now: datetime, unit: UnitOfWork) -> int:
    """Adapt the interval to the fleet; return the seconds until the next heartbeat.

    Called only for a request that writes anyway, so that no other waits for a lock.
    """
    with unit.transaction(durable=False):
        seconds = Intervals(unit).decide()
    known.learn(seconds, now)
    return spread(seconds)


def ask_interval(known: KnownInterval, now: datetime, unit: UnitOfWork) -> int:
    """Read the interval; return the seconds until the next heartbeat."""
    seconds = Intervals(unit).present()
    known.learn(seconds, now)
    return spread(seconds)
