"""What an answer says of the next heartbeat."""

from __future__ import annotations

from collections.abc import Callable

from .. import clock, pace
from ..repository import AgentRepository
from ..state import current_state


def decide_interval(repository: Callable[[], AgentRepository]) -> None:
    """Fit the interval to the fleet, if it is time.

    Only where something is written anyway: no other heartbeat waits for a lock.
    """
    now, known = clock.now(), current_state().interval
    if known.at(now) is None:
        deciding = repository()
        with deciding.transaction("NORMAL"):
            known.learn(deciding.intervals.decide(), now)


def next_interval(repository: Callable[[], AgentRepository]) -> int:
    """Return the seconds until an agent's next heartbeat, each time others."""
    now, known = clock.now(), current_state().interval
    seconds = known.at(now)
    if seconds is None:
        seconds = repository().intervals.present()
        known.learn(seconds, now)
    return pace.spread(seconds)
