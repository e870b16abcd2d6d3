"""The machines: rows of ``enrolled_agents``, which an older server may write too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ..core.machine import COLUMNS, DETAILS
from ..core.problems import MachineUninstalled, UnknownAgent
from ..core.rows import Agent
from .clones import SUSPECTED
from .intervals import Intervals
from .unit_of_work import Repository

#: When a machine was last seen, or came.
SEEN = "coalesce(last_seen_at, enrolled_at)"

# The one place that says what presence is. In SQL, so that a listing of the
# whole fleet needs no Python for each row; PresenceRule gives the two timestamps.
PRESENCE = f"""CASE WHEN status = 'active' THEN CASE
    WHEN {SEEN} >= :online_since THEN 'online'
    WHEN {SEEN} >= :stale_before THEN 'offline'
    ELSE 'stale'
  END ELSE 'uninstalled' END"""

# The host's table takes any type in any column, and JSON takes no BLOB.
AS_TEXT = {name: f"CAST({name} AS TEXT)" for name in COLUMNS} | {"id": "id"}
_ROW = ", ".join(f"{value} AS {name}" for name, value in AS_TEXT.items())

SELECT = (
    f"SELECT {_ROW}, {PRESENCE} AS presence, {SUSPECTED} AS suspected_clone"
    " FROM enrolled_agents"
)
_AGENT = (*COLUMNS, "presence", "suspected_clone")

#: The machine of the id as it was sent, else trimmed, as a new machine's is stored.
BY_ID = (
    "machine_id IN (:sent, :trimmed)"
    " ORDER BY CASE WHEN machine_id = :sent THEN 0 ELSE 1 END LIMIT 1"
)

_IS_KNOWN = "SELECT 1 FROM enrolled_agents WHERE machine_id = :sent"
_IS_KNOWN_EITHER_WAY = f"{_IS_KNOWN} OR machine_id = :trimmed"

#: Sets the columns of the details that are given, and leaves the others.
SET_GIVEN = ", ".join(f"{name} = coalesce(:{name}, {name})" for name in DETAILS)

_VALUES = ", ".join(f":{name}" for name in DETAILS)
_INSERT = (
    f"INSERT INTO enrolled_agents (machine_id, {', '.join(DETAILS)}, enrolled_at,"
    f" last_seen_at) VALUES (:machine_id, {_VALUES}, :now, :seen) RETURNING id"
)
_RESET = (
    "UPDATE enrolled_agents SET status = 'active', enrolled_at = :now,"
    " last_seen_at = :now, uninstalled_at = NULL, uninstall_reason = NULL,"
    f" {SET_GIVEN} WHERE machine_id = :machine_id RETURNING {_ROW}"
)
_UPDATE = f"UPDATE enrolled_agents SET {SET_GIVEN} WHERE machine_id = :machine_id"
_UNINSTALL = (
    "UPDATE enrolled_agents SET status = 'uninstalled', uninstalled_at = :now,"
    " uninstall_reason = :reason WHERE machine_id = :machine_id"
)


class Agents(Repository):
    """One machine: found, written when it enrolls, and marked as uninstalled."""

    def find(self, machine_id: str) -> Agent | None:
        """Return the agent that is stored under that id, or under it trimmed."""
        limits = self._unit.limits(Intervals(self._unit).longest_in_use())
        values = {**limits, **by_id(machine_id)}
        row = self._unit.session.execute(f"{SELECT} WHERE {BY_ID}", values).fetchone()
        return None if row is None else agent_of(row)

    def is_known(self, machine_id: str) -> bool:
        """Tell whether :meth:`find` would find an agent, for less."""
        values = by_id(machine_id)
        # Most ids have no blanks around them: 5 µs less.
        is_trimmed = values["sent"] == values["trimmed"]
        query = _IS_KNOWN if is_trimmed else _IS_KNOWN_EITHER_WAY
        return self._unit.session.execute(query, values).fetchone() is not None

    def require(self, machine_id: str) -> Agent:
        """Return the agent of that id. Raises UnknownAgent."""
        agent = self.find(machine_id)
        if agent is None:
            raise UnknownAgent(machine_id)
        return agent

    def require_active(self, machine_id: str) -> Agent:
        """Return the active agent of that id.

        Raises UnknownAgent and MachineUninstalled.
        """
        agent = self.require(machine_id)
        if agent["status"] != "active":
            raise MachineUninstalled(agent)
        return agent

    def ids_from(self, beginning: str) -> Iterator[str]:
        """Yield the ids that begin so, in their order; a thousand at most."""
        rows = self._unit.session.execute(
            "SELECT CAST(machine_id AS TEXT) FROM enrolled_agents"
            " WHERE machine_id >= :first AND machine_id < :last"
            " ORDER BY machine_id LIMIT 1000",
            {"first": beginning, "last": beginning + chr(sys.maxunicode)},
        )
        for (machine_id,) in rows:
            yield machine_id

    def insert(
        self, machine_id: str, details: Mapping[str, str | None], *, seen: bool
    ) -> Agent:
        """Write a new machine, which enrolls where it is *seen*, and return it."""
        now = self._unit.timestamp
        columns = {
            "machine_id": machine_id,
            **complete(details),
            "status": "active",
            "enrolled_at": now,
            "last_seen_at": now if seen else None,
            "uninstalled_at": None,
            "uninstall_reason": None,
        }
        values = {**columns, "now": now, "seen": columns["last_seen_at"]}
        # Read to its end, or the statement would outlive its transaction.
        ((row_id,),) = self._unit.session.execute(_INSERT, values).fetchall()
        return _seen_now({"id": row_id, **columns})

    def reset(self, machine_id: str, details: Mapping[str, str | None]) -> Agent:
        """Write that a known machine has been enrolled again, and return it."""
        now = self._unit.timestamp
        values = {**complete(details), "machine_id": machine_id, "now": now}
        (row,) = self._unit.session.execute(_RESET, values).fetchall()
        return _seen_now(dict(zip(COLUMNS, row)))

    def update(self, machine_id: str, details: Mapping[str, str | None]) -> None:
        """Write those *details* of a machine that are given."""
        values = {**complete(details), "machine_id": machine_id}
        self._unit.session.execute(_UPDATE, values)

    def mark_uninstalled(self, machine_id: str, reason: str | None) -> None:
        self._unit.session.execute(
            _UNINSTALL,
            {"machine_id": machine_id, "reason": reason, "now": self._unit.timestamp},
        )


def by_id(machine_id: str) -> dict[str, str]:
    """Return the values for :data:`BY_ID`."""
    return {"sent": machine_id, "trimmed": machine_id.strip()}


def agent_of(row: Sequence[Any]) -> Agent:
    """Return the agent in a *row* that :data:`SELECT` gives."""
    agent = dict(zip(_AGENT, row))
    agent["suspected_clone"] = bool(agent["suspected_clone"])
    return cast(Agent, agent)


def complete(details: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return *details* with None for each that is not given."""
    if not details.keys() <= _DETAILS:
        unknown = ", ".join(sorted(details.keys() - _DETAILS))
        raise TypeError(f"not a detail of a machine: {unknown}")
    return {**_NO_DETAILS, **details}


_DETAILS = set(DETAILS)
_NO_DETAILS: dict[str, str | None] = dict.fromkeys(DETAILS)


def _seen_now(columns: dict[str, Any]) -> Agent:
    """Return the agent of a row that has just been enrolled.

    It is online whatever intervals were told, and its enrollment has no clone yet:
    nothing has to be looked up.
    """
    return cast(Agent, {**columns, "presence": "online", "suspected_clone": False})
