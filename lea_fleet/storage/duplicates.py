"""Find machines in whose place another one has come: one computer that is two machines.

A PC that was set up anew has a new id, and its former machine stays active for ever.
Both have one hostname, and the former is silent since the other came. Nothing is told
while two of them are heard: then several computers share the name. Ids that differ in
case, braces or hyphens are one computer's too, if one of them is silent.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from ..core.event_filter import EventFilter
from ..core.event_types import Holds
from ..core.event_details import side
from ..core.machine import personal_in
from ..core.rows import Agent
from .agents import SEEN, SELECT, agent_of, in_utc
from .events import Events
from .interface import Dialect
from .intervals import Intervals
from .unit_of_work import Repository, enrollment_of

#: What core.machine.look() returns for ASCII, in SQL that both engines take.
_TRIMMED = "lower(trim(CAST(machine_id AS TEXT)))"
_DIGITS = _TRIMMED
for _mark in ("urn:uuid:", "{", "}", "(", ")", "-"):
    _DIGITS = f"replace({_DIGITS}, '{_mark}', '')"
_LOOK = (
    "CASE WHEN length(digits) = 32 AND ltrim(digits, '0123456789abcdef') = ''"
    " THEN digits WHEN substr(trimmed, 1, 1) = '{'"
    " AND substr(trimmed, length(trimmed), 1) = '}'"
    " THEN coalesce(nullif(trim(substr(trimmed, 2, length(trimmed) - 2)), ''), trimmed)"
    " ELSE trimmed END"
)

#: Empty for one that was never seen, such as an imported one.
_HEARD = f"CASE WHEN last_seen_at IS NULL THEN '' ELSE {in_utc('last_seen_at')} END"


@cache
def _pairs(dialect: Dialect) -> str:
    """Return the WITH clause of ``pair``: each former machine and its heir, once.

    Each step reads the fleet once and groups it, so that any number of machines with
    one hostname takes no longer. A name that is a shorter form of another one may be
    that of several computers: its label, or the 15 characters that NetBIOS leaves.
    """
    label = dialect.label("host")
    return f"""WITH stored AS MATERIALIZED (
    SELECT id, CAST(machine_id AS TEXT) AS machine_id, {_HEARD} AS heard,
      {SEEN} AS seen, {in_utc("enrolled_at")} AS came, {_TRIMMED} AS trimmed,
      CASE WHEN length(machine_id) < 32 THEN '' ELSE {_DIGITS} END AS digits,
      rtrim({dialect.folded("hostname")}, '. ') AS host
    FROM enrolled_agents WHERE status = 'active'
  ), machine AS NOT MATERIALIZED (
    SELECT id, machine_id, heard, seen, came, {_LOOK} AS look, host FROM stored
  ), shorter AS (
    SELECT {label} AS form FROM machine WHERE host <> {label}
    UNION ALL SELECT substr({label}, 1, 15) FROM machine WHERE length({label}) > 15
  ), named AS (
    SELECT id, machine_id, heard, seen, host,
      max(CASE WHEN heard <> '' THEN came END) OVER (PARTITION BY host) AS newest
    FROM machine WHERE host IN (
      SELECT host FROM machine WHERE host <> '' GROUP BY host HAVING count(*) > 1
    )
  ), by_host AS (
    SELECT id, machine_id, seen, host, newest,
      count(CASE WHEN heard >= newest THEN 1 END) OVER (PARTITION BY host) AS alive,
      min(CASE WHEN heard >= newest THEN machine_id END) OVER (PARTITION BY host)
        AS heir
    FROM named
  ), alike AS (
    SELECT id, machine_id, heard, first_value(machine_id)
      OVER (PARTITION BY look ORDER BY heard DESC, id) AS heir
    FROM machine WHERE look IN (
      SELECT look FROM machine GROUP BY look HAVING count(*) > 1
    )
  ), succeeded AS (
    SELECT id, machine_id, heir FROM by_host
    WHERE alive = 1 AND seen < newest AND seen < :online_since
      AND host NOT IN (SELECT form FROM shorter)
  ), pair AS (
    SELECT id, machine_id AS former, heir, 'hostname' AS because FROM succeeded
    UNION ALL SELECT id, machine_id, heir, 'id' FROM alike
    WHERE machine_id <> heir AND heard < :online_since
      AND id NOT IN (SELECT id FROM succeeded)
  )"""


@cache
def former_machines(dialect: Dialect) -> str:
    """Return the subquery for the ids of the machines that others came in place of.

    It needs the parameters of presence.
    """
    return f"{_pairs(dialect)} SELECT former FROM pair"


class Pair(NamedTuple):
    """A machine that another one came in place of, and what they have in common.

    That is the ``hostname`` or the ``id``.
    """

    former: str
    heir: str
    because: str


class Said(NamedTuple):
    """Who said a machine's hostname in this enrollment, and when; None: nobody did.

    ``machine`` is the installer or the agent. Otherwise the name was imported, typed by
    an operator, or is left of an earlier enrollment.
    """

    by: str | None
    at: str | None


class Duplicates(Repository):
    """Active machines that another one came in place of; each method reads the fleet.

    0.3 s for 100,000 machines, and 0.8 s if half of them are such; on PostgreSQL 0.2
    and 0.5 s.
    """

    def pairs(self) -> list[Pair]:
        """Return all pairs, in the order of the former machines' rows."""
        return self._select("ORDER BY id")

    def page(
        self, *, limit: int, after: str | None = None
    ) -> tuple[list[Pair], str | None]:
        """Return up to *limit* pairs by the former machine's id, and the last one.

        The second value is what to pass as *after* for the next page; it is None on
        the last page.
        """
        pairs = self._select(
            "WHERE former > :after ORDER BY former LIMIT :limit",
            after=after or "",
            limit=limit + 1,
        )
        return pairs[:limit], pairs[limit - 1].former if len(pairs) > limit else None

    def of(self, machine_id: str) -> list[Pair]:
        """Return up to ten pairs that a machine is one of."""
        return self._select(
            "WHERE former = :machine_id OR heir = :machine_id ORDER BY id LIMIT 10",
            machine_id=machine_id,
        )

    def count(self) -> int:
        """Return how many machines others came in place of."""
        ((count,),) = self._rows("SELECT count(*) FROM pair")
        return int(count)

    def said(self, agent: Agent) -> Said:
        """Return who said the *agent*'s hostname, and when."""
        changes = EventFilter(
            agent["machine_id"],
            names=("identity_changed", "edited"),
            since=agent["enrolled_at"],
        )
        for event in Events(self._unit).find(changes, limit=100)[0]:
            if side(event["detail"], Holds.AFTER).get("hostname") is not None:
                role = event["actor"]["role"]
                return Said("machine" if role == "agent" else role, event["at"])
        ((said,),) = self._unit.session.execute(
            "SELECT max(said) FROM lea_fleet_tokens"
            " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at",
            enrollment_of(agent),
        ).fetchall()
        if "hostname" in personal_in(said or 0):
            return Said("machine", agent["enrolled_at"])
        return Said(None, None)

    def same_user(self, agent: Agent, limit: int) -> list[Agent]:
        """Return up to *limit* other active machines with the *agent*'s e-mail address.

        Those seen last come first. A person may have several.
        """
        if not (agent["user_email"] or "").strip():
            return []
        dialect = self._unit.dialect
        limits = self._unit.limits(Intervals(self._unit).longest_in_use())
        rows = self._unit.session.execute(
            f"{SELECT} WHERE status = 'active' AND machine_id <> :machine_id"
            f" AND {dialect.folded('user_email')} = ("
            f"SELECT {dialect.folded('user_email')} FROM enrolled_agents"
            " WHERE machine_id = :machine_id)"
            f" ORDER BY {SEEN} DESC, id LIMIT :limit",
            {**limits, "machine_id": agent["machine_id"], "limit": limit},
        )
        return [agent_of(row) for row in rows.fetchall()]

    def _select(self, which: str, **values: Any) -> list[Pair]:
        rows = self._rows(f"SELECT former, heir, because FROM pair {which}", **values)
        return [Pair(*row) for row in rows]

    def _rows(self, query: str, **values: Any) -> list[Any]:
        limits = self._unit.limits(Intervals(self._unit).longest_in_use())
        rows = self._unit.session.execute(
            f"{_pairs(self._unit.dialect)} {query}", {**limits, **values}
        )
        return rows.fetchall()
