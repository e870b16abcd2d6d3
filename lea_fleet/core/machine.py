"""A machine: the columns of its row, and the rules for the id of a new one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from .limits import LONGEST_MACHINE_ID
from .problems import InvalidField

#: The columns that a machine reports, at enrollment and by heartbeat.
DETAILS = ("user_name", "user_email", "user_id", "hostname", "os_info", "version")

#: All columns of a machine's row, in the order in which they are shown.
COLUMNS = (
    "id",
    "machine_id",
    *DETAILS,
    "status",
    "enrolled_at",
    "last_seen_at",
    "uninstalled_at",
    "uninstall_reason",
)

#: The columns that identify the computer and its user; changing one is an event.
IDENTITY = ("hostname", "user_name", "user_email", "user_id")

#: The columns with personal data. An installer does not get to see them.
PERSONAL = ("user_name", "user_email", "user_id", "hostname")

#: A bit for each of them. Files keep these numbers, so that only new ones may follow.
_BITS = {name: 1 << number for number, name in enumerate(PERSONAL)}

#: Control characters, and the line and paragraph separators.
_UNPRINTABLE = ("Cc", "Zl", "Zp")


def new_machine_id(sent: str) -> str:
    """Return *sent*, trimmed, as the id of a new machine.

    Raises InvalidField for an id that is not safe in a URL path or on one line. Ids
    that are stored already are never checked: the older server had no rules.
    """
    machine_id = sent.strip()
    fault = _fault(machine_id)
    if fault:
        raise InvalidField([{"field": "machine_id", "message": fault}])
    return machine_id


def said_in(details: Mapping[str, str | None]) -> int:
    """Return which of :data:`PERSONAL` have a value in *details*, as a sum of bits."""
    said = 0
    for name, bit in _BITS.items():
        if details.get(name) is not None:
            said |= bit
    return said


def personal_in(said: int) -> list[str]:
    """Return the columns that the bits of *said* stand for."""
    return [name for name, bit in _BITS.items() if said & bit]


def _fault(machine_id: str) -> str | None:
    if not 1 <= len(machine_id) <= LONGEST_MACHINE_ID:
        return f"must have 1 to {LONGEST_MACHINE_ID} characters"
    if not machine_id.isprintable() and _has_control_characters(machine_id):
        return "must not contain control characters"
    if "/" in machine_id:
        return "must not contain a slash"
    if machine_id in (".", ".."):
        return "must not be . or .."
    return None


def _has_control_characters(text: str) -> bool:
    return any(unicodedata.category(letter) in _UNPRINTABLE for letter in text)
