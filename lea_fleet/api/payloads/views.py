"""Validate saved views: their name, filters and columns."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

from ...core.limits import LONGEST_VIEW_FILTERS
from ...core.listing import FILTERS, FleetFilter
from ...core.problems import InvalidField
from ...core.views import COLUMNS, USUAL_COLUMNS, Wanted, view_name
from .members import Members, parse_object
from .queries import fleet_query

#: More than a listing has parameters, most of which are given once.
_MOST_PARAMETERS = 100


def view_payload(body: bytes) -> Wanted:
    """Validate the *body* that says what a view is to be.

    Raises InvalidJson and InvalidField.
    """
    sent = parse_object(body)
    members = Members(sent)
    name = members.text("name") or members.refuse("name", "is required")
    filters = members.text("filters", LONGEST_VIEW_FILTERS) or ""
    try:
        name = view_name(name or "x")
    except ValueError as error:
        members.refuse("name", str(error))
    try:
        filters = canonical(filters)
    except ValueError as error:
        members.refuse("filters", str(error))
    wanted = Wanted(
        name=name,
        shared=members.boolean("shared", default=False),
        filters=filters,
        columns=_columns(members, sent.get("columns")),
    )
    members.check()
    return wanted


def canonical(filters: str) -> str:
    """Return the query *filters* in one form: without blanks, in the list's order.

    Raises ValueError for what the list would refuse.
    """
    parameters = _parameters(filters)
    wanted_by(filters)
    kept = []
    for name in (*FILTERS, "sort"):
        declared = FILTERS.get(name)
        values = parameters.get(name, [])
        if declared is None or declared.kind != "exact":  # of which a blank one counts
            values = [value for value in values if value.strip()]
        if declared is not None and declared.kind == "choices" and values:
            given = ",".join(values).split(",")
            values = [",".join(each for each in declared.choices if each in given)]
        kept += [(name, value) for value in values]
    return urlencode(kept)


def wanted_by(filters: str) -> FleetFilter:
    """Return the listing that the query *filters* of a view selects, with its order.

    Raises ValueError for a filter that does not exist, or no longer, or is not valid.
    """
    parameters = _parameters(filters)
    unknown = [name for name in parameters if name not in (*FILTERS, "sort")]
    if unknown:
        raise ValueError(f"has {', '.join(unknown)}, which is no filter of the list")
    try:
        return fleet_query(parameters).page.wanted
    except InvalidField as problem:
        raise ValueError(f"is not valid: {problem.detail}") from None


def fault_of(filters: str) -> str | None:
    """Return why a view's *filters* can no longer be used; None if they can."""
    try:
        wanted_by(filters)
    except ValueError as error:
        return f"filters {error}"
    return None


def _parameters(filters: str) -> dict[str, list[str]]:
    try:
        return parse_qs(
            filters.removeprefix("?"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise ValueError("must be percent-encoded UTF-8") from None
    except ValueError:
        raise ValueError("has too many parameters") from None


def _columns(members: Members, sent: Any) -> tuple[str, ...]:
    if sent is None:
        return USUAL_COLUMNS
    if not isinstance(sent, list) or not sent:
        members.refuse("columns", "must be a list of columns")
        return ()
    try:
        return checked_columns(sent)
    except ValueError as error:
        members.refuse("columns", str(error))
        return ()


def checked_columns(columns: list[Any]) -> tuple[str, ...]:
    """Return *columns*, each of which must be one of the list's, once.

    Raises ValueError.
    """
    if not all(each in COLUMNS for each in columns):
        raise ValueError(f"must be some of {', '.join(COLUMNS)}")
    if len(set(columns)) < len(columns):
        raise ValueError("must be different from one another")
    return tuple(columns)
