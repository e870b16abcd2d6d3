"""The heartbeat intervals that agents are told, so that all processes judge alike."""

from __future__ import annotations

from ..core import clock
from ..core.heartbeat_interval import REMEMBERED, longest
from ..core.presence import INTERVALS
from .unit_of_work import Repository

#: Seconds after which the machines are counted again: 4 ms for 100,000 of them.
_COUNT_LASTS = 60


class Intervals(Repository):
    """The intervals that were decided on.

    Each counts for as long as a machine that was told it may keep silent and
    be online: a fleet that grows or shrinks is told another one, machine by
    machine, and none of them turns offline over it.
    """

    def present(self) -> int:
        """Return the seconds that were last decided on."""
        seconds, _ = self._last()
        return seconds

    def decide(self) -> int:
        """Return the seconds for the fleet as it is now, counted once a minute.

        As a part of the transaction that is open.
        """
        now, timestamp = self._unit.now, self._unit.timestamp
        seconds, decided_at = self._last()
        if clock.before(now, _COUNT_LASTS) < decided_at <= timestamp:
            return seconds
        execute = self._unit.session.execute
        (machines,) = execute(
            "SELECT count(*) FROM enrolled_agents WHERE status = 'active'"
        ).fetchone()
        seconds = self._unit.rule.interval_for(machines)
        # It may be handed out until the next count, by a process that remembers it,
        # and with the heartbeats that need no write: those within one interval.
        silence = (INTERVALS + 1) * longest(seconds) + _COUNT_LASTS + REMEMBERED
        # A new row, with a new id, also for an interval that was told before: the
        # last row is the one that counts.
        execute(
            "DELETE FROM lea_fleet_intervals"
            " WHERE counts_until <= :now OR seconds = :seconds",
            {"now": timestamp, "seconds": seconds},
        )
        execute(
            "INSERT INTO lea_fleet_intervals (seconds, decided_at, counts_until)"
            " VALUES (:seconds, :now, :counts_until)",
            {
                "seconds": seconds,
                "now": timestamp,
                "counts_until": clock.after(now, silence),
            },
        )
        return seconds

    def longest_in_use(self) -> int:
        """Return the longest interval that an online machine may have been told."""
        (seconds,) = self._unit.session.execute(
            "SELECT max(seconds) FROM lea_fleet_intervals WHERE counts_until > :now",
            {"now": self._unit.timestamp},
        ).fetchone()
        return max(seconds or 0, self._unit.rule.heartbeat_interval)

    def _last(self) -> tuple[int, str]:
        row = self._unit.session.execute(
            "SELECT seconds, decided_at FROM lea_fleet_intervals"
            " ORDER BY id DESC LIMIT 1"
        ).fetchone()
        shortest = self._unit.rule.heartbeat_interval
        if row is None:
            return shortest, ""
        seconds, decided_at = row
        return max(seconds, shortest), decided_at
