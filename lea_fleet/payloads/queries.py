"""What the query parameters of the requests say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .members import Members

#: Events on a page.
DEFAULT_EVENTS = 50
MOST_EVENTS = 500


@dataclass(frozen=True)
class EventsQuery:
    limit: int
    before: int | None


def fleet_query(parameters: Mapping[str, Sequence[str]]) -> str | None:
    """Return the machine_id that a listing is asked for, or None for all.

    *parameters* holds every value of each query parameter. Taken as it is, even
    blank: it finds whatever the older server has stored, and else nobody.
    Raises InvalidField for a parameter that does not exist or is given twice.
    """
    _single(parameters, "machine_id")
    return parameters.get("machine_id", [None])[0]


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


def _single(parameters: Mapping[str, Sequence[str]], *known: str) -> Members:
    members = Members({name: values[0] for name, values in parameters.items()})
    for name, values in parameters.items():
        if name not in known:
            members.refuse(name, "is no parameter of this route")
        elif len(values) > 1:
            members.refuse(name, "is given more than once")
    members.check()
    return members
