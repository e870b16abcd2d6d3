"""``lea_fleet_ignored``: which details of a machine were too long to be stored.

The heartbeat that reports one is accepted, so that the machine stays online; somebody
must learn of it all the same. What was reported is not kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..core import clock
from ..core.limits import IGNORED_MEMORY, IGNORED_NOTED
from .unit_of_work import Repository, enrollment_of

_OF_MACHINE = """SELECT field, ignored_at FROM lea_fleet_ignored
  WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at
  AND ignored_at > :since ORDER BY field"""

_MACHINES = """SELECT DISTINCT CAST(agent.machine_id AS TEXT)
  FROM lea_fleet_ignored AS ignored JOIN enrolled_agents AS agent
  ON agent.machine_id = ignored.machine_id
  AND agent.enrolled_at = ignored.enrolled_at
  WHERE agent.status = 'active' AND ignored.ignored_at > :since ORDER BY 1"""

_NOTE = """INSERT INTO lea_fleet_ignored (machine_id, field, enrolled_at, ignored_at)
  VALUES (:machine_id, :field, :enrolled_at, :now)
  ON CONFLICT (machine_id, field) DO UPDATE
  SET enrolled_at = excluded.enrolled_at, ignored_at = excluded.ignored_at"""

_CLEAR = (
    "DELETE FROM lea_fleet_ignored WHERE machine_id = :machine_id AND field = :field"
)


class Ignored(Repository):
    """Details that were too long. note() and clear() need an open transaction."""

    def is_noted(self, machine: Mapping[str, Any], fields: Collection[str]) -> bool:
        """Tell whether all *fields* were noted lately, so that nothing is written."""
        return set(fields) <= self._since(machine, IGNORED_NOTED).keys()

    def note(self, machine: Mapping[str, Any], fields: Collection[str]) -> None:
        """Record that the machine reports *fields* that are too long."""
        values = {**enrollment_of(machine), "now": self._unit.timestamp}
        rows = [{**values, "field": field} for field in fields]
        self._unit.session.executemany(_NOTE, rows)

    def clear(self, machine: Mapping[str, Any], fields: Collection[str]) -> None:
        """Forget *fields* that have changed to a value that fits."""
        rows = [{"machine_id": machine["machine_id"], "field": each} for each in fields]
        self._unit.session.executemany(_CLEAR, rows)

    def of(self, machine: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the fields of a machine that were too long within the last day."""
        found = self._since(machine, IGNORED_MEMORY)
        return [{"field": name, "ignored_at": at} for name, at in found.items()]

    def machines(self) -> list[str]:
        """Return the ids of the active machines with such a field in the last day."""
        since = clock.before(self._unit.now, IGNORED_MEMORY)
        rows = self._unit.session.execute(_MACHINES, {"since": since})
        return [machine_id for (machine_id,) in rows]

    def _since(self, machine: Mapping[str, Any], seconds: float) -> dict[str, str]:
        since = clock.before(self._unit.now, seconds)
        values = {**enrollment_of(machine), "since": since}
        return dict(self._unit.session.execute(_OF_MACHINE, values).fetchall())
