"""Determine who had a machine when, from the e-mails in its row and its events.

A heartbeat that changes the user records both users in an event. An enrollment may
change the user too but records neither, so that for some events the user is uncertain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ..event_details import members, side
from ..event_types import Holds
from ..events import ENROLLMENTS, EVENTS, IdentityChanged
from ..identity import is_same
from ..machine import PERSONAL, USER
from ..text import folded, folded_all
from .addresses import names
from .redaction import Redaction

_EMAIL = "user_email"

#: The e-mails of those who may have had the machine; "" stands for an unknown user.
Holders = frozenset[str]


@dataclass
class History:
    """A machine's events, oldest first, and who may have had the machine at each.

    *row* is its current row, or None. *person* is the one whose data is looked for, if
    any: each e-mail that names them, in whatever form, counts as theirs. ``before`` and
    ``after`` list the holders before and after each event; they differ if the event
    changes the user.
    """

    row: Mapping[str, Any] | None
    events: Sequence[Mapping[str, Any]]
    person: str = ""
    before: list[Holders] = field(init=False)
    after: list[Holders] = field(init=False)
    _certain: dict[str, set[str]] = field(init=False)
    _possible: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.before, self.after = [], []
        self._certain, self._possible = defaultdict(set), defaultdict(set)
        changes = [n for n, event in enumerate(self.events) if _changes_user(event)]
        sides = [_sides(self.events[change]) for change in changes]
        starts = ["", *(self._who(after[_EMAIL]) for _, after in sides)]
        # If no user was known before, the first one named is the likeliest.
        ends = [self._who(old.get(_EMAIL) or new[_EMAIL]) for old, new in sides]
        ends.append(self.holder if self.row else starts[-1])
        enrolled = self._enrollments()
        bounds = [0, *changes, len(self.events)]
        for number, (first, last) in enumerate(zip(bounds, bounds[1:])):
            start, end = starts[number], ends[number]
            stretch = self._stretch(start, end, first, last, enrolled)
            self.before += stretch
            self.after += stretch
            if number:  # the first event of this stretch changes the user
                self.before[first] = self._giver(first, ends[number - 1])
                self.after[first] = frozenset({start})
        self._doubt_gaps(frozenset(starts) | frozenset(ends))
        self._doubt_what_was_not_recorded()
        self._attribute_values()

    @property
    def holder(self) -> str:
        """The current user by the row: a folded e-mail, or an empty string."""
        return self._who(self.row[_EMAIL]) if self.row else ""

    def is_user(self, email: str) -> bool:
        """Return whether that person is the current user, by any column of the row.

        Where another one's e-mail is stored, the other columns do not tell.
        """
        if self.holder or self.row is None:
            return self.holder == email
        return any(names(self.row[name], email) for name in USER)

    def of(self, email: str) -> frozenset[str]:
        """Return the values reported while that person may have had it, folded."""
        mine = self._certain[email]
        return frozenset(mine | self._possible[email] - self.of_others(email))

    def of_others(self, email: str) -> frozenset[str]:
        """Return the values reported while somebody else certainly had it, folded."""
        whose = self._certain.items()
        others = [values for name, values in whose if name not in (email, "")]
        return frozenset().union(*others)

    def certainly_of(self, email: str) -> frozenset[str]:
        """Return the values reported while that person certainly had it, folded."""
        return frozenset(self._certain[email])

    def only_of(self, email: str) -> frozenset[str]:
        """Return the values that were certainly that person's and nobody else's."""
        return frozenset(self._certain[email] - self.of_others(email))

    def redaction(self, email: str, number: int) -> Redaction:
        """Return what to remove from event *number* to erase the person with *email*.

        That includes values that may be theirs, but not values that were reported while
        somebody else certainly had the machine.
        """
        mine = self.of(email) | {email}
        return Redaction(
            values=mine,
            before=email in self.before[number],
            after=email in self.after[number],
            spared=self.of_others(email) - mine,
            address=email in self.after[number],
            operator=email,
        )

    def _who(self, email: object) -> str:
        """Return whom a stored *email* names: the person looked for, or its text."""
        is_theirs = self.person and names(email, self.person)
        return self.person if is_theirs else folded(email)

    def _giver(self, change: int, end: str) -> Holders:
        """Return who had the machine before an event that changes the user."""
        email, _ = _sides(self.events[change])
        return frozenset({end} if email.get(_EMAIL) else {"", end})

    def _stretch(
        self, start: str, end: str, first: int, last: int, enrolled: Sequence[int]
    ) -> list[Holders]:
        """Return who may have the machine after each event from *first* to *last*.

        *start* has it at first and *end* at last; an enrollment in between may have
        changed the user.
        """
        # An enrollment before the first event belongs to the previous stretch.
        begin = first + (first < last and _changes_user(self.events[first]))
        enrollments = [n for n in enrolled if begin <= n <= last]
        holders = [frozenset({start, end})] * (last - first)
        if enrollments:
            mine = enrollments[0] - first if start else 0
            holders[:mine] = [frozenset({start})] * mine
            rest = last - enrollments[-1]
            holders[len(holders) - rest :] = [frozenset({end})] * rest
        return holders

    def _doubt_gaps(self, everyone: Holders) -> None:
        """Let *everyone* be a possible user where the history has a gap.

        A user who comes back records no event, so that a later event may tell of values
        that differ from those known until then. The next change of the user ends that.
        """
        known: dict[str, Any] = {}
        in_doubt = False
        for number, event in enumerate(self.events):
            if _may_change_user(event):
                known = {}
            before, after = _sides(event)
            gap = any(
                name in known and not is_same(name, known[name], value)
                for name, value in before.items()
            )
            if in_doubt or gap:
                self.before[number] = everyone
            in_doubt = (in_doubt or gap) and not _changes_user(event)
            if in_doubt:
                self.after[number] = everyone
            known = {**known, **after}

    def _enrollments(self) -> list[int]:
        """Return the numbers of the events at which an enrollment takes effect."""
        found = {n for n, event in enumerate(self.events) if _may_change_user(event)}
        if self.row is not None:
            # An older server records no event; it only updates the row's enrolled_at.
            since = self.row["enrolled_at"]
            found.add(sum(event["at"] < since for event in self.events))
        return sorted(found)

    def _doubt_what_was_not_recorded(self) -> None:
        """Add the unknown user wherever changes of the user were not recorded.

        That is until an event shows the user, or an enrollment begins.
        """
        is_doubtful = False
        for number, event in enumerate(self.events):
            is_doubtful = is_doubtful and not _changes_user(event)
            if is_doubtful:
                self.before[number] |= {""}
            is_doubtful = _hides_user(event) or is_doubtful and not _enrolls(event)
            if is_doubtful:
                self.after[number] |= {""}

    def _attribute_values(self) -> None:
        """Attribute each value to the holders when it was first or last reported."""
        known: set[str] = set()
        for number, (before, after) in enumerate(self._states()):
            self._attribute(self.before[number], before - known)
            self._attribute(self.after[number], after - before - known)
            known |= before | after
            if _changes_user(self.events[number]):
                self._attribute(self.before[number], before)
        if self.row is not None:
            self._attribute(frozenset({self.holder}), _personal_values(self.row))

    def _attribute(self, holders: Holders, values: frozenset[str] | set[str]) -> None:
        for holder in holders:
            self._possible[holder] |= values
            if len(holders) == 1:
                self._certain[holder] |= values

    def _states(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Return the values known before and after each event.

        They are collected from both ends of the history, which differ if a former value
        came back, since that records no event.
        """
        earlier: list[dict[str, Any]] = [{}]
        for event in self.events:
            earlier.append(earlier[-1] | _sides(event)[1])
        later = {name: self.row[name] for name in PERSONAL} if self.row else {}
        states = []
        for number in range(len(self.events) - 1, -1, -1):
            event = self.events[number]
            before, after = _sides(event)
            ends = _personal_values(earlier[number + 1], _without(later, after))
            later = later | before
            if _may_change_user(event):  # and with the user every value
                later = {}
            begins = _personal_values(_without(earlier[number], before), later)
            states.append((begins, ends))
        return states[::-1]


def everything(history: History) -> frozenset[str]:
    """Return every personal value that a machine has reported, folded."""
    return frozenset().union(
        _personal_values(history.row or {}),
        *(_personal_values(*_sides(event)) for event in history.events),
        *(folded_all(_hostnames(event["detail"])) for event in history.events),
    )


def _may_change_user(event: Mapping[str, Any]) -> bool:
    declared = event["event"] in EVENTS and EVENTS[event["event"]].may_change_user
    return declared or _hides_user(event)


def _enrolls(event: Mapping[str, Any]) -> bool:
    return event["event"] in ENROLLMENTS


def _hides_user(event: Mapping[str, Any]) -> bool:
    kind: object = event["detail"].get("kind")
    return kind == IdentityChanged.name


def _changes_user(event: Mapping[str, Any]) -> bool:
    return _EMAIL in _sides(event)[1]


def _sides(event: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns that an event records from before it and from after it."""
    return side(event["detail"], Holds.BEFORE), side(event["detail"], Holds.AFTER)


def _without(state: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


def _hostnames(detail: Mapping[str, Any]) -> Iterator[Any]:
    return chain.from_iterable(
        detail[name] or () for name in members(detail, Holds.HOSTNAMES)
    )


def _personal_values(*sources: Mapping[str, Any]) -> frozenset[str]:
    return folded_all(source.get(name) for source in sources for name in PERSONAL)
