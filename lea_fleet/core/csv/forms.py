"""What a CSV file is like: its delimiter, and the words and dates of its language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..clock import in_utc

#: Delimiters between two cells, by name; Excel in French expects semicolons.
DELIMITERS = {"comma": ",", "semicolon": ";"}

#: The headings for people, by language and column. Those of timestamps say so, since a
#: spreadsheet knows no time zones.
HEADINGS = {
    "en": {
        "id": "Number",
        "machine_id": "Machine",
        "user_name": "User",
        "user_email": "E-mail",
        "user_id": "User ID",
        "hostname": "Hostname",
        "os_info": "Operating system",
        "version": "Version",
        "status": "Status",
        "enrolled_at": "Enrolled (UTC)",
        "last_seen_at": "Last seen (UTC)",
        "uninstalled_at": "Uninstalled (UTC)",
        "uninstall_reason": "Reason",
        "presence": "Presence",
        "suspected_clone": "Suspected clone",
        "tags": "Tags",
        "note": "Note",
        "at": "Date (UTC)",
        "event": "Event",
        "role": "Role",
        "user": "By",
        "os_user": "System account",
        "enrollment_token": "Enrollment token",
        "address": "IP address",
        "detail": "Details",
    },
    "fr": {
        "id": "N°",
        "machine_id": "Machine",
        "user_name": "Utilisateur",
        "user_email": "E-mail",
        "user_id": "Identifiant de l’utilisateur",
        "hostname": "Nom d’hôte",
        "os_info": "Système d’exploitation",
        "version": "Version",
        "status": "Statut",
        "enrolled_at": "Enrôlement (UTC)",
        "last_seen_at": "Dernier contact (UTC)",
        "uninstalled_at": "Désinstallation (UTC)",
        "uninstall_reason": "Motif",
        "presence": "Présence",
        "suspected_clone": "Clone présumé",
        "tags": "Étiquettes",
        "note": "Note",
        "at": "Date (UTC)",
        "event": "Événement",
        "role": "Rôle",
        "user": "Auteur",
        "os_user": "Compte système",
        "enrollment_token": "Jeton d’enrôlement",
        "address": "Adresse IP",
        "detail": "Détails",
    },
}

#: The columns with timestamps.
_TIMES = ("enrolled_at", "last_seen_at", "uninstalled_at", "at")

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", re.ASCII)


class Form(NamedTuple):
    """The form of a file: *delimiter* is one of DELIMITERS.

    *language* is one of HEADINGS, for people who open it in a spreadsheet, or None for
    programs: with the names of the columns, and timestamps as everywhere.
    """

    delimiter: str = "comma"
    language: str | None = None

    def heading(self, columns: Sequence[str]) -> Sequence[str]:
        """Return the heading of these *columns*."""
        if self.language is None:
            return columns
        return [HEADINGS[self.language][name] for name in columns]

    def times_in(self, columns: Sequence[str]) -> list[int]:
        """Return which of these *columns* have timestamps to be written as dates."""
        if self.language is None:
            return []
        return [place for place, name in enumerate(columns) if name in _TIMES]


def date(timestamp: Any) -> Any:
    """Return a *timestamp* as spreadsheets read dates: ``2026-03-02 08:15:00``, in UTC.

    What is none, which an older server may have stored, is returned as it is.
    """
    if not isinstance(timestamp, str):
        return timestamp
    found = _TIMESTAMP.match(in_utc(timestamp))
    return timestamp if found is None else f"{found[1]} {found[2]}"
