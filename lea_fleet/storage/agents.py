"""Machines: rows of ``enrolled_agents``, to which an older server may write too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from ..core.machine import COLUMNS, DETAILS, look, stored_form
from ..core.problems import MachineBlocked, MachineUninstalled, UnknownAgent
from ..core.rows import Agent
from .blocks import BLOCKED
from .clones import SUSPECTED
from .interface import Dialect
from .intervals import Intervals
from .presence import Presence
from .releases import PENDING
from .unit_of_work import Repository


def in_utc(column: str) -> str:
    """Return the expression for the timestamp in *column*, brought to UTC.

    Another program may have written another offset, for which each engine has a
    function; our own timestamps, of which the 27th character begins the offset, need
    no call.
    """
    return (
        f"CASE WHEN substr({column}, 27) = '+00:00' THEN {column}"
        f" ELSE lea_fleet_in_utc({column}) END"
    )


#: When a machine was last seen or, if it never was, enrolled.
SEEN = in_utc("coalesce(last_seen_at, enrolled_at)")

# The only definition of presence. It is in SQL so that a listing of the whole fleet
# needs no Python for each row. PresenceRule computes the two timestamps.
PRESENCE = f"""CASE WHEN status = 'active' THEN CASE
    WHEN {PENDING} THEN 'pending'
    WHEN {SEEN} >= :online_since THEN 'online'
    WHEN {SEEN} >= :stale_before THEN 'offline'
    ELSE 'stale'
  END ELSE 'uninstalled' END"""

# Any column of this table may hold any type, and JSON cannot hold a BLOB.
AS_TEXT = {name: f"CAST({name} AS TEXT)" for name in COLUMNS} | {"id": "id"}
_ROW = ", ".join(f"{value} AS {name}" for name, value in AS_TEXT.items())

#: What agent_of() converts, of rows of ``enrolled_agents``.
AGENT = f"{_ROW}, {PRESENCE} AS presence, {SUSPECTED} AS suspected_clone"
SELECT = f"SELECT {AGENT} FROM enrolled_agents"
_AGENT = (*COLUMNS, "presence", "suspected_clone")

#: Finds the machine by the id as sent or, failing that, in the form of new ids.
BY_ID = (
    "machine_id IN (:sent, :trimmed)"
    " ORDER BY CASE WHEN machine_id = :sent THEN 0 ELSE 1 END LIMIT 1"
)

# One query for both, since PostgreSQL answers it in one round trip.
_IS_KNOWN = (
    f"SELECT EXISTS ({BLOCKED}), EXISTS"
    " (SELECT 1 FROM enrolled_agents WHERE machine_id = :sent)"
)
_IS_KNOWN_EITHER_WAY = f"{_IS_KNOWN[:-1]} OR machine_id = :trimmed)"

_UNINSTALL = (
    "UPDATE enrolled_agents SET status = 'uninstalled', uninstalled_at = :now,"
    " uninstall_reason = :reason WHERE machine_id = :machine_id"
)


@cache
def _insert(dialect: Dialect) -> str:
    names = [*dialect.with_keys(dict.fromkeys(["machine_id", *DETAILS]))]
    names += ["enrolled_at", "last_seen_at"]
    values = ", ".join(f":{name}" for name in names)
    return (
        f"INSERT INTO enrolled_agents ({', '.join(names)}) VALUES ({values})"
        " ON CONFLICT (machine_id) DO NOTHING RETURNING id"
    )


@cache
def _reset(dialect: Dialect) -> str:
    return (
        "UPDATE enrolled_agents SET status = 'active', enrolled_at = :now,"
        " last_seen_at = :now, uninstalled_at = NULL, uninstall_reason = NULL,"
        f" {_given(dialect)} WHERE machine_id = :machine_id RETURNING {_ROW}"
    )


@cache
def _update(dialect: Dialect) -> str:
    return (
        f"UPDATE enrolled_agents SET {_given(dialect)} WHERE machine_id = :machine_id"
    )


def _given(dialect: Dialect) -> str:
    """Return what sets the columns of given details; the others keep their values."""
    names = dialect.with_keys(dict.fromkeys(DETAILS))
    return ", ".join(f"{name} = coalesce(:{name}, {name})" for name in names)


class Agents(Repository):
    """Find single machines, and write their enrollments and uninstalls."""

    def find(self, machine_id: str) -> Agent | None:
        """Return the agent with that id, as sent or trimmed, or None."""
        limits = self._unit.limits(Intervals(self._unit).longest_in_use())
        values = {**limits, **by_id(machine_id)}
        row = self._unit.session.execute(f"{SELECT} WHERE {BY_ID}", values).fetchone()
        return None if row is None else agent_of(row)

    def is_known(self, machine_id: str) -> bool:
        """Return whether :meth:`find` would find an agent, with a cheaper query.

        Raises MachineBlocked for a machine that may not be enrolled.
        """
        trimmed = stored_form(machine_id)
        # Most ids are sent as they are stored; the shorter query saves 5 µs.
        query = _IS_KNOWN if trimmed == machine_id else _IS_KNOWN_EITHER_WAY
        values = {"sent": machine_id, "trimmed": trimmed, "look": look(machine_id)}
        is_blocked, is_known = self._unit.session.execute(query, values).fetchone()
        if is_blocked:
            raise MachineBlocked(machine_id)
        return bool(is_known)

    def require(self, machine_id: str) -> Agent:
        """Return the agent with that id. Raises UnknownAgent if there is none."""
        agent = self.find(machine_id)
        if agent is None:
            raise UnknownAgent(machine_id)
        return agent

    def require_active(self, machine_id: str) -> Agent:
        """Return the active agent with that id.

        Raises UnknownAgent, or MachineUninstalled if it is not active.
        """
        agent = self.require(machine_id)
        if agent["status"] != "active":
            raise MachineUninstalled(agent)
        return agent

    def ids_from(self, beginning: str) -> Iterator[str]:
        """Yield up to 1,000 machine ids that start with *beginning*, in order."""
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
    ) -> Agent | None:
        """Insert a new machine and return it. An imported one is not *seen* yet.

        Return None if another transaction has inserted it in the meantime; its row is
        locked then.
        """
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
        # fetchall(), since an unfinished statement would stay open after COMMIT.
        dialect = self._unit.dialect
        rows = self._unit.session.execute(
            _insert(dialect), dialect.with_keys(columns)
        ).fetchall()
        if not rows:
            self._unit.lock(machine_id)
            return None
        return _just_written({"id": rows[0][0], **columns})

    def reset(self, machine_id: str, details: Mapping[str, str | None]) -> Agent:
        """Mark a known machine as enrolled again, and return it.

        In which hours it was seen before is forgotten.
        """
        now = self._unit.timestamp
        Presence(self._unit).forget(machine_id)
        dialect = self._unit.dialect
        given = dialect.with_keys(complete(details))
        values = {**given, "machine_id": machine_id, "now": now}
        (row,) = self._unit.session.execute(_reset(dialect), values).fetchall()
        return _just_written(dict(zip(COLUMNS, row)))

    def update(self, machine_id: str, details: Mapping[str, str | None]) -> None:
        """Update the *details* of a machine that are given."""
        dialect = self._unit.dialect
        values = {**dialect.with_keys(complete(details)), "machine_id": machine_id}
        self._unit.session.execute(_update(dialect), values)
        dialect.note_change(self._unit.session, machine_id)

    def mark_uninstalled(self, machine_id: str, reason: str | None) -> None:
        """Mark a machine as uninstalled now. It must exist.

        In which hours it was seen is forgotten.
        """
        Presence(self._unit).forget(machine_id)
        self._unit.session.execute(
            _UNINSTALL,
            {"machine_id": machine_id, "reason": reason, "now": self._unit.timestamp},
        )


def by_id(machine_id: str) -> dict[str, str]:
    """Return the query parameters of :data:`BY_ID`."""
    return {"sent": machine_id, "trimmed": stored_form(machine_id)}


def agent_of(row: Sequence[Any]) -> Agent:
    """Convert a *row* of :data:`SELECT` to an agent."""
    agent = dict(zip(_AGENT, row))
    agent["suspected_clone"] = bool(agent["suspected_clone"])
    return cast(Agent, agent)


def complete(details: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return *details* with None for each one that is not given.

    Raises TypeError for a name that is not a detail of a machine.
    """
    if not details.keys() <= _DETAILS:
        unknown = ", ".join(sorted(details.keys() - _DETAILS))
        raise TypeError(f"not a detail of a machine: {unknown}")
    return {**_NO_DETAILS, **details}


_DETAILS = set(DETAILS)
_NO_DETAILS: dict[str, str | None] = dict.fromkeys(DETAILS)


def _just_written(columns: dict[str, Any]) -> Agent:
    """Return the agent for a row that was just enrolled or imported.

    No lookup is needed: if seen, it is online whatever heartbeat interval agents were
    told, and a new enrollment has no suspected clone.
    """
    presence = "pending" if columns["last_seen_at"] is None else "online"
    return cast(Agent, {**columns, "presence": presence, "suspected_clone": False})
