"""Machines from elsewhere: known before their installer comes, and let through then."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Literal

from ..core import clock
from ..core.machine import DETAILS, new_machine_id
from .events import EventRepository
from .reading import AS_TEXT
from .releases import ReleaseRepository
from .agent_tokens import LIVE_TOKEN
from .writing import SET_GIVEN, complete

#: What an import does with a machine.
#:
#: ``imported``: it is new. ``adopted``: it is active without a token, as an older
#: server leaves it. ``updated``, ``unchanged``: it was imported or adopted before, and
#: has not been enrolled since. The rest is left alone: ``enrolled``, it has a token;
#: ``uninstalled``, which any enrolment brings back.
Outcome = Literal[
    "imported", "adopted", "updated", "unchanged", "enrolled", "uninstalled"
]

#: Those that change something.
CHANGES: tuple[Outcome, ...] = ("imported", "adopted", "updated")

_KNOWN = ("machine_id", *DETAILS, "status", "enrolled_at")
_FIND = (
    f"SELECT {', '.join(f'{AS_TEXT[name]} AS {name}' for name in _KNOWN)},"
    f" EXISTS ({LIVE_TOKEN}) AS has_token FROM enrolled_agents AS agent"
    " WHERE machine_id IN (:sent, :trimmed) ORDER BY machine_id = :sent DESC LIMIT 1"
)
_INSERT = (
    f"INSERT INTO enrolled_agents (machine_id, {', '.join(DETAILS)}, enrolled_at)"
    f" VALUES (:machine_id, {', '.join(f':{name}' for name in DETAILS)}, :enrolled_at)"
)
_UPDATE = f"UPDATE enrolled_agents SET {SET_GIVEN} WHERE machine_id = :machine_id"


class ImportRepository:
    """What imports do, over one open *connection*.

    What writes is a part of the transaction that is open.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        events: EventRepository,
        releases: ReleaseRepository,
    ) -> None:
        self.connection = connection
        self._events = events
        self._releases = releases

    def foresee(self, machine_id: str, details: Mapping[str, str | None]) -> Outcome:
        """Return what :meth:`add` would do. Raises InvalidField as it does."""
        known = self._find(machine_id)
        if known is None:
            new_machine_id(machine_id)
            return "imported"
        return self._outcome(known, details)

    def add(self, machine_id: str, details: Mapping[str, str | None]) -> Outcome:
        """Make a machine known, and let an enrolment through; return what that did.

        Of *details*, one that is None or not given keeps its old value. Done again
        with the same, it changes nothing.

        Raises InvalidField for a new *machine_id* that cannot be.
        """
        known = self._find(machine_id)
        if known is None:
            return self._insert(new_machine_id(machine_id), details)
        outcome = self._outcome(known, details)
        if outcome not in CHANGES:
            return outcome
        values = {**complete(details), "machine_id": known["machine_id"]}
        self.connection.execute(_UPDATE, values)
        if outcome == "adopted":
            self._releases.add_endless(known)
        self._record(outcome, known["machine_id"], details)
        return outcome

    def _find(self, machine_id: str) -> dict[str, Any] | None:
        names = {"sent": machine_id, "trimmed": machine_id.strip()}
        row = self.connection.execute(_FIND, names).fetchone()
        return None if row is None else dict(zip((*_KNOWN, "has_token"), row))

    def _outcome(
        self, known: Mapping[str, Any], details: Mapping[str, str | None]
    ) -> Outcome:
        if known["status"] != "active":
            return "uninstalled"
        if known["has_token"]:
            return "enrolled"
        if not self._releases.is_endless(known):
            return "adopted"
        given = {name: value for name, value in details.items() if value is not None}
        is_same = all(known[name] == value for name, value in given.items())
        return "unchanged" if is_same else "updated"

    def _insert(self, machine_id: str, details: Mapping[str, str | None]) -> Outcome:
        new = {"machine_id": machine_id, "enrolled_at": clock.iso(clock.now())}
        self.connection.execute(_INSERT, {**complete(details), **new})
        self._releases.add_endless(new)
        self._record("imported", machine_id, details)
        return "imported"

    def _record(
        self, outcome: Outcome, machine_id: str, details: Mapping[str, str | None]
    ) -> None:
        because = {} if outcome == "imported" else {"because": outcome}
        version = details.get("version")
        self._events.add("imported", machine_id, version=version, **because)
