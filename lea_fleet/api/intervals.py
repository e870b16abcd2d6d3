"""What an answer says of the next heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..core import clock, heartbeat_interval as pace
from ..core.heartbeat_interval import KnownInterval
from ..storage import AgentRepository


def decide_interval(
    known: KnownInterval, repository: Callable[[], AgentRepository]
) -> None:
    """Fit the interval to the fleet, if it is time.

    Only where something is written anyway: no other heartbeat waits for a lock.
    """
    now = clock.now()
    if known.at(now) is None:
        deciding = repository()
        with deciding.transaction("NORMAL"):
            known.learn(deciding.intervals.decide(), now)


def next_interval(
    known: KnownInterval, now: datetime, repository: Callable[[], AgentRepository]
) -> int:
    """Return the seconds until an agent's next heartbeat, each time others."""
    seconds = known.at(now)
    if seconds is None:
        seconds = repository().intervals.present()
        known.learn(seconds, now)
    return pace.spread(seconds)
