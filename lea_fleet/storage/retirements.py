"""``lea_fleet_retirements``: machines whose agents uninstall themselves when they come.

An agent is told so with each of its heartbeats, until its machine is uninstalled. A
retirement is of one enrollment: any other ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core import clock
from ..core.heartbeat_interval import longest
from ..core.rows import Retirement
from .intervals import Intervals
from .unit_of_work import Repository, enrollment_of

_OF_MACHINE = """SELECT 1 FROM lea_fleet_retirements AS retirement
    WHERE retirement.machine_id = enrolled_agents.machine_id
    AND retirement.enrolled_at = enrolled_agents.enrolled_at"""

#: The condition for a machine in ``enrolled_agents`` that is being retired.
RETIRING = f"(status = 'active' AND EXISTS ({_OF_MACHINE}))"

#: When the agent of the outer query's ``holder`` was first told to uninstall itself:
#: empty if it was not yet, NULL if it is not to be told.
TOLD_HOLDER = """SELECT coalesce(told_at, '') FROM lea_fleet_retirements AS retirement
    WHERE retirement.machine_id = holder
    AND retirement.enrolled_at = token_enrolled_at"""

_ADD = """INSERT INTO lea_fleet_retirements
  (machine_id, enrolled_at, retired_at, told_at)
  VALUES (:machine_id, :enrolled_at, :now, NULL) ON CONFLICT (machine_id) DO UPDATE
  SET enrolled_at = excluded.enrolled_at, retired_at = excluded.retired_at,
    told_at = NULL"""

_TELL = """UPDATE lea_fleet_retirements SET told_at = :now
  WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at AND told_at IS NULL"""

_MACHINES = """SELECT agent.id, CAST(agent.machine_id AS TEXT), retirement.told_at,
    CAST(agent.last_seen_at AS TEXT)
  FROM lea_fleet_retirements AS retirement JOIN enrolled_agents AS agent
  ON agent.machine_id = retirement.machine_id
  AND agent.enrolled_at = retirement.enrolled_at
  WHERE agent.status = 'active' ORDER BY agent.id"""


class Retirements(Repository):
    """Machines to be retired. Methods that write, but tell(), need a transaction."""

    def of(self, agent: Mapping[str, Any]) -> Retirement | None:
        """Return when an *agent* is retired and was told; None if it is not."""
        if agent["status"] != "active":
            return None
        row = self._unit.session.execute(
            "SELECT retired_at, told_at FROM lea_fleet_retirements"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at",
            enrollment_of(agent),
        ).fetchone()
        return None if row is None else {"retired_at": row[0], "told_at": row[1]}

    def machines(self) -> list[str]:
        """Return the machines that are being retired."""
        return [machine_id for _, machine_id, *_ in self._machines()]

    def unheeded(self) -> list[tuple[int, str]]:
        """Return row id and machine id of those whose agents do not know of it.

        Such an agent has sent heartbeats for longer than two intervals after it was
        told.
        """
        patience = 2 * longest(Intervals(self._unit).longest_in_use())
        return [
            (row_id, machine_id)
            for row_id, machine_id, told_at, seen_at in self._machines()
            if told_at and seen_at and _seconds(told_at, seen_at) > patience
        ]

    def add(self, agent: Mapping[str, Any]) -> None:
        """Let the next heartbeat of an *agent* be answered so."""
        values = {**enrollment_of(agent), "now": self._unit.timestamp}
        self._unit.session.execute(_ADD, values)

    def remove(self, machine_id: str) -> None:
        """Delete the retirement of a machine."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_retirements WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )

    def tell(self, agent: Mapping[str, Any], now: str) -> None:
        """Record that an *agent* was told, the first time; a transaction of its own."""
        values = {**enrollment_of(agent), "now": now}
        self._unit.dialect.write_once(self._unit.session, _TELL, values)

    def _machines(self) -> Iterator[tuple[int, str, str | None, str | None]]:
        for row in self._unit.rows(_MACHINES):
            yield tuple(row)


def _seconds(earlier: str, later: str) -> float:
    """Return how many seconds are between two timestamps; 0 if one is not one."""
    try:
        return (clock.read_time(later) - clock.read_time(earlier)).total_seconds()
    except ValueError:
        return 0
