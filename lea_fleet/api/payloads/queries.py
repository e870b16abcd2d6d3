"""Validate the query parameters of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.csv.forms import DELIMITERS, HEADINGS, Form
from ...core.event_filter import EventFilter
from ...core.events import EVENTS
from ...core.limits import (
    DEFAULT_DAYS,
    DEFAULT_EVENTS,
    DEFAULT_MACHINES,
    DEFAULT_REFUSED,
    LONGEST_DETAIL,
    MOST_DAYS,
    MOST_EVENTS,
    MOST_MACHINES,
    MOST_REFUSED_SHOWN,
)
from ...core.filters import Declared
from ...core.listing import FILTERS, NEWEST_FIRST, FleetFilter, is_sort
from ...core.pages import Page, read_cursor
from ...core.refused import CODES, OPERATOR, RefusedFilter
from ...core.tags import parse_wanted
from .members import Members
from .tags import tags_in_text

#: The parameters of a CSV file.
CSV = ("delimiter", "language")

#: The parameters of a listing besides its filters.
_LISTING = ("sort", "limit", "cursor", "totals", "format", *CSV)

#: The parameters of the history.
_HISTORY = (*"event machine_id actor since until limit cursor format".split(), *CSV)

#: Filters that may be given several times.
REPEATABLE = {
    name for name, filter in FILTERS.items() if filter.kind in ("choices", "tags")
}


@dataclass(frozen=True)
class EventsQuery:
    limit: int
    before: int | None


@dataclass(frozen=True)
class HistoryQuery:
    """*format* is ``json``, ``csv``, or None, *limit* None if it is not given."""

    wanted: EventFilter
    limit: int | None
    before: int | None
    format: str | None
    form: Form


@dataclass(frozen=True)
class BlocksQuery:
    """*after* is the key of the last block of the previous page."""

    limit: int
    after: tuple[str, ...] | None


@dataclass(frozen=True)
class RefusedQuery:
    """*after* is the key of the last row of the previous page."""

    wanted: RefusedFilter
    limit: int
    after: tuple[str, ...] | None


@dataclass(frozen=True)
class FleetQuery:
    """*format* is ``json``, ``csv``, or None if it is not given."""

    page: Page
    with_totals: bool
    format: str | None
    form: Form


def fleet_query(parameters: Mapping[str, Sequence[str]]) -> FleetQuery:
    """Validate the *parameters* of a listing, each with all its values.

    Empty and blank ones count as absent. Raises InvalidField for one that is not valid,
    does not exist, or is given twice, which only filters with several choices allow.
    """
    joined = {
        name: [",".join(values)] if name in REPEATABLE else values
        for name, values in parameters.items()
    }
    members = single(joined, *FILTERS, *_LISTING)
    query = FleetQuery(
        page=_page(members, _fleet_filter(members, joined)),
        with_totals=members.choice("totals", ("0", "1")) != "0",
        format=members.choice("format", ("json", "csv")),
        # Most listings are not CSV: they need not pay for its parameters.
        form=Form() if joined.keys().isdisjoint(CSV) else csv_form(members),
    )
    members.check()
    return query


def filter_of(texts: Mapping[str, str]) -> FleetFilter:
    """Validate the filters of a listing alone, each in one text.

    Raises InvalidField for one that is not valid or does not exist.
    """
    given = {name: [text] for name, text in texts.items()}
    members = single(given, *FILTERS)
    wanted = _fleet_filter(members, given)
    members.check()
    return wanted


def events_query(parameters: Mapping[str, Sequence[str]]) -> EventsQuery:
    """Validate the *parameters* of a page of events or alerts, each with its values.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "limit", "cursor")
    limit = members.digits("limit", most=MOST_EVENTS)
    query = EventsQuery(limit or DEFAULT_EVENTS, members.digits("cursor"))
    members.check()
    return query


def history_query(parameters: Mapping[str, Sequence[str]]) -> HistoryQuery:
    """Validate the *parameters* of the history, each with all its values.

    Raises InvalidField for one that is not valid.
    """
    joined = {**parameters}
    if "event" in joined:
        joined["event"] = [",".join(joined["event"])]
    members = single(joined, *_HISTORY)
    query = HistoryQuery(
        wanted=EventFilter(
            machine_id=joined.get("machine_id", [None])[0],  # even blank, as for fleet
            names=members.choices("event", EVENTS),
            actor=members.text("actor", LONGEST_DETAIL),
            since=members.moment("since"),
            until=members.moment("until"),
        ),
        limit=members.digits("limit", most=MOST_EVENTS),
        before=members.digits("cursor"),
        format=members.choice("format", ("json", "csv")),
        form=csv_form(members),
    )
    members.check()
    return query


def blocks_query(parameters: Mapping[str, Sequence[str]]) -> BlocksQuery:
    """Validate the *parameters* of a page of blocks, each with all its values.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "limit", "cursor")
    limit = members.digits("limit", most=MOST_MACHINES)
    query = BlocksQuery(limit or DEFAULT_MACHINES, members.key("cursor", 2))
    members.check()
    return query


def refused_query(parameters: Mapping[str, Sequence[str]]) -> RefusedQuery:
    """Validate the *parameters* of a page of refused machines, with all values.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "code", "enrollment_token", "since", "limit", "cursor")
    wanted = RefusedFilter(
        members.choice("code", CODES),
        members.digits("enrollment_token", least=OPERATOR),
        members.moment("since"),
    )
    limit = members.digits("limit", most=MOST_REFUSED_SHOWN) or DEFAULT_REFUSED
    query = RefusedQuery(wanted, limit, members.key("cursor", 4))
    members.check()
    return query


def duplicates_query(
    parameters: Mapping[str, Sequence[str]],
) -> tuple[int | None, str | None]:
    """Validate the *parameters* of the duplicates; return the limit and the cursor.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "limit", "cursor")
    query = members.digits("limit", most=MOST_MACHINES), members.text("cursor")
    members.check()
    return query


def setup_query(
    parameters: Mapping[str, Sequence[str]], prefix: str, default: str | None
) -> str | None:
    """Validate the *parameters* of a setup; return the URL of the API for it.

    *prefix* is that of the routes, *default* the server's URL if none is given; None if
    neither is. Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "url")
    url = members.api_url("url", prefix, default)
    members.check()
    return url


def summary_query(parameters: Mapping[str, Sequence[str]]) -> int:
    """Validate the *parameters* of a summary; return the number of days it covers.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, "days")
    days = members.digits("days", most=MOST_DAYS)
    members.check()
    return days or DEFAULT_DAYS


def csv_form(members: Members) -> Form:
    """Return the form of a CSV file; Excel in French expects semicolons."""
    language = members.choice("language", HEADINGS)
    usual = "semicolon" if language == "fr" else "comma"
    return Form(members.choice("delimiter", DELIMITERS) or usual, language)


def _fleet_filter(
    members: Members, parameters: Mapping[str, Sequence[str]]
) -> FleetFilter:
    sort = members.text("sort") or NEWEST_FIRST
    if not is_sort(sort):
        members.refuse("sort", "is not a valid sort order of a listing")
    wanted: dict[str, Any] = {}
    for name, filter in FILTERS.items():
        if name in parameters:
            wanted[name] = _value(members, name, filter, parameters[name][0])
    return FleetFilter(sort=sort, **wanted)


def _value(members: Members, name: str, filter: Declared, sent: str) -> Any:
    """Return the value of a filter, validated by its declared kind."""
    if filter.kind == "exact":  # even blank: an older server may have stored it
        return sent
    if filter.kind == "text":
        return members.text(name, LONGEST_DETAIL)
    if filter.kind == "choice":
        return members.choice(name, filter.choices)
    if filter.kind == "choices":
        return members.choices(name, filter.choices)
    if filter.kind == "tags":
        return tags_in_text(members, name, parse_wanted)
    if filter.kind == "flag":
        return members.flag(name)
    if filter.kind == "number":
        return members.digits(name)
    return members.silence(name)


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


def single(parameters: Mapping[str, Sequence[str]], *known: str) -> Members:
    """Return the *known* parameters of a route, each given once.

    Raises InvalidField for others.
    """
    members = Members({name: values[0] for name, values in parameters.items()})
    for name, values in parameters.items():
        if name not in known:
            members.refuse(name, "is not a parameter of this route")
        elif len(values) > 1:
            members.refuse(name, "is given more than once")
    members.check()
    return members
