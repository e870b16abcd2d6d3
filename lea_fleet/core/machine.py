"""A machine: the columns of its row, and the rules for the id of a new one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from .limits import LONGEST_MACHINE_ID
from .problems import InvalidField
from .text import folded, normalized

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

#: The columns that a search looks for text in.
SEARCHED = ("machine_id", "user_name", "user_email", "user_id", "hostname", "os_info")

#: The columns that identify the computer and its user; changing one is an event.
IDENTITY = ("hostname", "user_name", "user_email", "user_id")

#: The columns with personal data. An installer does not get to see them.
PERSONAL = ("user_name", "user_email", "user_id", "hostname")

#: Those of them that name the machine's user.
USER = ("user_name", "user_email", "user_id")

#: A bit for each of PERSONAL. Files keep these numbers: only new ones may follow.
_BITS = {name: 1 << number for number, name in enumerate(PERSONAL)}

#: Control characters, and the line and paragraph separators.
_CONTROL = ("Cc", "Zl", "Zp")

#: Format characters are not visible, or change the direction of what follows.
_FORMAT = "Cf"

#: What is of another category and not visible either: fillers and variation selectors
#: (Unicode, Default_Ignorable_Code_Point).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)

#: One blank looks like another, such as the no-break space of a web page.
_BLANK = re.compile(r"\s")

#: What may be around and in a GUID; in every form it has the same 32 digits.
_GUID = re.compile(r"(?:urn:uuid:)?[{(]?([0-9a-f-]{32,36})[)}]?")
_GUID_DIGITS = 32


def new_machine_id(sent: str) -> str:
    """Return *sent*, in its stored form, as the id of a new machine.

    Raises InvalidField for an id that is not safe in a URL path or on one line. Ids
    that are stored already are never checked: the older server had no rules.
    """
    machine_id = stored_form(sent)
    fault = _fault(machine_id)
    if fault:
        raise InvalidField([{"field": "machine_id", "message": fault}])
    return machine_id


def stored_form(sent: str) -> str:
    """Return *sent* as the id of a new machine is stored: trimmed, and composed (NFC).

    A letter with a combining mark would be another id that looks the same.
    """
    return normalized(sent)


def look(machine_id: str) -> str:
    """Return what ids that look alike have in common.

    Case, invisible characters, the kind of a blank and braces around make no
    difference, nor do hyphens and other marks of a GUID.
    """
    if machine_id.isascii():  # most are, and a list looks at all of the fleet
        text = machine_id.strip().lower()
    else:
        unformatted = (c for c in machine_id if unicodedata.category(c) != _FORMAT)
        visible = _IGNORABLE.sub("", "".join(unformatted))
        text = folded(_BLANK.sub(" ", visible))
    guid = _GUID.fullmatch(text)
    digits = guid[1].replace("-", "") if guid else ""
    if len(digits) == _GUID_DIGITS:
        return digits
    inner = text[1:-1].strip() if text[:1] == "{" and text[-1:] == "}" else ""
    return inner or text


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
    if not machine_id.isprintable():
        categories = set(map(unicodedata.category, machine_id))
        if categories & set(_CONTROL):
            return "must not contain control characters"
        if _FORMAT in categories:
            return "must not contain invisible characters"
    if "/" in machine_id:
        return "must not contain a slash"
    if machine_id in (".", ".."):
        return "must not be . or .."
    return None
