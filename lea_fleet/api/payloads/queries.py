"""What the query parameters of the requests say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ...core.cursors import read_cursor
from ...core.filters import (
    NEWEST_FIRST,
    PRESENCES,
    STATUSES,
    FleetFilter,
    Status,
    is_sort,
)
from ...core.limits import (
    DEFAULT_DAYS,
    DEFAULT_EVENTS,
    DEFAULT_MACHINES,
    LONGEST_DETAIL,
    MOST_DAYS,
    MOST_EVENTS,
    MOST_MACHINES,
)
from ...core.pages import Page
from ...core.csv.writing import DELIMITERS
from .members import Members

_FLEET = (
    "machine_id",
    "status",
    "presence",
    "q",
    "version",
    "silent_for",
    "sort",
    "limit",
    "cursor",
    "totals",
    "format",
    "delimiter",
)


@dataclass(frozen=True)
class EventsQuery:
    limit: int
    before: int | None


@dataclass(frozen=True)
class FleetQuery:
    """*format* is ``json``, ``csv``, or None where it is not said."""

    page: Page
    with_totals: bool
    format: str | None
    delimiter: str


def fleet_query(parameters: Mapping[str, Sequence[str]]) -> FleetQuery:
    """Return what a listing is asked for.

    *parameters* holds every value of each query parameter. Empty and blank ones
    count as absent. Raises InvalidField for one that cannot be, does not exist,
    or is given twice, as only ``presence`` may be.
    """
    joined = dict(parameters)
    if "presence" in joined:
        joined["presence"] = [",".join(joined["presence"])]
    members = _single(joined, *_FLEET)
    query = FleetQuery(
        page=_page(members, _fleet_filter(members, joined)),
        with_totals=members.choice("totals", ("0", "1")) != "0",
        format=members.choice("format", ("json", "csv")),
        delimiter=members.choice("delimiter", DELIMITERS) or "comma",
    )
    members.check()
    return query


def events_query(parameters: Mapping[str, Sequence[str]]) -> EventsQuery:
    """Return which page of events is asked for.

    *parameters* holds every value of each query parameter.
    Raises InvalidField for one that cannot be.
    """
    members = _single(parameters, "limit", "cursor")
    limit = members.digits("limit", most=MOST_EVENTS)
    query = EventsQuery(limit or DEFAULT_EVENTS, members.digits("cursor"))
    members.check()
    return query


def summary_query(parameters: Mapping[str, Sequence[str]]) -> int:
    """Return how many days a summary is to tell of.

    *parameters* holds every value of each query parameter.
    Raises InvalidField for one that cannot be.
    """
    members = _single(parameters, "days")
    days = members.digits("days", most=MOST_DAYS)
    members.check()
    return days or DEFAULT_DAYS


def _fleet_filter(
    members: Members, parameters: Mapping[str, Sequence[str]]
) -> FleetFilter:
    sort = members.text("sort") or NEWEST_FIRST
    if not is_sort(sort):
        members.refuse("sort", "is nothing that a listing can be ordered by")
    return FleetFilter(
        # As it is, even blank: it finds whatever the older server has stored.
        machine_id=parameters.get("machine_id", [None])[0],
        status=cast("Status | None", members.choice("status", STATUSES)),
        presence=members.choices("presence", PRESENCES),
        q=members.text("q", LONGEST_DETAIL),
        version=members.text("version", LONGEST_DETAIL),
        silent_for=members.silence("silent_for"),
        sort=sort,
    )


def _page(members: Members, wanted: FleetFilter) -> Page:
    limit = members.digits("limit", most=MOST_MACHINES)
    cursor = members.text("cursor")
    if cursor is None:
        return Page(wanted, limit)
    try:
        return Page(wanted, limit or DEFAULT_MACHINES, read_cursor(cursor, wanted))
    except ValueError as error:
        members.refuse("cursor", str(error))
        return Page(wanted)


def _single(parameters: Mapping[str, Sequence[str]], *known: str) -> Members:
    members = Members({name: values[0] for name, values in parameters.items()})
    for name, values in parameters.items():
        if name not in known:
            members.refuse(name, "is no parameter of this route")
        elif len(values) > 1:
            members.refuse(name, "is given more than once")
    members.check()
    return members
