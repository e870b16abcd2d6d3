"""Which machines a listing is of, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["active", "uninstalled"]

#: Both, in the order in which every listing runs through them.
STATUSES: tuple[Status, ...] = ("active", "uninstalled")

PRESENCES = ("online", "offline", "stale", "uninstalled")

#: What a listing may be ordered by.
SORTS = (
    "enrolled_at",
    "last_seen_at",
    "machine_id",
    "user_name",
    "user_email",
    "hostname",
    "version",
)

NEWEST_FIRST = "-enrolled_at"


@dataclass(frozen=True)
class FleetFilter:
    """The machines that a listing is of: all that fit everything that is given.

    *presence* is any of these, or all where there are none; *q* is a part of the
    machine_id, user name, e-mail or host name, in whatever case; *silent_for* is
    in seconds. *sort* is one of SORTS, with ``-`` before it for descending.
    """

    machine_id: str | None = None
    status: Status | None = None
    presence: tuple[str, ...] = ()
    q: str | None = None
    version: str | None = None
    silent_for: float | None = None
    sort: str = NEWEST_FIRST

    @property
    def sort_name(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


#: The whole fleet, the newest enrolment first.
WHOLE_FLEET = FleetFilter()


def is_sort(text: str) -> bool:
    """Tell whether *text* is what a listing may be ordered by."""
    return text.removeprefix("-") in SORTS
