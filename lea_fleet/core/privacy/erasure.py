"""What there is to erase of a machine, or of a person. Knows no Flask and no SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .ownership import History, everything
from ..machine import PERSONAL
from ..text import folded
from .redaction import Redaction

#: A value that a machine gave up: the name of its column, and what it was.
Identity = tuple[str, str]

#: ``machine_id, active, fields, rows`` of a plan.
Summary = dict[str, Any]

_REASON = "uninstall_reason"

#: What a machine says of its user; it stays on the machine's row when the user goes,
#: until the next one says something else.
_OF_A_USER = ("user_name", "user_id")

#: What is taken where an operator's name is.
_OF_AN_OPERATOR = {"operator", "address"}


@dataclass
class Plan:
    """What is taken: *columns* of the row become null, *events* are rewritten as they
    are here, and *identities* are deleted. *fields* names the kinds of what is taken.
    *enrolled_at* is the enrolment that the row is in, *is_active* its status.
    """

    machine_id: str | None
    enrolled_at: str | None = None
    is_active: bool = False
    columns: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)

    @property
    def is_of_an_operator(self) -> bool:
        """Whether nothing is taken but the name of somebody who acted."""
        return "operator" in self.fields <= _OF_AN_OPERATOR

    @property
    def rows(self) -> dict[str, int]:
        """How many rows of each table change or go."""
        counted = {
            "enrolled_agents": int(bool(self.columns)),
            "lea_fleet_events": len(self.events),
            "lea_fleet_identities": len(self.identities),
        }
        return {table: count for table, count in counted.items() if count}

    def summary(self) -> Summary:
        """Return what may be told of it: nothing of what is taken."""
        return {
            "machine_id": self.machine_id,
            "active": self.is_active,
            "fields": sorted(self.fields),
            "rows": self.rows,
        }


def total(summaries: Iterable[Summary]) -> dict[str, int]:
    """Return the rows of each table in all of them together."""
    counted: Counter[str] = Counter()
    for summary in summaries:
        counted.update(summary["rows"])
    return dict(counted)


def of_machine(
    machine_id: str, history: History, identities: Sequence[Identity]
) -> Plan:
    """Plan to take all that is personal, whosever the machine was.

    The names of operators who acted on it are theirs, and stay.
    """
    redaction = Redaction(
        values=everything(history), before=True, after=True, address=True
    )
    plan = Plan(machine_id, identities=list(identities))
    _plan_events(plan, history, lambda number: redaction)
    _plan_row(plan, history, redaction, lambda name, value: True)
    plan.fields |= {name for name, _ in identities}
    return plan


def of_person(
    machine_id: str | None,
    history: History,
    identities: Sequence[Identity],
    email: str,
) -> Plan:
    """Plan to take what is of the person with that *email*, which is folded.

    Their name as an operator's too. What only others' time with the machine has
    left stays; so does a host name in the row, once the machine is another's.
    """
    everywhere = Redaction(values=history.of(email) | {email})
    plan = Plan(machine_id)
    _plan_events(plan, history, lambda number: history.redaction(email, number))

    def is_theirs(name: str, value: object) -> bool:
        left = name in _OF_A_USER and folded(value) in everywhere.values
        return left or history.holder == email

    _plan_row(plan, history, everywhere, is_theirs)
    plan.identities = [
        identity for identity in identities if folded(identity[1]) in everywhere.values
    ]
    plan.fields |= {name for name, _ in plan.identities}
    return plan


def _plan_events(
    plan: Plan, history: History, redaction: Callable[[int], Redaction]
) -> None:
    for number, event in enumerate(history.events):
        what = redaction(number)
        actor, gone = what.actor(event["actor"])
        detail, more = what.detail(event["detail"])
        if gone or more:
            plan.events.append({**event, "actor": actor, "detail": detail})
            plan.fields |= gone | more


def _plan_row(
    plan: Plan,
    history: History,
    redaction: Redaction,
    takes: Callable[[str, object], bool],
) -> None:
    row = history.row
    if row is None:
        return
    plan.enrolled_at, plan.is_active = row["enrolled_at"], row["status"] == "active"
    said = {name: row[name] for name in PERSONAL if row[name] is not None}
    plan.columns = [name for name, value in said.items() if takes(name, value)]
    plan.fields |= set(plan.columns)
    if redaction.is_in(row[_REASON]):
        plan.columns.append(_REASON)
        plan.fields.add("reason")
