"""``lea_fleet_heard``: the periods in which machines were heard.

Between two of them nobody was: the server was down, or the network, or all machines
were off. A machine that was online when such a gap began has not fallen silent because
of it.
"""

from __future__ import annotations

from ..core import clock
from ..core.heartbeat_interval import longest
from .unit_of_work import Repository

#: Periods that are kept: a gap every night for years.
_MOST = 1000

#: The condition for a machine in ``enrolled_agents`` that a gap excuses: it was online
#: when the gap began, and heartbeats have been received again for less than it may be
#: silent. ``{seen}`` is when it was last seen.
EXCUSED = """EXISTS (
    SELECT 1 FROM lea_fleet_heard AS period
    WHERE period.since > :excused_since
    AND {seen} >= period.alive_since AND {seen} < period.since
  )"""


class Heard(Repository):
    """When the fleet was heard. Methods that write need an open transaction."""

    def note(self, at: str, interval: int) -> None:
        """Record that a machine was heard at that timestamp.

        *interval* is the longest heartbeat interval in use, in seconds.
        """
        execute = self._unit.session.execute
        since, until = self._last() or ("", "")
        if at <= until:
            return
        online = self._unit.rule.online_for(interval)
        is_gap = until < clock.before(clock.read_time(at), online)
        if not is_gap:
            execute(
                "UPDATE lea_fleet_heard SET until = :at"
                " WHERE since = :since AND until < :at",
                {"since": since, "at": at},
            )
            return
        # Nobody was online before the first one.
        alive = clock.before(clock.read_time(until), online) if until else at
        execute(
            "INSERT INTO lea_fleet_heard (since, until, alive_since)"
            " VALUES (:at, :at, :alive) ON CONFLICT (since) DO NOTHING",
            {"at": at, "alive": alive},
        )
        execute(
            "DELETE FROM lea_fleet_heard WHERE since <= (SELECT since"
            " FROM lea_fleet_heard ORDER BY since DESC LIMIT 1 OFFSET :most)",
            {"most": _MOST},
        )

    def until(self) -> str:
        """Return when a machine was last heard, to a minute; "" if none was."""
        return (self._last() or ("", ""))[1]

    def is_settled(self, interval: int) -> bool:
        """Return whether machines are heard, and have been for two intervals.

        Only then those that are not heard are silent.
        """
        period, now = self._last(), self._unit.now
        if period is None:
            return False
        since, until = period
        is_heard = until >= clock.before(now, self._unit.rule.online_for(interval))
        return is_heard and since <= clock.before(now, settling(interval))

    def _last(self) -> tuple[str, str] | None:
        row = self._unit.session.execute(
            "SELECT since, until FROM lea_fleet_heard ORDER BY since DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1])


def settling(interval: int) -> int:
    """Return the seconds after a gap in which all live machines are heard."""
    return 2 * longest(interval)
