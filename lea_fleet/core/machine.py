"""What a machine may be called, and what else it may say of itself."""

from __future__ import annotations

import unicodedata

from .problems import InvalidField

#: The columns that a machine fills in by itself, at enrolment and by heartbeat.
DETAILS = ("user_name", "user_email", "user_id", "hostname", "os_info", "version")

#: All columns of its row, in the order in which they are shown.
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

#: Those that say which computer it is and whose: a change of one is an event.
IDENTITY = ("hostname", "user_name", "user_email", "user_id")

#: Those that say something about a person. An installer is not told them.
PERSONAL = ("user_name", "user_email", "user_id", "hostname")

#: The most characters that a new machine_id may have.
LONGEST_ID = 128

#: Control characters, and the two separators that break a line.
_UNPRINTABLE = ("Cc", "Zl", "Zp")


def new_machine_id(sent: str) -> str:
    """Return *sent*, trimmed, as the id of a machine that is new.

    Raises InvalidField for one that fits no path or no line. Ids that are
    stored already are never put to this test: the older server had no rules.
    """
    machine_id = sent.strip()
    fault = _fault(machine_id)
    if fault:
        raise InvalidField([{"field": "machine_id", "message": fault}])
    return machine_id


def _fault(machine_id: str) -> str | None:
    if not 1 <= len(machine_id) <= LONGEST_ID:
        return f"must have 1 to {LONGEST_ID} characters"
    if not machine_id.isprintable() and _has_control_characters(machine_id):
        return "must not contain control characters"
    if "/" in machine_id:
        return "must not contain a slash"
    if machine_id in (".", ".."):
        return "must not be . or .."
    return None


def _has_control_characters(text: str) -> bool:
    return any(unicodedata.category(letter) in _UNPRINTABLE for letter in text)
