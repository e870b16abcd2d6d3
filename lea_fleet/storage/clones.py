"""Suspected clones: two machines under one identity, told by their hostnames.

Two PCs with one token beat in turn, so that the hostname changes to and fro. One
that comes back within a day after it was given up raises the suspicion; a day
without that, or another enrolment, clears it.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ..core import clock

_DAY = 24 * 3600

#: True of a row of ``enrolled_agents`` under suspicion: since ``:clone_since``, and
#: not in the future, from before the clock was set back.
SUSPECTED = """EXISTS (
    SELECT 1 FROM lea_fleet_clones AS clone
    WHERE clone.machine_id = enrolled_agents.machine_id
    AND clone.enrolled_at = enrolled_agents.enrolled_at
    AND clone.alternated_at > :clone_since
    AND clone.alternated_at <= :now
  )"""


def clone_since() -> str:
    """Return the instant after which an alternation still counts."""
    return clock.before(clock.now(), _DAY)


class CloneRepository:
    """The hostnames that alternate, over one open *connection*.

    What writes is a part of the transaction that is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def comes_back(self, agent: dict[str, Any], name: str, value: str) -> bool:
        """Note that an agent gives up what it has under *name* for *value*.

        Return whether it gave *value* up within a day, in this enrolment.
        """
        row = self.connection.execute(
            "SELECT 1 FROM lea_fleet_identities"
            " WHERE machine_id = ? AND name = ? AND value = ?"
            " AND enrolled_at = ? AND left_at > ?",
            (
                agent["machine_id"],
                name,
                value.casefold(),
                agent["enrolled_at"],
                clone_since(),
            ),
        ).fetchone()
        self._give_up(agent, name)
        return row is not None

    def suspect(self, agent: dict[str, Any]) -> bool:
        """Write down an alternation; tell whether it has to be reported.

        A clone beats for ever: it is reported once a day at most.
        """
        key = (agent["machine_id"], agent["enrolled_at"])
        reported = self.connection.execute(
            "SELECT reported_at FROM lea_fleet_clones"
            " WHERE machine_id = ? AND enrolled_at = ? AND reported_at > ?",
            (*key, clone_since()),
        ).fetchone()
        now = clock.iso(clock.now())
        self.connection.execute(
            "INSERT INTO lea_fleet_clones"
            " (machine_id, enrolled_at, alternated_at, reported_at)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (machine_id) DO UPDATE"
            " SET enrolled_at = excluded.enrolled_at,"
            " alternated_at = excluded.alternated_at,"
            " reported_at = excluded.reported_at",
            (*key, now, now if reported is None else reported[0]),
        )
        return reported is None

    def suspects(self) -> list[str]:
        """Return the ids of the active machines under suspicion."""
        rows = self.connection.execute(
            "SELECT CAST(machine_id AS TEXT) FROM enrolled_agents"
            " WHERE status = 'active'"
            " AND machine_id IN (SELECT machine_id FROM lea_fleet_clones)"
            f" AND {SUSPECTED} ORDER BY id",
            {"clone_since": clone_since(), "now": clock.iso(clock.now())},
        )
        return [machine_id for (machine_id,) in rows]

    def signs(self, agent: dict[str, Any]) -> dict[str, str] | None:
        """Return when an agent under suspicion last alternated and was reported."""
        if not agent["suspected_clone"]:
            return None
        row = self.connection.execute(
            "SELECT alternated_at, reported_at FROM lea_fleet_clones"
            " WHERE machine_id = ?",
            (agent["machine_id"],),
        ).fetchone()
        return dict(row)

    def _give_up(self, agent: dict[str, Any], name: str) -> None:
        self.connection.execute(
            "DELETE FROM lea_fleet_identities WHERE machine_id = ? AND left_at <= ?",
            (agent["machine_id"], clone_since()),
        )
        if agent[name] is None:
            return
        self.connection.execute(
            "INSERT OR REPLACE INTO lea_fleet_identities"
            " (machine_id, name, value, enrolled_at, left_at) VALUES (?, ?, ?, ?, ?)",
            (
                agent["machine_id"],
                name,
                agent[name].casefold(),
                agent["enrolled_at"],
                clock.iso(clock.now()),
            ),
        )
