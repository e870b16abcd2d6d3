"""When a machine is online, offline or stale: by the server's clock, on each read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import clock, heartbeat_interval
from .limits import MOST_PRESENCE_DAYS

#: A machine may miss this many intervals before it is offline.
INTERVALS = 3


@dataclass(frozen=True)
class PresenceRule:
    """When a silent machine becomes ``offline`` and ``stale``; durations in seconds.

    *heartbeat_interval* is the shortest that agents are told; it gets longer if the
    fleet would send more than *heartbeat_rate* heartbeats a second. A heartbeat within
    *resolution* of the last one that was written need not be written. A machine is
    stale after a silence of *stale_after*, and may be re-enrolled after one of
    *given_up_after*; None means never. The hours in which machines were seen are kept
    for *presence_days*; 0 means not at all.
    """

    heartbeat_interval: int
    heartbeat_rate: float
    resolution: float
    stale_after: float | None
    given_up_after: float | None
    presence_days: int = 30

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

    def first_day(self, now: datetime) -> str:
        """Return the first of the days that are kept at *now*, as YYYY-MM-DD.

        If none are kept, that is tomorrow.
        """
        return clock.before(now, 86400 * (self.presence_days - 1))[:10]

    def is_given_up(self, agent: Mapping[str, Any], now: datetime) -> bool:
        """Tell whether an active *agent* may be re-enrolled without a release.

        It may if it has been silent for at least *given_up_after* seconds by *now*.
        """
        if self.given_up_after is None:
            return False
        seen = agent["last_seen_at"] or agent["enrolled_at"]
        return clock.in_utc(seen) <= clock.before(now, self.given_up_after)


def parse_days(value: object) -> int:
    """Return a number of days for which presence is kept. Raises ValueError."""
    text = str(value).strip()  # True is not a number here
    if not (text.isascii() and text.isdecimal()) or int(text) > MOST_PRESENCE_DAYS:
        raise ValueError(f"must be a number of days, 0 to {MOST_PRESENCE_DAYS}")
    return int(text)


def is_new_hour(last_seen_at: str | None, now: datetime) -> bool:
    """Tell whether a machine *last_seen_at* then was not seen in the hour of *now* yet.

    A timestamp that another program has written in another form is of another hour.
    """
    return (last_seen_at or "")[:13] != clock.iso(now)[:13]
