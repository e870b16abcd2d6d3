"""Filters and orders of a listing of machines.

Each filter is declared once, as a field of :class:`FleetFilter`; the query parameters
of ``GET /fleet``, the options of ``flask fleet list`` and the page are made from that,
or compared with it by a test. Its SQL condition is in ``storage/listing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from .filters import Declared, declared_by, filter_field
from .limits import LARGEST_ID, LONGEST_DURATION
from .tags import parse_wanted

Status = Literal["active", "uninstalled"]

#: All statuses, in the order of every listing.
STATUSES: tuple[Status, ...] = ("active", "uninstalled")

#: The presences of active machines, whose counts add up to their number.
ACTIVE_PRESENCES = ("online", "offline", "stale", "pending")

PRESENCES = (*ACTIVE_PRESENCES, "uninstalled")

#: The columns that a listing may be sorted by.
SORTS = (
    "enrolled_at",
    "last_seen_at",
    "machine_id",
    "user_name",
    "user_email",
    "hostname",
    "version",
    "user_id",
    "os_info",
    "presence",
    "uninstalled_at",
    "uninstall_reason",
)

NEWEST_FIRST = "-enrolled_at"


@dataclass(frozen=True)
class FleetFilter:
    """Select machines: those that match every filter that is set.

    *presence* lists the presences to include, or is empty for all; *tag* the tags that
    a machine must have, each of which may be the name of one; *silent_for* is in
    seconds. *sort* is one of SORTS, with ``-`` before it for descending.
    """

    machine_id: str | None = filter_field("exact")
    status: Status | None = filter_field(
        "choice",
        choices=STATUSES,
        options=("--status",),
        help="Which machines to list.",
    )
    presence: tuple[str, ...] = filter_field(
        "choices",
        (),
        choices=PRESENCES,
        options=("--presence",),
        help="Only machines with this presence; may be repeated.",
    )
    q: str | None = filter_field(
        "text",
        options=("-q", "--search"),
        help="Only machines with TEXT in id, user, hostname, system or note.",
    )
    tag: tuple[str, ...] = filter_field(
        "tags",
        (),
        options=("--tag",),
        help="Only machines with this tag, or any of this name; repeated: with all.",
    )
    version: str | None = filter_field(
        "text",
        options=("--version",),
        help="Only machines that run exactly this version.",
    )
    silent_for: float | None = filter_field(
        "duration",
        options=("--silent-for",),
        help="Only machines not seen for this long: 12h, 14d.",
    )
    blocked: bool | None = filter_field(
        "flag",
        options=("--blocked", "--not-blocked"),
        help="Only machines that are blocked, or that are not.",
    )
    muted: bool | None = filter_field(
        "flag",
        options=("--muted", "--not-muted"),
        help="Only machines that are muted, or that are not.",
    )
    retiring: bool | None = filter_field(
        "flag",
        options=("--retiring", "--not-retiring"),
        help="Only machines that are to be retired, or that are not.",
    )
    ignores_retire: bool | None = filter_field(
        "flag",
        options=("--ignores-retire",),
        help="Only machines to be retired whose agents go on.",
    )
    released: bool | None = filter_field(
        "flag",
        options=("--released", "--not-released"),
        help="Only machines that may be re-enrolled once, or that may not.",
    )
    duplicate: bool | None = filter_field(
        "flag",
        options=("--duplicate", "--not-duplicate"),
        help="Only machines that another one seems to have replaced, or the others.",
    )
    suspected_clone: bool | None = filter_field(
        "flag",
        options=("--suspected-clone", "--not-suspected-clone"),
        help="Only suspected clones, or the others.",
    )
    outdated: bool | None = filter_field(
        "flag",
        options=("--outdated", "--not-outdated"),
        help="Only machines with another version than the newest, or the others.",
    )
    without_version: bool | None = filter_field(
        "flag",
        options=("--without-version", "--with-version"),
        help="Only machines that have not reported a version, or the others.",
    )
    enrollment_token: int | None = filter_field(
        "number",
        options=("--enrollment-token",),
        help="Only machines last enrolled with the enrollment token of this id.",
    )
    #: The row ids of a selection; None for any.
    ids: frozenset[int] | None = None
    sort: str = NEWEST_FIRST

    def __post_init__(self) -> None:
        """Raise ValueError for what would select nothing, or everything, in silence."""
        presences, silence = self.presence or (), self.silent_for
        if isinstance(presences, str) or not set(presences) <= set(PRESENCES):
            raise ValueError(f"presence must be a tuple of {', '.join(PRESENCES)}.")
        if self.status not in (None, *STATUSES):
            raise ValueError(f"status must be {' or '.join(STATUSES)}.")
        if silence is not None and not 0 <= silence <= LONGEST_DURATION:
            raise ValueError("silent_for must be seconds, 36500 days at most.")
        if self.tag and self.tag != parse_wanted(self.tag):
            raise ValueError("tag must be a tuple of tags in lower case.")
        token = self.enrollment_token
        if token is not None and not 1 <= token <= LARGEST_ID:
            raise ValueError("enrollment_token must be the id of one.")
        for name in FLAGS:
            if getattr(self, name) not in (None, True, False):
                raise ValueError(f"{name} must be True or False.")

    @cached_property
    def sort_name(self) -> str:
        return self.sort.removeprefix("-")

    @cached_property
    def descending(self) -> bool:
        return self.sort.startswith("-")


#: The filters by name, in the order of the reference.
FILTERS: dict[str, Declared] = {
    one.name: declared
    for one in fields(FleetFilter)
    if (declared := declared_by(one)) is not None
}

#: Those that are true or false.
FLAGS = [name for name, declared in FILTERS.items() if declared.kind == "flag"]

#: The whole fleet, the newest enrollment first.
WHOLE_FLEET = FleetFilter()


def is_sort(text: str) -> bool:
    """Tell whether *text* is a valid sort order: one of SORTS, or ``-`` and one."""
    return text.removeprefix("-") in SORTS
