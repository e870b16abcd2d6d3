"""The details of events: what is declared of each member, and which are personal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from .event_types import Holds
from .events import EVENTS

#: What machines report about themselves and their users; not in the change log.
_REPORTED_BY_MACHINES = (Holds.BEFORE, Holds.AFTER, Holds.HOSTNAMES)


def require_declared(name: str, detail: Mapping[str, Any]) -> None:
    """Raise ValueError for an event, a member or a reason that is not declared."""
    event = EVENTS.get(name)
    if event is None:
        raise ValueError(f"{name!r} is not a declared event")
    unknown = detail.keys() - event.members.keys()
    if unknown:
        raise ValueError(f"{name!r} declares no member {', '.join(sorted(unknown))}")
    if detail.get("because") not in (None, *event.because):
        raise ValueError(f"{name!r} declares no reason {detail['because']!r}")


@lru_cache  # a long history asks for each member of each event
def holds(member: str) -> Holds:
    """Return the declaration of a *member*, which is the same in every event.

    An undeclared member is treated as free text: it was recorded by a later version
    of this package, and may name a person.
    """
    for event in EVENTS.values():
        if member in event.members:
            return event.members[member]
    return Holds.FREE_TEXT


def members(detail: Mapping[str, Any], *held: Holds) -> Iterator[str]:
    """Yield the names of the members of *detail* that are declared as one of *held*."""
    return (name for name in detail if holds(name) in held)


def side(detail: Mapping[str, Any], which: Holds) -> dict[str, Any]:
    """Return the columns that *detail* has from ``BEFORE`` or ``AFTER`` the event."""
    return next((detail[name] for name in members(detail, which)), None) or {}


def logged(name: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of *detail* that the change log shows."""
    declared = EVENTS[name].members if name in EVENTS else {}
    return {
        member: detail[member]
        for member, held in declared.items()
        if member in detail and held not in _REPORTED_BY_MACHINES
    }


def impersonal() -> list[str]:
    """Return the names of the events whose detail holds no personal data."""
    return [
        name
        for name, event in EVENTS.items()
        if set(event.members.values()) <= {Holds.NOTHING_PERSONAL}
    ]
