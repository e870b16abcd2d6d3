"""The events: what each is called, what its detail holds, and who may have acted.

A new event, or a new member of a detail, is declared here and nowhere else. Recording
refuses what is not declared; erasure, export, change log and signals follow the
declaration; tests hold the OpenAPI document, the reference and the page's texts to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar


class Holds(Enum):
    """What a member of a detail says about people, and so how it is erased."""

    NOTHING_PERSONAL = "nothing personal"
    #: An object of columns of the machine's row, as they were before the event.
    BEFORE = "before"
    #: The same, as they are from the event on.
    AFTER = "after"
    #: A list of hostnames.
    HOSTNAMES = "hostnames"
    #: Text in which a person writes what they like. The change log shows it too.
    FREE_TEXT = "free text"


#: What machines say of themselves and their users: the change log shows none of it.
SAID_BY_MACHINES = (Holds.BEFORE, Holds.AFTER, Holds.HOSTNAMES)


#: Every event, by its name.
EVENTS: dict[str, type[EventType]] = {}


class EventType:
    """An event; the docstring of each class says what has happened, as the docs do.

    *members* are those of its detail, *because* the reasons that one may give.
    *signal* is the Blinker signal that is sent after the commit. With *enrolls* it
    counts as an enrollment; with *may_change_user* the machine may be another
    person's from then on, although the event says nothing of that. *of_machine* is
    False for an event about an enrollment token.
    """

    name: ClassVar[str]
    members: ClassVar[Mapping[str, Holds]] = {}
    because: ClassVar[tuple[str, ...]] = ()
    signal: ClassVar[str | None] = None
    enrolls: ClassVar[bool] = False
    may_change_user: ClassVar[bool] = False
    of_machine: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            EVENTS[cls.name] = cls


_VERSION = {"version": Holds.NOTHING_PERSONAL}
_BECAUSE = {"because": Holds.NOTHING_PERSONAL}


class _Enrollment(EventType):
    members = _VERSION
    enrolls = True
    may_change_user = True


class Enrolled(_Enrollment):
    """A machine that was not known has been enrolled."""

    name = "enrolled"
    signal = "agent-enrolled"


class Reactivated(_Enrollment):
    """A machine that was uninstalled has been enrolled again."""

    name = "reactivated"
    signal = "agent-reactivated"


class Reenrolled(_Enrollment):
    """A machine that was active has been enrolled again."""

    name = "reenrolled"
    members = {**_VERSION, **_BECAUSE}
    because = ("force", "release", "silence")
    signal = "agent-reenrolled"


class Uninstalled(EventType):
    """A machine has been uninstalled."""

    name = "uninstalled"
    members = {"reason": Holds.FREE_TEXT}
    signal = "agent-uninstalled"


class Imported(EventType):
    """An import has added a machine, or changed what is known of it."""

    name = "imported"
    members = {**_VERSION, **_BECAUSE}
    because = ("adopted", "updated")
    signal = "agent-imported"
    may_change_user = True


class Released(EventType):
    """An active machine may be enrolled once more."""

    name = "released"
    members = {"until": Holds.NOTHING_PERSONAL}
    signal = "agent-released"


class ReleaseCancelled(EventType):
    """A release has been taken back."""

    name = "release_cancelled"


class TokenRotated(EventType):
    """A machine has been given another token."""

    name = "token_rotated"
    signal = "agent-token-rotated"


class TokenRevoked(EventType):
    """A token of a machine has been revoked."""

    name = "token_revoked"
    members = _BECAUSE
    because = ("rotation", "replaced", "answer_lost")


class IdentityChanged(EventType):
    """The hostname or the user of a machine has changed."""

    name = "identity_changed"
    members = {"before": Holds.BEFORE, "after": Holds.AFTER}
    signal = "agent-identity-changed"


class SuspectedClone(EventType):
    """Two computers seem to share one identity."""

    name = "suspected_clone"
    members = {"hostnames": Holds.HOSTNAMES}
    signal = "agent-clone-suspected"


class Erased(EventType):
    """Personal data has been erased."""

    name = "erased"
    members = {"fields": Holds.NOTHING_PERSONAL}


class _OfEnrollmentToken(EventType):
    members = {
        "enrollment_token": Holds.NOTHING_PERSONAL,
        "label": Holds.FREE_TEXT,
        "expires_at": Holds.NOTHING_PERSONAL,
        "max_uses": Holds.NOTHING_PERSONAL,
    }
    of_machine = False


class EnrollmentTokenCreated(_OfEnrollmentToken):
    """An enrollment token has been made."""

    name = "enrollment_token_created"


class EnrollmentTokenRevoked(_OfEnrollmentToken):
    """An enrollment token has been revoked."""

    name = "enrollment_token_revoked"


#: The events that count as an enrollment, and what its answer calls it.
ENROLLMENTS = tuple(name for name, event in EVENTS.items() if event.enrolls)

#: The roles that an event's actor may have; ``host`` is the host's own code.
ROLES = ("operator", "installer", "agent", "cli", "host")

#: Those that act on the machine itself: their address says where its user is.
ROLES_ON_THE_MACHINE = ("agent", "installer")

#: The members of an actor that name a person, who acts as an operator.
OPERATOR_NAMES = ("user", "os_user")


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
    """Return what a member holds, whichever event it is of.

    One that is not declared is treated as free text: what a later version of this
    package has recorded may name a person too.
    """
    for event in EVENTS.values():
        if member in event.members:
            return event.members[member]
    return Holds.FREE_TEXT


def members(detail: Mapping[str, Any], *held: Holds) -> Iterator[str]:
    """Yield the names of those members of *detail* that hold any of *held*."""
    return (name for name in detail if holds(name) in held)


def side(detail: Mapping[str, Any], which: Holds) -> dict[str, Any]:
    """Return what the machine said of itself ``BEFORE`` or ``AFTER`` an event."""
    return next((detail[name] for name in members(detail, which)), None) or {}


def logged(name: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of *detail* that the change log shows."""
    declared = EVENTS[name].members if name in EVENTS else {}
    return {
        member: detail[member]
        for member, held in declared.items()
        if member in detail and held not in SAID_BY_MACHINES
    }


def impersonal() -> list[str]:
    """Return the names of the events whose detail can name nobody."""
    return [
        name
        for name, event in EVENTS.items()
        if set(event.members.values()) <= {Holds.NOTHING_PERSONAL}
    ]
