"""Presence: who is there, from the server's clock alone, whenever it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import clock, heartbeat_interval as pace

#: A machine may miss this many intervals before it is offline.
INTERVALS = 3


@dataclass(frozen=True)
class PresenceRule:
    """When a silent machine turns ``offline`` and ``stale``; all in seconds.

    *heartbeat_interval* is the least that agents are told, more where more than
    *heartbeat_rate* of them would beat in a second. A heartbeat within
    *resolution* of the last one that was written says nothing new. A silence
    of *stale_after* makes a machine stale, one of *given_up_after* lets it be
    enrolled again; None means never.
    """

    heartbeat_interval: int = 60
    heartbeat_rate: float = 200
    resolution: float = 15
    stale_after: float | None = 14 * 86400
    given_up_after: float | None = None

    def interval_for(self, machines: int) -> int:
        """Return the seconds between two heartbeats in a fleet of so many."""
        return pace.interval_for(
            machines, shortest=self.heartbeat_interval, rate=self.heartbeat_rate
        )

    def limits(self, moment: datetime, interval: int) -> dict[str, str]:
        """Return the instants that part online, offline and stale at *moment*.

        *interval* is the longest that agents were lately told. Seen at
        ``online_since`` or later is online; before ``stale_before`` is stale;
        between them is offline. ISO 8601 UTC, to compare as text.
        """
        online_since = clock.before(moment, INTERVALS * pace.longest(interval))
        if self.stale_after is None:
            return {"online_since": online_since, "stale_before": ""}
        stale_before = clock.before(moment, self.stale_after)
        return {"online_since": online_since, "stale_before": stale_before}

    def is_fresh(self, last_seen_at: str | None, moment: datetime) -> bool:
        """Tell whether seeing the machine at *moment* need not be written.

        A last_seen_at in the future, from before the clock was set back, is
        not fresh: left there, the machine would stay online in its absence.
        """
        if last_seen_at is None:
            return False
        try:
            silence = (moment - datetime.fromisoformat(last_seen_at)).total_seconds()
        except (TypeError, ValueError):  # no instant, or one without a time zone
            return False
        return 0 <= silence < self.resolution

    def is_given_up(self, agent: Mapping[str, Any], moment: datetime) -> bool:
        """Tell whether an active *agent* has been silent for so long by *moment*
        that it may be enrolled again without being released."""
        if self.given_up_after is None:
            return False
        seen = agent["last_seen_at"] or agent["enrolled_at"]
        return bool(seen <= clock.before(moment, self.given_up_after))
