"""Erase personal data from rows and events, without deleting the rows and events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.event_types import Holds
from ..core.event_details import side
from ..core.privacy.addresses import mentions, names
from ..core.privacy.erasure import (
    Identity,
    Plan,
    Summary,
    Written,
    of_machine,
    of_person,
)
from ..core.privacy.ownership import History
from ..core.problems import UnknownAgent
from .agents import Agents
from .attempts import attempts
from .batches import STEP, Steps, in_steps
from .blocks import Blocks
from .events import Events
from .notes import Notes
from .presence import Presence
from .refused import Refused
from .selections import Selections
from .tags import Tags
from .unit_of_work import UnitOfWork
from .views import Views

#: Prefix of an operator in lea_fleet_enrollments.credential; see auth/principals.py.
_OPERATOR = "operator:"


class Erasure:
    """Plan what to erase, and erase it.

    ``done`` lists the summaries of the plans that were carried out.
    """

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._agents = Agents(unit)
        self._events = Events(unit)
        self._blocks = Blocks(unit)
        self._refused = Refused(unit)
        self._notes = Notes(unit)
        self._tags = Tags(unit)
        self._presence = Presence(unit)
        self.done: list[Summary] = []

    def known(self, machine_id: str) -> str:
        """Return the id under which a machine is stored, or what is known without it.

        That is its events, its block, its refusals and its note. Raises UnknownAgent
        if there is nothing.
        """
        agent = self._agents.find(machine_id)
        if agent is not None:
            return str(agent["machine_id"])
        if not (
            self._events.history(machine_id)
            or self._blocks.find(machine_id)
            or self._refused.said_by(machine_id)
            or self._notes.of(machine_id)
        ):
            raise UnknownAgent(machine_id)
        return machine_id

    def history(self, machine_id: str | None, person: str = "") -> History:
        """Return the row and events of a machine; for None, events about no machine.

        *person* is the one whose data is looked for, if it is not everybody's.
        """
        row = None if machine_id is None else self._agents.find(machine_id)
        return History(row, self._events.history(machine_id), person)

    def identities(self, machine_id: str | None) -> list[Identity]:
        """Return the hostnames and users that a machine recently stopped reporting."""
        rows = self._unit.session.execute(
            "SELECT name, value FROM lea_fleet_identities"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine_id},
        )
        return [(name, value) for name, value in rows]

    def of_machines(self, machine_ids: Iterable[str | None]) -> Iterator[Plan]:
        """Yield a plan for each machine, of what there is to erase now."""
        for machine_id in filter(None, machine_ids):
            history = self.history(machine_id)
            known = self.identities(machine_id), self._refused.said_by(machine_id)
            written = self._written(machine_id), self._presence.count(machine_id)
            yield of_machine(machine_id, history, *known, *written)

    def of_person(
        self, email: str, machine_ids: Iterable[str | None]
    ) -> Iterator[Plan]:
        """Yield a plan for each machine, of what there is to erase about a person.

        *machine_ids* come from :func:`.naming.machines_naming`; None is for events
        about no machine.
        """
        for machine_id in machine_ids:
            history = self.history(machine_id, email)
            known = self.identities(machine_id), self._refused.said_by(machine_id)
            written = self._written(machine_id), self._presence.count(machine_id)
            yield of_person(machine_id, history, *known, email, *written)

    def _written(self, machine_id: str | None) -> Written:
        if machine_id is None:
            return Written()
        return Written(
            self._blocks.reason(machine_id),
            self._notes.of(machine_id),
            self._tags.of(machine_id),
        )

    def erase(
        self,
        machine_ids: Iterable[str | None],
        plans: Callable[[list[str | None]], Iterator[Plan]],
    ) -> None:
        """Make and carry out the *plans* of each machine in the same transaction."""
        acts: set[str] = set()  # of operators, in events of any machine

        def work(batch: list[str | None]) -> Steps[Summary]:
            return self._carried_out(plans(batch), acts)

        in_steps(self._unit, machine_ids, work, self.done, self._events.take_turn)

    def forget(self, email: str) -> None:
        """Erase a person from rows that are not about a machine.

        These are labels and tags of enrollment tokens, names of operators, whose tokens
        stay valid, saved views, selections, and operators whose enrollment requests are
        kept to repeat a lost response.
        """
        for attempt in attempts(self._unit):
            with attempt, self._unit.transaction():
                self._forget(email)

    def _forget(self, email: str) -> None:
        Views(self._unit).erase(email)
        Selections(self._unit).clear()
        for label in self._distinct("label", "lea_fleet_enrollment_tokens"):
            if mentions(label, email):
                self._unit.session.execute(
                    "UPDATE lea_fleet_enrollment_tokens SET label = ''"
                    " WHERE label = :label",
                    {"label": label},
                )
        for tags in self._distinct("tags", "lea_fleet_enrollment_tokens"):
            known = json.loads(tags)
            kept = [tag for tag in known if not mentions(tag, email)]
            if kept != known:
                self._unit.session.execute(
                    "UPDATE lea_fleet_enrollment_tokens SET tags = :kept"
                    " WHERE tags = :tags",
                    {"kept": json.dumps(kept), "tags": tags},
                )
        for name in self._distinct("name", "lea_fleet_operators"):
            if mentions(name, email):
                self._unit.session.execute(
                    "UPDATE lea_fleet_operators SET name = '' WHERE name = :name",
                    {"name": name},
                )
        for credential in self._distinct("credential", "lea_fleet_enrollments"):
            operator = credential.removeprefix(_OPERATOR)
            if operator != credential and names(operator, email):
                self._unit.session.execute(
                    "DELETE FROM lea_fleet_enrollments WHERE credential = :credential",
                    {"credential": credential},
                )

    def _distinct(self, column: str, table: str) -> list[str]:
        rows = self._unit.session.execute(f"SELECT DISTINCT {column} FROM {table}")
        return [value for (value,) in rows]

    def _carried_out(self, plans: Iterator[Plan], acts: set[str]) -> Steps[Summary]:
        for plan in plans:
            if not plan.fields:
                yield 1, []
                continue
            # Events that show whose the machine was are rewritten last: after an
            # interruption, the next run can still find that out.
            events = sorted(plan.events, key=_order)
            while len(events) > STEP:
                self._events.rewrite(events[:STEP])
                events = events[STEP:]
                yield STEP, []
            self._events.rewrite(events)
            self._erase_row(plan)
            if plan.is_of_an_operator:
                acts |= plan.fields
            else:
                self._note(plan.machine_id, plan.fields)
            yield 1 + len(events), [plan.summary()]
        if acts:
            self._note(None, acts)
            acts.clear()

    def _erase_row(self, plan: Plan) -> None:
        if plan.machine_id is not None:
            self._unit.dialect.forget(self._unit.session, plan.machine_id)
        if plan.columns and plan.enrolled_at is not None:
            columns = self._unit.dialect.with_keys(dict.fromkeys(plan.columns))
            nothing = ", ".join(f"{name} = NULL" for name in columns)
            self._unit.session.execute(
                # enrolled_at: not if the machine has re-enrolled in the meantime.
                f"UPDATE enrolled_agents SET {nothing}"
                " WHERE machine_id = :machine_id AND enrolled_at = :enrolled_at",
                {"machine_id": plan.machine_id, "enrolled_at": plan.enrolled_at},
            )
        self._unit.session.executemany(
            "DELETE FROM lea_fleet_identities"
            " WHERE machine_id = :machine_id AND name = :name AND value = :value",
            [
                {"machine_id": plan.machine_id, "name": name, "value": value}
                for name, value in plan.identities
            ],
        )
        self._refused.erase(plan.refused)
        if plan.machine_id is not None:
            self._erase_written(plan, plan.machine_id)

    def _erase_written(self, plan: Plan, machine_id: str) -> None:
        if plan.takes_block:
            self._blocks.set_reason(machine_id, None)
        if plan.takes_author:
            self._notes.forget_author(machine_id)
        if plan.takes_note:
            self._notes.remove(machine_id)
        self._tags.erase(machine_id, plan.tags)
        if plan.presence:
            self._presence.forget(machine_id)

    def _note(self, machine_id: str | None, fields: Iterable[str]) -> None:
        self._events.add("erased", machine_id, fields=sorted(fields))


def _order(event: Mapping[str, Any]) -> tuple[bool, bool]:
    """Sort key that puts last the events that show whose the machine was."""
    before, after = (side(event["detail"], of) for of in (Holds.BEFORE, Holds.AFTER))
    return bool(before or after), "user_email" in after
