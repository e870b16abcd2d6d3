"""Leave personal data out of what is shown to those who may not see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..event_details import holds
from ..event_types import Holds
from ..events import OPERATOR_NAMES
from ..listing import FleetFilter
from ..machine import PERSONAL
from ..rows import Event

#: The members of rows that are personal, or free text in which a person may be named.
_HIDDEN = (*PERSONAL, "address", "uninstall_reason", "reason", "label", "note")

_SIDES = (Holds.BEFORE, Holds.AFTER)


def hide(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the *row* of a machine, refusal, block or token without personal data.

    What is hidden is null, as what is not known.
    """
    hidden = {**row, **dict.fromkeys(name for name in _HIDDEN if name in row)}
    if "tags" in row:
        hidden["tags"] = [tag for tag in row["tags"] if not names_somebody(tag)]
    return hidden


def names_somebody(tag: str) -> bool:
    """Tell whether a *tag* has an e-mail address: a group that is a person."""
    return "@" in tag


def asks_for_personal(wanted: FleetFilter) -> bool:
    """Tell whether a listing searches personal data, or is filtered or sorted by it."""
    is_by_tag = any(map(names_somebody, wanted.tag))
    return wanted.q is not None or wanted.sort_name in _HIDDEN or is_by_tag


def hide_event(event: Event) -> Event:
    """Return an *event* without personal data: also of the operator who acted."""
    gone = (*OPERATOR_NAMES, "address")
    actor = {k: v for k, v in event["actor"].items() if k not in gone}
    detail = {name: _hidden(name, each) for name, each in event["detail"].items()}
    return cast(Event, {**event, "actor": actor, "detail": detail})


def _hidden(name: str, value: Any) -> Any:
    held = holds(name)
    if held in _SIDES and isinstance(value, Mapping):
        return hide(value)
    return value if held is Holds.NOTHING_PERSONAL else None
