"""The intervals that agents are told, so that all processes judge by the same."""

from __future__ import annotations

import sqlite3

from ..core import clock
from ..core.heartbeat_interval import REMEMBERED, longest
from ..core.presence import INTERVALS, PresenceRule

#: Seconds after which the machines are counted again: 4 ms for 100,000 of them.
_COUNT_LASTS = 60


class IntervalRepository:
    """The intervals that were decided on, over one open *connection*.

    Each counts for as long as a machine that was told it may keep silent and
    be online: a fleet that grows or shrinks is told another one, machine by
    machine, and none of them turns offline over it.
    """

    def __init__(self, connection: sqlite3.Connection, rule: PresenceRule) -> None:
        self.connection = connection
        self._rule = rule

    def present(self) -> int:
        """Return the seconds that were last decided on."""
        seconds, _ = self._last()
        return seconds

    def decide(self) -> int:
        """Return the seconds for the fleet as it is now, counted once a minute.

        As a part of the transaction that is open.
        """
        now = clock.now()
        seconds, decided_at = self._last()
        if clock.before(now, _COUNT_LASTS) < decided_at <= clock.iso(now):
            return seconds
        (machines,) = self.connection.execute(
            "SELECT count(*) FROM enrolled_agents WHERE status = 'active'"
        ).fetchone()
        seconds = self._rule.interval_for(machines)
        # It may be handed out until the next count, by a process that remembers
        # it, and with the beats that need no write: those within one interval.
        silence = (INTERVALS + 1) * longest(seconds) + _COUNT_LASTS + REMEMBERED
        self.connection.execute(
            "DELETE FROM lea_fleet_intervals WHERE counts_until <= ?",
            (clock.iso(now),),
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO lea_fleet_intervals"
            " (seconds, decided_at, counts_until) VALUES (?, ?, ?)",
            (seconds, clock.iso(now), clock.after(now, silence)),
        )
        return seconds

    def lately(self) -> int:
        """Return the longest that an online machine may have been told."""
        (seconds,) = self.connection.execute(
            "SELECT max(seconds) FROM lea_fleet_intervals WHERE counts_until > ?",
            (clock.iso(clock.now()),),
        ).fetchone()
        return max(seconds or 0, self._rule.heartbeat_interval)

    def _last(self) -> tuple[int, str]:
        row = self.connection.execute(
            "SELECT seconds, decided_at FROM lea_fleet_intervals"
            " ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return self._rule.heartbeat_interval, ""
        return max(row["seconds"], self._rule.heartbeat_interval), row["decided_at"]
