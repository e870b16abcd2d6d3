"""Detect suspected clones: two machines with one identity.

Two PCs with one token send heartbeats alternately, so that the hostname changes back
and forth. A hostname that is reported again within a day after it was replaced raises
the suspicion; another spelling of the present one does not. A day without that, or a
new enrollment, clears it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..core import clock
from ..core.identity import Former, Past
from ..core.limits import CLONE_MEMORY, MOST_FORMER_VALUES
from ..core.rows import Agent, CloneSigns, KnownMachine
from ..core.text import folded
from .unit_of_work import Repository, enrollment_of

#: The condition for a suspected clone in ``enrolled_agents``. A timestamp after
#: ``:now``, from before the clock was set back, does not count.
SUSPECTED = """EXISTS (
    SELECT 1 FROM lea_fleet_clones AS clone
    WHERE clone.machine_id = enrolled_agents.machine_id
    AND clone.enrolled_at = enrolled_agents.enrolled_at
    AND clone.alternated_at > :clone_since
    AND clone.alternated_at <= :now
  )"""

_REMEMBER = """INSERT INTO lea_fleet_identities
  (machine_id, name, value, enrolled_at, left_at)
  VALUES (:machine_id, :name, :value, :enrolled_at, :now)
  ON CONFLICT (machine_id, name, value) DO UPDATE
  SET enrolled_at = excluded.enrolled_at, left_at = excluded.left_at"""

_SUSPECT = """INSERT INTO lea_fleet_clones
  (machine_id, enrolled_at, alternated_at, reported_at)
  VALUES (:machine_id, :enrolled_at, :now, :reported_at)
  ON CONFLICT (machine_id) DO UPDATE
  SET enrolled_at = excluded.enrolled_at, alternated_at = excluded.alternated_at,
    reported_at = excluded.reported_at"""


# Only so many rows, since a version without a bound may have left any number. The
# newest of all are among the newest of any part that has them: they are never deleted,
# and the rest goes with the next changes. Without its own order, SQLite would merge the
# inner query with the outer one, and read all rows.
_FORMER = """SELECT name, value, left_at, enrolled_at FROM (
    SELECT name, value, left_at, enrolled_at FROM lea_fleet_identities
    WHERE machine_id = :machine_id ORDER BY name, value LIMIT 256
  ) AS former ORDER BY left_at DESC, value"""

_FORGET = (
    "DELETE FROM lea_fleet_identities"
    " WHERE machine_id = :machine_id AND name = :name AND value = :value"
)


class Clones(Repository):
    """Suspected clones. Methods that write need an open transaction."""

    def past(self, agent: Mapping[str, Any]) -> Past:
        """Return what the agent reported before."""
        return Past(agent, self._former(agent))

    def comes_back(
        self, agent: Mapping[str, Any], past: Past, name: str, value: str
    ) -> bool:
        """Record that the agent's detail *name* changes to *value*.

        Return whether it had that value before, and changed it less than a day ago in
        this enrollment.
        """
        self.remember(agent, name, past.known(name))
        return past.has(name, value, self._since())

    def remember(self, agent: Mapping[str, Any], name: str, value: str | None) -> None:
        """Record that the agent no longer reports a value, if it had one."""
        if value is not None:
            values = {**self._values(agent), "name": name, "value": folded(value)}
            self._unit.session.execute(_REMEMBER, values)

    def forget(self, agent: Mapping[str, Any], past: Past) -> None:
        """Delete what the agent gave up a day ago, and all but the newest of the rest.

        The newest are the last MOST_FORMER_VALUES of each detail. A timestamp from
        before the clock was set back does not count among them. The full name of a host
        that now reports a short one stays, since nobody gave it up.
        """
        values = self._values(agent)
        full = ("hostname", folded(past.full_hostname))
        kept: Counter[str] = Counter()
        gone = []
        for name, value, left_at, _ in self._former(agent):
            counts = values["since"] < left_at <= values["now"]
            if counts and kept[name] < MOST_FORMER_VALUES:
                kept[name] += 1
            elif (name, value) != full:
                gone.append({**values, "name": name, "value": value})
        self._unit.session.executemany(_FORGET, gone)

    def suspect(self, agent: KnownMachine) -> bool:
        """Record that a hostname came back; return whether to report it.

        Clones alternate for as long as both run, so this is reported at most once a
        day.
        """
        values = self._values(agent)
        reported = self._unit.session.execute(
            "SELECT reported_at FROM lea_fleet_clones"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at"
            " AND reported_at > :since",
            values,
        ).fetchone()
        reported_at = values["now"] if reported is None else reported[0]
        self._unit.session.execute(_SUSPECT, {**values, "reported_at": reported_at})
        return reported is None

    def suspects(self) -> list[str]:
        """Return the ids of the active machines that are suspected clones."""
        rows = self._unit.session.execute(
            "SELECT CAST(machine_id AS TEXT) FROM enrolled_agents"
            " WHERE status = 'active'"
            " AND machine_id IN (SELECT machine_id FROM lea_fleet_clones)"
            f" AND {SUSPECTED} ORDER BY id",
            {"clone_since": self._since(), "now": self._unit.timestamp},
        )
        return [machine_id for (machine_id,) in rows]

    def signs(self, agent: Agent) -> CloneSigns | None:
        """Return when a suspected clone last alternated and was last reported.

        None for an agent that is not a suspected clone.
        """
        if not agent["suspected_clone"]:
            return None
        alternated_at, reported_at = self._unit.session.execute(
            "SELECT alternated_at, reported_at FROM lea_fleet_clones"
            " WHERE machine_id = :machine_id",
            {"machine_id": agent["machine_id"]},
        ).fetchone()
        return {"alternated_at": alternated_at, "reported_at": reported_at}

    def _former(self, agent: Mapping[str, Any]) -> list[Former]:
        rows = self._unit.session.execute(_FORMER, {"machine_id": agent["machine_id"]})
        return [Former(*row) for row in rows]

    def _values(self, agent: Mapping[str, Any]) -> dict[str, str]:
        return {
            **enrollment_of(agent),
            "now": self._unit.timestamp,
            "since": self._since(),
        }

    def _since(self) -> str:
        """Return the timestamp after which an alternation still counts."""
        return clock.before(self._unit.now, CLONE_MEMORY)
