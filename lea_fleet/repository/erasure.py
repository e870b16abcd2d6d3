"""Takes what is personal out of the rows and the history; both stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..erasure import Identity, Plan, of_machine, of_person
from ..holders import History
from ..problems import UnknownAgent
from ..redaction import folded
from .agents import AgentRepository

#: Rows that are written in one transaction, at the most: others wait for it.
STEP = 1000

#: How lea_fleet_enrollments names an operator; see principal.py.
_OPERATOR = "operator:"

# Where a person may be named: all that is left to read of a long history.
_MENTIONS = """SELECT machine_id, actor || detail AS said FROM lea_fleet_events
  WHERE event IN ('identity_changed', 'uninstalled',
    'enrollment_token_created', 'enrollment_token_revoked')
  OR actor LIKE '%"user"%' OR actor LIKE '%"os_user"%'"""


class ErasureRepository:
    """Makes plans and carries them out, over the connection of a *repository*.

    ``rows`` counts what was changed and deleted, by table; ``machines`` has the ids
    of the machines from which something was taken.
    """

    def __init__(self, repository: AgentRepository) -> None:
        self._repository = repository
        self._connection = repository.connection
        self.rows: Counter[str] = Counter()
        self.machines: list[str] = []

    def known(self, machine_id: str) -> str:
        """Return the id under which a machine is stored, or its history alone is.

        Raises UnknownAgent.
        """
        agent = self._repository.get(machine_id)
        if agent is not None:
            return str(agent["machine_id"])
        if not self._repository.events.history(machine_id):
            raise UnknownAgent(machine_id)
        return machine_id

    def history(self, machine_id: str | None) -> History:
        """Return what is known of a machine; None is for the events about none."""
        row = None if machine_id is None else self._repository.get(machine_id)
        return History(row, self._repository.events.history(machine_id))

    def identities(self, machine_id: str | None) -> list[Identity]:
        """Return what a machine has lately given up."""
        rows = self._connection.execute(
            "SELECT name, value FROM lea_fleet_identities WHERE machine_id = ?",
            (machine_id,),
        )
        return [(name, value) for name, value in rows]

    def plan_machine(self, machine_id: str) -> Plan:
        history = self.history(machine_id)
        return of_machine(machine_id, history, self.identities(machine_id))

    def plan_person(self, machine_id: str | None, email: str) -> Plan:
        history = self.history(machine_id)
        return of_person(machine_id, history, self.identities(machine_id), email)
