"""The heartbeat interval: longer in a large fleet, and randomized by up to 10 %."""

from __future__ import annotations

import math
import random
from datetime import datetime

from .limits import LONGEST_HEARTBEAT_INTERVAL

#: Factor from one interval to the next longer one, so that few values are in use.
_STEP = 1.25

#: Seconds for which a process caches the interval that the database holds.
REMEMBERED = 10


def interval_for(machines: int, *, shortest: int, rate: float) -> int:
    """Return the seconds between two heartbeats of a machine in a fleet of *machines*.

    That is *shortest*, or the first longer step at which the whole fleet sends at
    most *rate* heartbeats a second.
    """
    seconds = shortest
    while seconds * rate < machines and seconds < LONGEST_HEARTBEAT_INTERVAL:
        seconds = math.ceil(seconds * _STEP)
    return seconds


def longest(seconds: int) -> int:
    """Return the longest interval, in seconds, that :func:`spread` may return."""
    return seconds + (seconds + 9) // 10


def spread(seconds: int) -> int:
    """Return *seconds* plus a random part of up to a tenth.

    Otherwise machines switched on together would send their heartbeats together.
    """
    # The same distribution as randint(), at a quarter of its cost.
    return seconds + int(random.random() * (longest(seconds) - seconds + 1))


class KnownInterval:
    """Cache the fleet's heartbeat interval in this process."""

    def __init__(self) -> None:
        self._seconds = 0
        self._learned_at: datetime | None = None

    def learn(self, seconds: int, now: datetime) -> None:
        self._seconds, self._learned_at = seconds, now

    def next(self, now: datetime) -> int | None:
        """Return the seconds until an agent's next heartbeat, randomized by spread().

        None if the cached interval is over 10 seconds old: ask the database again.
        """
        if self._learned_at is None:
            return None
        fresh = 0 <= (now - self._learned_at).total_seconds() < REMEMBERED
        return spread(self._seconds) if fresh else None
