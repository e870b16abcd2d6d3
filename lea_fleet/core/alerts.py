"""The alerts: what is told besides the events, and the impersonal members of each.

A new alert, or a new member of one, is declared here and nowhere else. Adding an
undeclared one raises ValueError; a test compares them with the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .events import EVENTS

#: Every alert by its name, which is the ``type`` of its messages: its members. None of
#: them may be personal, since alerts are not erased; messages get a machine's personal
#: details from its row when they are sent.
ALERTS: Mapping[str, tuple[str, ...]] = {
    "machine.silent": ("last_seen_at",),
    "machine.returned": ("last_seen_at",),
    "machine.refused": ("code", "enrollment_token"),
    "fleet.silent": ("online", "usual"),
    "fleet.returned": ("online", "usual"),
    "enrollment_token.expiring": ("enrollment_token", "expires_at"),
    "enrollment_token.used_up": ("enrollment_token", "uses", "max_uses"),
}

#: The message that ``flask fleet notify --test`` sends.
TEST = "test"

#: Events of an enrollment token: their names begin so.
_OF_TOKEN = "enrollment_token_"


def require_alert(name: str, detail: Mapping[str, Any]) -> None:
    """Raise ValueError for an alert or a member that is not declared."""
    if name not in ALERTS:
        raise ValueError(f"{name!r} is not a declared alert")
    unknown = detail.keys() - set(ALERTS[name])
    if unknown:
        raise ValueError(f"{name!r} declares no member {', '.join(sorted(unknown))}")


def type_of_event(name: str) -> str:
    """Return the ``type`` of the messages about events of that *name*."""
    if name.startswith(_OF_TOKEN):
        return f"enrollment_token.{name.removeprefix(_OF_TOKEN)}"
    event = EVENTS.get(name)
    is_of_fleet = event is not None and not event.of_machine
    return f"{'fleet' if is_of_fleet else 'machine'}.{name}"
