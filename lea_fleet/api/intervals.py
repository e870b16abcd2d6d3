"""The heartbeat interval, where a process has to ask the database for it."""

from __future__ import annotations

from datetime import datetime

from ..app.repository import AgentRepository
from ..core.heartbeat_interval import KnownInterval, spread


def decide_interval(
    known: KnownInterval, now: datetime, repository: AgentRepository
) -> int:
    """Fit the interval to the fleet; return the seconds until the next heartbeat.

    Only where something is written anyway: no other heartbeat waits for a lock.
    """
    with repository.transaction(durable=False):
        seconds = repository.intervals.decide()
    known.learn(seconds, now)
    return spread(seconds)


def ask_interval(
    known: KnownInterval, now: datetime, repository: AgentRepository
) -> int:
    """Return the seconds until the next heartbeat, as the database has them."""
    seconds = repository.intervals.present()
    known.learn(seconds, now)
    return spread(seconds)
