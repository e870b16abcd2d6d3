"""Saved views of the list: a name, filters, and the columns that the page shows."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from .limits import LONGEST_VIEW_NAME
from .privacy.addresses import addresses, mentions, names, without_others
from .problems import Problem
from .rows import View
from .text import normalized, printable

#: The columns of the list on the page: members of a machine's row, in the order in
#: which they are offered. The page's own are compared with them by a test.
COLUMNS = (
    "machine_id",
    "user_name",
    "user_email",
    "user_id",
    "hostname",
    "os_info",
    "version",
    "presence",
    "last_seen_at",
    "enrolled_at",
    "uninstalled_at",
    "uninstall_reason",
    "tags",
    "note",
)

#: Those that the list shows unless others are chosen.
USUAL_COLUMNS = (
    "machine_id",
    "user_name",
    "version",
    "presence",
    "last_seen_at",
    "enrolled_at",
)

#: What a row's owner begins with: a user of the host, whose name follows, or an
#: operator with a name, whose id does.
OWNED_BY_USER = "user:"
OWNED_BY_OPERATOR = "operator#"


class Wanted(NamedTuple):
    """What a view is to be: *filters* is a query, *columns* are some of COLUMNS."""

    name: str
    shared: bool
    filters: str
    columns: tuple[str, ...]


class UnknownView(Problem):
    """Also for one that is somebody else's own: nobody learns that it exists."""

    status, code, action = 404, "unknown_view", "stop"
    title = "No such saved view"

    def __init__(self, view_id: int) -> None:
        super().__init__("There is no saved view with this id.", view=view_id)


class ViewNameTaken(Problem):
    status, code, action = 409, "view_name_taken", "fix_request"
    title = "Another saved view has this name"

    def __init__(self, shared: bool) -> None:
        whose = "A shared view" if shared else "Another view of yours"
        super().__init__(f"{whose} has this name already.")


class TooManyViews(Problem):
    status, code, action = 409, "too_many_views", "fix_request"
    title = "There are as many saved views as may be"

    def __init__(self, most: int, shared: bool) -> None:
        kind = "shared views" if shared else "views of your own"
        super().__init__(f"There are {most} {kind} already: delete one.", limit=most)


def owner_of(operator: int) -> str:
    """Return the owner of the views of the operator with that id."""
    return f"{OWNED_BY_OPERATOR}{operator}"


def view_name(text: str) -> str:
    """Return *text* as the name of a view is stored and compared.

    Raises ValueError for one that is blank or too long, or that has characters which
    are not seen: names that look the same would not be.
    """
    name = normalized(text)
    if not 1 <= len(name) <= LONGEST_VIEW_NAME:
        raise ValueError(f"must have 1 to {LONGEST_VIEW_NAME} characters")
    if printable(name) != name:
        raise ValueError("must have no control characters or invisible ones")
    return name


def is_by(view: View, person: str) -> bool:
    """Tell whether *view* is a view of a user of the host who is that *person*."""
    user = view["owner"].removeprefix(OWNED_BY_USER)
    return user != view["owner"] and names(user, person)


def is_about(view: View, person: str) -> bool:
    """Tell whether the name of *view*, or a value of its filters, names a *person*."""
    values = [value for _, value in parse_qsl(view["filters"])]
    return any(mentions(text, person) for text in (view["name"], *values))


def exported(view: View, person: str) -> dict[str, Any]:
    """Return *view* for the *person* whom it names, or who made it.

    What has only the addresses of others is left out.
    """
    filters = {
        name: _without_others(value, person)
        for name, value in parse_qsl(view["filters"])
    }
    return {
        "id": view["id"],
        "name": _without_others(view["name"], person),
        "shared": view["shared"],
        "made_by_them": is_by(view, person),
        "filters": filters,
        "created_at": view["created_at"],
        "updated_at": view["updated_at"],
    }


def _without_others(text: str, person: str) -> object:
    if addresses(text) and not mentions(text, person):
        return None
    return without_others(text, person)
