"""How often agents beat: seldom enough for a large fleet, and never in step."""

from __future__ import annotations

import math
import random
from datetime import datetime

from .limits import LONGEST_HEARTBEAT_INTERVAL

#: Each step from one interval to the next longer one, so that there are few.
_STEP = 1.25

#: Seconds for which a process remembers what the database says.
REMEMBERED = 10


def interval_for(machines: int, *, shortest: int, rate: float) -> int:
    """Return the seconds between two heartbeats of each of so many *machines*.

    *shortest*, or as many steps more as keep all of them under *rate* a second.
    """
    seconds = shortest
    while seconds * rate < machines and seconds < LONGEST_HEARTBEAT_INTERVAL:
        seconds = math.ceil(seconds * _STEP)
    return seconds


def longest(seconds: int) -> int:
    """Return the most that :func:`spread` makes of an interval."""
    return seconds + (seconds + 9) // 10


def spread(seconds: int) -> int:
    """Return an interval that is longer by up to a tenth, each time another one.

    Machines that were switched on together would else beat together for ever.
    """
    # As randint(), at a quarter of its cost.
    return seconds + int(random.random() * (longest(seconds) - seconds + 1))


class KnownInterval:
    """The interval of the fleet as this process last learned it."""

    def __init__(self) -> None:
        self._seconds = 0
        self._learned_at: datetime | None = None

    def learn(self, seconds: int, now: datetime) -> None:
        self._seconds, self._learned_at = seconds, now

    def next(self, now: datetime) -> int | None:
        """Return the seconds until an agent's next heartbeat, each time others.

        None where it is time to ask the database again.
        """
        if self._learned_at is None:
            return None
        fresh = 0 <= (now - self._learned_at).total_seconds() < REMEMBERED
        return spread(self._seconds) if fresh else None
