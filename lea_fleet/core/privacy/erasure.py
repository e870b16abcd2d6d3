"""Plan which personal data of a machine or of a person to erase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..identity import is_longer_spelling
from ..machine import PERSONAL
from ..rows import Note
from ..text import folded
from .addresses import is_one_of, names
from .ownership import History, everything
from .redaction import Redaction

#: A former value of a machine: the name of its column, and the value.
Identity = tuple[str, str]


class Written(NamedTuple):
    """What operators have written about a machine."""

    #: The reason of its block, if it is blocked for one.
    reason: str | None = None
    note: Note | None = None
    tags: Sequence[str] = ()


class Said(NamedTuple):
    """What a refused machine has said: the key of its row, hostname and address."""

    enrollment_token: int
    look: str
    code: str
    hostname: str | None
    address: str | None

    @property
    def fields(self) -> set[str]:
        """The kinds of personal data in it."""
        told = {"hostname": self.hostname, "address": self.address}
        return {name for name, value in told.items() if value is not None}


#: ``machine_id, active, fields, rows`` of a plan.
Summary = dict[str, Any]

_REASON = "uninstall_reason"

#: The columns about a machine's user. They stay in the row after the user has left,
#: until the machine reports other values.
OF_A_USER = ("user_name", "user_id")

#: The kinds of data that are erased with an operator's name.
_OF_AN_OPERATOR = {"operator", "address"}


@dataclass
class Plan:
    """What to erase of one machine's row and events.

    *columns* of the row become null, *events* replace the stored ones, *identities*
    and *tags* are deleted, and so are the reason of a block if *takes_block*, the note
    if *takes_note* and its author if *takes_author*; what *refused* machines have said
    becomes null. *presence* is the number of days of its presence, all of which are
    deleted, or 0. *fields* names the kinds of data that are erased.
    *enrolled_at* is copied from the row; *is_active* tells whether it is active.
    """

    machine_id: str | None
    enrolled_at: str | None = None
    is_active: bool = False
    columns: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    takes_block: bool = False
    takes_note: bool = False
    takes_author: bool = False
    tags: list[str] = field(default_factory=list)
    refused: list[Said] = field(default_factory=list)
    presence: int = 0
    fields: set[str] = field(default_factory=set)

    @property
    def is_of_an_operator(self) -> bool:
        """Whether only the name of an operator is erased."""
        return "operator" in self.fields <= _OF_AN_OPERATOR

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows that are changed or deleted, by table."""
        counted = {
            "enrolled_agents": int(bool(self.columns)),
            "lea_fleet_events": len(self.events),
            "lea_fleet_identities": len(self.identities),
            "lea_fleet_blocks": int(self.takes_block),
            "lea_fleet_refused": len(self.refused),
            "lea_fleet_notes": int(self.takes_note or self.takes_author),
            "lea_fleet_tags": len(self.tags),
            "lea_fleet_presence": self.presence,
        }
        return {table: count for table, count in counted.items() if count}

    def add_refused(self, refused: Iterable[Said]) -> None:
        """Erase what refused machines have said."""
        self.refused = [each for each in refused if each.fields]
        for each in self.refused:
            self.fields |= each.fields

    def add_presence(self, days: int) -> None:
        """Delete the *days* of the machine's presence, if there are any."""
        self.presence = days
        self.fields |= {"presence"} if days else set()

    def summary(self) -> Summary:
        """Return a summary of the plan, without the values that are erased."""
        return {
            "machine_id": self.machine_id,
            "active": self.is_active,
            "fields": sorted(self.fields),
            "rows": self.rows,
        }


def total(summaries: Iterable[Summary]) -> dict[str, int]:
    """Return the number of rows of each table, summed over *summaries*."""
    counted: Counter[str] = Counter()
    for summary in summaries:
        counted.update(summary["rows"])
    return dict(counted)


def of_machine(
    machine_id: str,
    history: History,
    identities: Sequence[Identity],
    refused: Sequence[Said],
    written: Written = Written(),
    presence: int = 0,
) -> Plan:
    """Plan to erase all personal data of a machine, of every user that it had.

    The names of operators who acted on it stay.
    """
    redaction = Redaction(
        values=everything(history), before=True, after=True, address=True
    )
    plan = Plan(machine_id, identities=list(identities))
    _plan_events(plan, history, lambda number: redaction)
    _plan_row(plan, history, redaction, lambda name, value: True)
    _plan_written(plan, redaction, written, is_theirs=True)
    plan.fields |= {name for name, _ in identities}
    plan.add_refused(refused)
    plan.add_presence(presence)
    return plan


def of_person(
    machine_id: str | None,
    history: History,
    identities: Sequence[Identity],
    refused: Sequence[Said],
    email: str,
    written: Written = Written(),
    presence: int = 0,
) -> Plan:
    """Plan to erase the data of the person with that *email*, for whom *history* is.

    Their name as an operator is erased too, and the note about a machine that is
    theirs. What the machine reported only while others
    had it stays; so does the hostname in the row if somebody else has the machine now.
    """
    everywhere = Redaction(values=history.of(email) | {email})
    plan = Plan(machine_id)
    _plan_events(plan, history, lambda number: history.redaction(email, number))

    def is_theirs(name: str, value: object) -> bool:
        left = name in OF_A_USER and is_one_of(value, everywhere.values)
        return left or history.holder == email

    _plan_row(plan, history, everywhere, is_theirs)
    _plan_written(plan, everywhere, written, is_theirs=history.holder == email)
    if written.note is not None and names(written.note["author"], email):
        plan.takes_author = True
        plan.fields.add("operator")
    others = history.of_others(email)

    def is_named(name: str, value: str | None) -> bool:
        return is_one_of(value, everywhere.values) or (
            name == "hostname"
            and value not in others
            and is_longer_spelling(value, everywhere.values)
        )

    plan.identities = [each for each in identities if is_named(*each)]
    plan.fields |= {name for name, _ in plan.identities}
    plan.add_refused(
        each
        for each in refused
        if history.holder == email or is_named("hostname", folded(each.hostname))
    )
    plan.add_presence(presence if history.is_user(email) else 0)
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
    filled = {name: row[name] for name in PERSONAL if row[name] is not None}
    plan.columns = [name for name, value in filled.items() if takes(name, value)]
    plan.fields |= set(plan.columns)
    if redaction.is_in(row[_REASON]):
        plan.columns.append(_REASON)
        plan.fields.add("reason")


def _plan_written(
    plan: Plan, redaction: Redaction, written: Written, *, is_theirs: bool
) -> None:
    if redaction.is_in(written.reason):
        plan.takes_block = True
        plan.fields.add("reason")
    if written.note and (is_theirs or redaction.is_in(written.note["text"])):
        plan.takes_note = True
        plan.fields.add("note")
    plan.tags = [tag for tag in written.tags if redaction.is_in(tag)]
    if plan.tags:
        plan.fields.add("tags")
