"""The events of the history: the name, detail, signal and personal data of each.

A new event, or a new member of a detail, is declared here and nowhere else. Recording
an undeclared one raises ValueError; erasure, export, change log and signals follow the
declaration; tests compare it with the OpenAPI document, the reference and the page.
"""

from __future__ import annotations

# Named again: whoever imports it from here finds every event in it.
from .event_types import EVENTS as EVENTS
from .event_types import EventType, Holds

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


class Replaced(EventType):
    """A machine has taken the place of another one, which has been uninstalled."""

    name = "replaced"
    members = {"other": Holds.NOTHING_PERSONAL, **_BECAUSE}
    because = ("by", "of")


class Imported(EventType):
    """An import has added a machine, or changed what is known of it."""

    name = "imported"
    members = {**_VERSION, **_BECAUSE}
    because = ("adopted", "updated")
    signal = "agent-imported"
    may_change_user = True


class Edited(EventType):
    """An operator has mended the id or a detail of a machine."""

    name = "edited"
    members = {
        "former_id": Holds.NOTHING_PERSONAL,
        **_VERSION,
        "os_info": Holds.NOTHING_PERSONAL,
        "before": Holds.BEFORE,
        "after": Holds.AFTER,
    }
    signal = "agent-edited"


class Released(EventType):
    """An active machine may be enrolled once more."""

    name = "released"
    members = {
        "until": Holds.NOTHING_PERSONAL,
        "enrollment_token": Holds.NOTHING_PERSONAL,
    }
    signal = "agent-released"


class ReleaseCancelled(EventType):
    """A release has been taken back."""

    name = "release_cancelled"


class Blocked(EventType):
    """A machine has been blocked, or the reason for that has changed."""

    name = "blocked"
    members = {"reason": Holds.FREE_TEXT}


class Unblocked(EventType):
    """A machine that was blocked may be enrolled again."""

    name = "unblocked"


class Muted(EventType):
    """Nobody is alerted about a machine for a while."""

    name = "muted"
    members = {"until": Holds.NOTHING_PERSONAL}


class Unmuted(EventType):
    """A machine that was muted is told of again."""

    name = "unmuted"


class Tagged(EventType):
    """A machine has been given tags."""

    name = "tagged"
    members = {"tags": Holds.FREE_TEXT}


class Untagged(EventType):
    """A machine has lost tags."""

    name = "untagged"
    members = {"tags": Holds.FREE_TEXT}


class Noted(EventType):
    """The note about a machine has been written."""

    name = "noted"


class NoteRemoved(EventType):
    """The note about a machine has been removed."""

    name = "note_removed"


class RetireRequested(EventType):
    """The agent of a machine is told to uninstall itself when it comes next."""

    name = "retire_requested"


class RetireCancelled(EventType):
    """The agent of a machine is no longer told to uninstall itself."""

    name = "retire_cancelled"


class TokenRotated(EventType):
    """A machine has been given another token."""

    name = "token_rotated"
    signal = "agent-token-rotated"


class TokenRevoked(EventType):
    """A token of a machine has been revoked."""

    name = "token_revoked"
    members = _BECAUSE
    because = ("rotation", "replaced", "answer_lost", "cut_off")


class TokenReused(EventType):
    """A token is in use that its own agent has replaced: it was copied."""

    name = "token_reused"


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


class NotRecorded(EventType):
    """A machine has caused so many events of one kind that more are not recorded."""

    name = "not_recorded"
    members = {"kind": Holds.NOTHING_PERSONAL}


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


class _OfOperator(EventType):
    members = {
        "operator": Holds.NOTHING_PERSONAL,
        "name": Holds.FREE_TEXT,
        "role": Holds.NOTHING_PERSONAL,
        "expires_at": Holds.NOTHING_PERSONAL,
    }
    of_machine = False


class OperatorCreated(_OfOperator):
    """A token for an operator has been made."""

    name = "operator_created"


class OperatorRevoked(_OfOperator):
    """The token of an operator has been revoked."""

    name = "operator_revoked"


class Pruned(EventType):
    """Old events have been deleted."""

    name = "pruned"
    members = {
        "older_than": Holds.NOTHING_PERSONAL,
        "events": Holds.NOTHING_PERSONAL,
    }
    of_machine = False


class AlertsDropped(EventType):
    """Alerts that could not be delivered in time have been dropped."""

    name = "alerts_dropped"
    members = {
        "alerts": Holds.NOTHING_PERSONAL,
        "destination": Holds.NOTHING_PERSONAL,
    }
    of_machine = False


#: The events that count as an enrollment: the ``status`` values of its response.
ENROLLMENTS = tuple(name for name, event in EVENTS.items() if event.enrolls)

#: The roles that an event's actor may have; ``host`` is the host's own code.
ROLES = ("operator", "installer", "agent", "cli", "host")

#: Roles that act on the machine itself: their IP address tells where its user is.
ROLES_ON_THE_MACHINE = ("agent", "installer")

#: The members of an actor that name a person who acted as an operator.
OPERATOR_NAMES = ("user", "os_user")
