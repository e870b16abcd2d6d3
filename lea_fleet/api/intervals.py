"""The heartbeat interval, where a process has to ask the database for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..app.repository import AgentRepository
from ..core.heartbeat_interval import KnownInterval, spread


def decide_interval(
    known: KnownInterval, now: datetime, repository: Callable[[], AgentRepository]
) -> None:
    """Fit the interval to the fleet, if it is time.

    Only where something is written anyway: no other heartbeat waits for a lock.
    """
    if known.next(now) is None:
        deciding = repository()
        with deciding.transaction(durable=False):
            known.learn(deciding.intervals.decide(), now)


def ask_interval(
    known: KnownInterval, now: datetime, repository: AgentRepository
) -> int:
    """Return the seconds until an agent's next heartbeat, as the database has them."""
    seconds = repository.intervals.present()
    known.learn(seconds, now)
    return spread(seconds)
