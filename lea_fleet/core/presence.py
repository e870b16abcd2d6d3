"""When a machine is online, offline or stale: by the server's clock, on each read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import clock, heartbeat_interval

#: A machine may miss this many intervals before it is offline.
INTERVALS = 3


@dataclass(frozen=True)
class PresenceRule:
    """When a silent machine becomes ``offline`` and ``stale``; durations in seconds.

    *heartbeat_interval* is the shortest that agents are told; it gets longer if the
    fleet would send more than *heartbeat_rate* heartbeats a second. A heartbeat within
    *resolution* of the last one that was written need not be written. A machine is
    stale after a silence of *stale_after*, and may be re-enrolled after one of
    *given_up_after*; None means never.
    """

    heartbeat_interval: int
    heartbeat_rate: float
    resolution: float
    stale_after: float | None
    given_up_after: float | None

    def interval_for(self, machines: int) -> int:
        """Return the seconds between two heartbeats in a fleet of so many machines."""
        return heartbeat_interval.interval_for(
            machines, shortest=self.heartbeat_interval, rate=self.heartbeat_rate
        )

    def online_for(self, interval: int) -> int:
        """Return the seconds for which a machine is online after its last heartbeat.

        *interval* is the longest that agents were told recently, in seconds.
        """
        return INTERVALS * heartbeat_interval.longest(interval)

    def limits(self, now: datetime, interval: int) -> dict[str, str]:
        """Return the timestamps that separate online, offline and stale at *now*.

        *interval* is that of :meth:`online_for`. Machines seen at ``online_since`` or
        later are online, those last seen before ``stale_before`` are stale, others
        offline. ISO 8601 UTC, to compare as text.
        """
        stale = self.stale_after
        return {
            "online_since": clock.before(now, self.online_for(interval)),
            "stale_before": "" if stale is None else clock.before(now, stale),
        }

    def is_fresh(self, last_seen_at: str | None, now: datetime) -> bool:
        """Tell whether *last_seen_at* is too recent to be updated at *now*.

        A last_seen_at in the future, from before the clock was set back, is not
        fresh: if it stayed, a machine that is switched off would remain online.
        """
        if last_seen_at is None:
            return False
        try:
            silence = (now - datetime.fromisoformat(last_seen_at)).total_seconds()
        except (TypeError, ValueError):  # not a timestamp, or one without a time zone
            return False
        return 0 <= silence < self.resolution

    def is_given_up(self, agent: Mapping[str, Any], now: datetime) -> bool:
        """Tell whether an active *agent* may be re-enrolled without a release.

        It may if it has been silent for at least *given_up_after* seconds by *now*.
        """
        if self.given_up_after is None:
            return False
        seen = agent["last_seen_at"] or agent["enrolled_at"]
        return clock.in_utc(seen) <= clock.before(now, self.given_up_after)
