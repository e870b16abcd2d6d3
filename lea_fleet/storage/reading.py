"""A machine as it stands: a row of ``enrolled_agents``, read only."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from ..core import clock
from ..core.machine import COLUMNS
from ..core.presence import PresenceRule
from ..core.problems import MachineUninstalled, UnknownAgent
from .sqlite.transactions import snapshot
from .clones import SUSPECTED, clone_since
from .intervals import IntervalRepository

#: An agent as a mapping: every column of its row, ``presence`` and
#: ``suspected_clone``.
Agent = dict[str, Any]

# The one place that says what presence is. In SQL, so that a listing of the
# whole fleet needs no Python for each row; PresenceRule gives the two instants.
PRESENCE = """CASE
    WHEN status IS NOT 'active' THEN 'uninstalled'
    WHEN coalesce(last_seen_at, enrolled_at) >= :online_since THEN 'online'
    WHEN coalesce(last_seen_at, enrolled_at) >= :stale_before THEN 'offline'
    ELSE 'stale'
  END"""

# The host's table takes any type in any column, and JSON takes no BLOB.
AS_TEXT = {name: f"CAST({name} AS TEXT)" for name in COLUMNS} | {"id": "id"}
NAMED = ", ".join(f"{value} AS {name}" for name, value in AS_TEXT.items())

#: An agent as SQL has it: what SELECT and RETURNING name.
AGENT = f"{NAMED}, {PRESENCE} AS presence, {SUSPECTED} AS suspected_clone"
SELECT = f"SELECT {AGENT} FROM enrolled_agents"


class AgentReader:
    """What may be asked of one machine, over one open *connection*.

    Every method may raise sqlite3.Error.
    """

    def __init__(
        self, connection: sqlite3.Connection, rule: PresenceRule | None = None
    ) -> None:
        self.connection = connection
        self.rule = rule or PresenceRule()

    @cached_property
    def intervals(self) -> IntervalRepository:
        return IntervalRepository(self.connection, self.rule)

    def get(self, machine_id: str) -> Agent | None:
        """Return the agent that is stored under that id, or None.

        Else under that id trimmed, as a new machine's is when it enrols.
        """
        for name in dict.fromkeys((machine_id, machine_id.strip())):
            query = f"{SELECT} WHERE machine_id = :machine_id"
            row = self._read(query, machine_id=name).fetchone()
            if row is not None:
                return agent_of(row)
        return None

    def is_known(self, machine_id: str) -> bool:
        """Tell whether :meth:`get` would find an agent, for less."""
        query = "SELECT 1 FROM enrolled_agents WHERE machine_id IN (?, ?)"
        names = (machine_id, machine_id.strip())
        return self.connection.execute(query, names).fetchone() is not None

    def ids_from(self, beginning: str) -> Iterator[str]:
        """Yield the ids that begin so, in their order; a thousand at the most."""
        rows = self.connection.execute(
            "SELECT CAST(machine_id AS TEXT) FROM enrolled_agents"
            " WHERE machine_id >= ? AND machine_id < ? ORDER BY machine_id LIMIT 1000",
            (beginning, beginning + chr(sys.maxunicode)),
        )
        for (machine_id,) in rows:
            yield machine_id

    def require(self, machine_id: str) -> Agent:
        """Return the agent of that id. Raises UnknownAgent."""
        agent = self.get(machine_id)
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

    def snapshot(self) -> AbstractContextManager[None]:
        """Return a context in which everything read is of one moment."""
        return snapshot(self.connection)

    def _read(self, query: str, **values: Any) -> sqlite3.Cursor:
        """Run *query*, which shows agents."""
        return self._run(query, self.intervals.lately(), values)

    def _run(
        self, query: str, interval: int, values: Mapping[str, Any]
    ) -> sqlite3.Cursor:
        limits = self.rule.limits(clock.now(), interval)
        now = clock.iso(clock.now())
        return self.connection.execute(
            query, {**limits, "clone_since": clone_since(), "now": now, **values}
        )


def agent_of(row: sqlite3.Row) -> Agent:
    """Return the agent in a *row* that SELECT gives."""
    agent = dict(zip(row.keys(), row))
    return {**agent, "suspected_clone": bool(agent["suspected_clone"])}
