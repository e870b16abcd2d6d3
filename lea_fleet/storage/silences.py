"""``lea_fleet_silences``: which machines were told to be silent.

Judged from the rows each time. What is told is what a statement has changed, so that
of two judges at once one tells it.
"""

from __future__ import annotations

from typing import Any

from ..core import clock
from .agents import SEEN
from .alerts import Alerts
from .heard import EXCUSED, Heard, settling
from .intervals import Intervals
from .mutes import MUTED
from .unit_of_work import Repository

#: Machines that are told in one transaction.
_STEP = 500

_EXCUSED = EXCUSED.format(seen=SEEN)
_SILENT = f"""SELECT CAST(machine_id AS TEXT), {SEEN} FROM enrolled_agents
  WHERE status = 'active' AND last_seen_at IS NOT NULL AND {SEEN} < :silent_before
  AND NOT EXISTS (
    SELECT 1 FROM lea_fleet_silences AS silence
    WHERE silence.machine_id = enrolled_agents.machine_id
  )
  AND NOT {_EXCUSED} AND NOT {MUTED} ORDER BY id LIMIT :step"""

_FALL_SILENT = """INSERT INTO lea_fleet_silences (machine_id, seen_at)
  VALUES (:machine_id, :seen_at) ON CONFLICT (machine_id) DO NOTHING"""

#: Those that have ended, with whether that is to be told: the machine is back, and is
#: not muted.
_ENDED = f"""SELECT machine_id, seen_at, is_back AND NOT is_muted FROM (
    SELECT silence.machine_id, silence.seen_at, agent.status = 'active'
      AND agent.seen > silence.seen_at AS is_back, agent.status, agent.is_muted
    FROM lea_fleet_silences AS silence LEFT JOIN (
      SELECT machine_id, status, {SEEN} AS seen, {MUTED} AS is_muted
      FROM enrolled_agents
    ) AS agent ON agent.machine_id = silence.machine_id
  ) AS judged
  WHERE is_back OR status IS NULL OR status <> 'active'
  ORDER BY machine_id LIMIT :step"""

_END = (
    "DELETE FROM lea_fleet_silences"
    " WHERE machine_id = :machine_id AND seen_at = :seen_at"
)

_LAST_SEEN = (
    f"SELECT max({SEEN}) FROM enrolled_agents WHERE status = 'active'"
    f" AND last_seen_at IS NOT NULL AND {SEEN} <= :now"
)

#: Seconds after which a heartbeat that we have not received ourselves is noted.
_A_MINUTE = 60


class Silences(Repository):
    """Machines that fell silent, or are back."""

    def hear(self) -> None:
        """Note when the last machine was heard, if an older server received it."""
        heard, unit = Heard(self._unit), self._unit
        values = {"now": unit.timestamp}
        (seen_at,) = unit.session.execute(_LAST_SEEN, values).fetchone()
        if seen_at is None:
            return
        if heard.until() < clock.before(clock.read_time(seen_at), _A_MINUTE):
            with unit.transaction():
                heard.note(seen_at, Intervals(unit).longest_in_use())

    def judge(self, after: float) -> bool:
        """Tell in one transaction who fell silent and who is back, of some machines.

        A machine is silent after so many seconds. Return whether there may be more to
        tell.
        """
        # Asked before, so that nobody waits for a lock while the fleet is looked
        # through: nearly always there is nothing to tell.
        if not self._silent(after) and not self._ended():
            return False
        with self._unit.transaction():
            silent, ended = self._silent(after), self._ended()
            for machine_id, seen_at in silent:
                if self._changes(_FALL_SILENT, machine_id, seen_at):
                    self._tell("machine.silent", machine_id, seen_at)
            for machine_id, seen_at, is_back in ended:
                if self._changes(_END, machine_id, seen_at) and is_back:
                    self._tell("machine.returned", machine_id, seen_at)
        return max(len(silent), len(ended)) == _STEP

    def _silent(self, after: float) -> list[Any]:
        """Return who is silent and was not told to be, and since when."""
        interval = Intervals(self._unit).longest_in_use()
        if not Heard(self._unit).is_settled(interval):
            return []
        # Where machines are told a longer interval, none is silent before it is due.
        silence = max(after, 2 * self._unit.rule.online_for(interval))
        now = self._unit.now
        limits = {
            "silent_before": clock.before(now, silence),
            "excused_since": clock.before(now, silence + settling(interval)),
            "step": _STEP,
            "now": self._unit.timestamp,
        }
        return self._unit.session.execute(_SILENT, limits).fetchall()

    def _ended(self) -> list[Any]:
        """Return who was told to be silent and is back, or has left the fleet."""
        values = {"step": _STEP, "now": self._unit.timestamp}
        return self._unit.session.execute(_ENDED, values).fetchall()

    def _changes(self, statement: str, machine_id: str, seen_at: str) -> bool:
        values: dict[str, Any] = {"machine_id": machine_id, "seen_at": seen_at}
        return self._unit.session.execute(statement, values).rowcount == 1

    def _tell(self, alert: str, machine_id: str, seen_at: str) -> None:
        Alerts(self._unit).add(alert, machine_id, last_seen_at=seen_at)
