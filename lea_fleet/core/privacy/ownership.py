"""Whose a machine was when: told by the e-mails in its row and its events.

A heartbeat that says another user leaves both in an event. An enrolment may bring
another user too and leaves none, so that of some events it is not known whose they
are. Knows no Flask and no SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..machine import ENROLMENTS, PERSONAL
from ..text import folded, folded_all
from .redaction import Redaction

#: Those in which a machine may get another user without a word of the one before.
_ENROLMENTS = ("imported", *ENROLMENTS)
_EMAIL = "user_email"

#: The e-mails of those who may have had the machine; "" stands for nobody known.
Holders = frozenset[str]


@dataclass
class History:
    """One machine's events, oldest first, and who may have had it at each.

    *row* is its row as it stands, or None. ``before`` and ``after`` have the holders
    for each event; they differ where it says that the user is another one now.
    """

    row: Mapping[str, Any] | None
    events: Sequence[Mapping[str, Any]]
    before: list[Holders] = field(init=False)
    after: list[Holders] = field(init=False)
    _certain: dict[str, set[str]] = field(init=False)
    _possible: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.before, self.after = [], []
        self._certain, self._possible = defaultdict(set), defaultdict(set)
        changes = [n for n, event in enumerate(self.events) if _changes_user(event)]
        said = [_sides(self.events[change]) for change in changes]
        starts = ["", *(folded(after[_EMAIL]) for _, after in said)]
        # Where none was said before, the first who is named is the likeliest.
        ends = [folded(before.get(_EMAIL) or after[_EMAIL]) for before, after in said]
        ends.append(self.holder if self.row else starts[-1])
        enrolled = self._enrolments()
        bounds = [0, *changes, len(self.events)]
        for number, (first, last) in enumerate(zip(bounds, bounds[1:])):
            start, end = starts[number], ends[number]
            stretch = self._stretch(start, end, first, last, enrolled)
            self.before += stretch
            self.after += stretch
            if number:  # its first event is the change to another user
                self.before[first] = self._giver(first, ends[number - 1])
                self.after[first] = frozenset({start})
        self._tell_values()

    @property
    def holder(self) -> str:
        """Whose the machine is by its row: a folded e-mail, or nothing."""
        return folded(self.row[_EMAIL]) if self.row else ""

    def of(self, email: str) -> frozenset[str]:
        """Return what a holder's machine said of itself, folded; or may have."""
        mine = self._certain[email]
        return frozenset(mine | self._possible[email] - self.of_others(email))

    def of_others(self, email: str) -> frozenset[str]:
        """Return what it said while it was surely somebody else's."""
        whose = self._certain.items()
        others = [said for name, said in whose if name not in (email, "")]
        return frozenset().union(*others)

    def only_of(self, email: str) -> frozenset[str]:
        """Return what it said while surely that holder's, and never another's."""
        return frozenset(self._certain[email] - self.of_others(email))

    def redaction(self, email: str, number: int) -> Redaction:
        """Return what has to go from an event for the traces of *email* to go.

        That includes what may be of theirs, and spares what another one's machine said.
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

    def _giver(self, change: int, end: str) -> Holders:
        """Return who had it before an event that says another user."""
        said_before = _sides(self.events[change])[0].get(_EMAIL)
        return frozenset({end} if said_before else {"", end})

    def _stretch(
        self, start: str, end: str, first: int, last: int, enrolled: Sequence[int]
    ) -> list[Holders]:
        """Return who may have the machine after each event from *first* to *last*.

        It is *start*'s in the beginning and *end*'s in the end; in between, an
        enrolment may have brought the other.
        """
        # One before the event that begins a stretch is of the stretch before.
        begin = first + (first < last and _changes_user(self.events[first]))
        enrolments = [n for n in enrolled if begin <= n <= last]
        holders = [frozenset({start, end})] * (last - first)
        if enrolments:
            mine = enrolments[0] - first if start else 0
            holders[:mine] = [frozenset({start})] * mine
            rest = last - enrolments[-1]
            holders[len(holders) - rest :] = [frozenset({end})] * rest
        return holders

    def _enrolments(self) -> list[int]:
        """Return the numbers of the events from which on an enrolment counts."""
        found = {n for n, event in enumerate(self.events) if _enrols(event)}
        if self.row is not None:
            # An older server leaves no event, and moves on the row's enrolled_at.
            since = self.row["enrolled_at"]
            found.add(sum(event["at"] < since for event in self.events))
        return sorted(found)

    def _tell_values(self) -> None:
        """Tell whose each value is: who had it when it was first said, or last."""
        known: set[str] = set()
        for number, (before, after) in enumerate(self._states()):
            self._tell(self.before[number], before - known)
            self._tell(self.after[number], after - before - known)
            known |= before | after
            if _changes_user(self.events[number]):
                self._tell(self.before[number], before)
        if self.row is not None:
            self._tell(frozenset({self.holder}), _said(self.row))

    def _tell(self, holders: Holders, values: frozenset[str] | set[str]) -> None:
        for holder in holders:
            self._possible[holder] |= values
            if len(holders) == 1:
                self._certain[holder] |= values

    def _states(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Return what was known of the machine before and after each event.

        Told from both ends, which differ where a name came back: that is no event.
        """
        earlier: list[dict[str, Any]] = [{}]
        for event in self.events:
            earlier.append(earlier[-1] | _sides(event)[1])
        later = {name: self.row[name] for name in PERSONAL} if self.row else {}
        states = []
        for number in range(len(self.events) - 1, -1, -1):
            event = self.events[number]
            before, after = _sides(event)
            ends = _said(earlier[number + 1]) | _said(_without(later, after))
            later = later | before
            if _enrols(event):  # which may have said all of it anew
                later = {}
            begins = _said(_without(earlier[number], before)) | _said(later)
            states.append((begins, ends))
        return states[::-1]


def everything(history: History) -> frozenset[str]:
    """Return all that a machine ever said of itself, as far as it is known."""
    return frozenset().union(
        _said(history.row or {}),
        *(_said(side) for event in history.events for side in _sides(event)),
        *(folded_all(_hostnames(event)) for event in history.events),
    )


def _enrols(event: Mapping[str, Any]) -> bool:
    return event["event"] in _ENROLMENTS


def _changes_user(event: Mapping[str, Any]) -> bool:
    return _EMAIL in _sides(event)[1]


def _sides(event: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a machine said of itself before an event, and after it."""
    detail = event["detail"]
    if event["event"] != "identity_changed":
        return {}, {}
    return detail.get("before") or {}, detail.get("after") or {}


def _without(state: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


def _hostnames(event: Mapping[str, Any]) -> list[Any]:
    return event["detail"].get("hostnames") or []


def _said(about: Mapping[str, Any]) -> frozenset[str]:
    return folded_all(about.get(name) for name in PERSONAL)
