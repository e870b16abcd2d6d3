"""Store the heartbeat intervals that agents are told, for all processes."""

from __future__ import annotations

from ..core import clock
from ..core.heartbeat_interval import REMEMBERED, longest
from ..core.presence import INTERVALS
from .heard import Heard
from .unit_of_work import Repository

#: Seconds until machines are counted again. Counting 100,000 takes 4 ms.
_COUNT_LASTS = 60


class Intervals(Repository):
    """The heartbeat intervals in use.

    When the fleet grows or shrinks, its machines learn the new interval one by one. An
    interval counts for as long as a machine that was told it may be silent and still
    be online, so that none turns offline because of the change.
    """

    def present(self) -> int:
        """Return the current interval in seconds."""
        seconds, _ = self._last()
        return seconds

    def decide(self) -> int:
        """Return the interval in seconds for the current size of the fleet.

        Machines are counted once a minute, and it is noted that one is heard. Needs an
        open transaction.
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
        # Agents may be told it until the next count, by a process that has it cached,
        # and in heartbeats that are not written: those within one interval.
        silence = (INTERVALS + 1) * longest(seconds) + _COUNT_LASTS + REMEMBERED
        # A new row with a new id, even for an interval that is there already: the last
        # row is the current one.
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
        Heard(self._unit).note(timestamp, self.longest_in_use())
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
