"""Routes for saved views of the list: private ones, and those that all may see."""

from __future__ import annotations

from typing import Any

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import acting_repository, admits, caller, confirm, hides_personal
from ...auth.principals import Principal
from ...core.privacy.hiding import asks_for_personal
from ...core.problems import InsufficientScope
from ...core.rows import View
from ...core.views import UnknownView, Wanted
from ...storage.views import Views
from ..blueprint import blueprint
from ..payloads.bodies import no_payload
from ..payloads.views import fault_of, view_payload, wanted_by
from ..requests import body, numbered
from ..responses import json_response


@blueprint.get("/views")
@admits("operator", "viewer")
def list_views() -> Response:
    """List the caller's own views, and the shared ones."""
    principal = caller()
    views = Views(get_unit(current_state())).visible_to(principal.owner)
    seen = [_shown(each, principal) for each in views if _may_see(principal, each)]
    return json_response({"views": seen})


@blueprint.post("/views")
@admits("operator", "viewer")
def save_view() -> Response:
    """Save a view: for the caller alone, or shared."""
    wanted = _wanted()
    unit = acting_repository().unit
    with unit.transaction():
        principal = confirm()
        _refuse_sharing(principal, wanted.shared)
        view = Views(unit).create(principal.owner, wanted)
    return json_response(_shown(view, principal), 201)


@blueprint.put("/views/<view_id>")
@admits("operator", "viewer")
def change_view(view_id: str) -> Response:
    """Make a view another one: its name, filters, columns, and whether it is shared."""
    number, wanted = numbered(view_id), _wanted()
    unit = acting_repository().unit
    views = Views(unit)
    with unit.transaction():
        principal = confirm()
        views.hold()
        view = _changeable(views, number, principal)
        _refuse_sharing(principal, wanted.shared)
        ends_sharing = view["shared"] and not wanted.shared
        if ends_sharing and view["owner"] != principal.owner:
            raise InsufficientScope("Only who made a shared view may keep it alone.")
        view = views.change(view, wanted)
    return json_response(_shown(view, principal))


@blueprint.delete("/views/<view_id>")
@admits("operator", "viewer")
def delete_view(view_id: str) -> Response:
    """Delete a view, and return what it was."""
    no_payload(body(current_state()))
    number = numbered(view_id)
    unit = acting_repository().unit
    views = Views(unit)
    with unit.transaction():
        principal = confirm()
        views.hold()
        view = _changeable(views, number, principal)
        views.delete(number)
    return json_response(_shown(view, principal))


def _wanted() -> Wanted:
    """Return what the request says the view is to be."""
    wanted = view_payload(body(current_state()))
    hides_personal(asks_for_personal(wanted_by(wanted.filters)))
    return wanted


def _changeable(views: Views, view_id: int, principal: Principal) -> View:
    """Return a view that *principal* may change.

    Raises UnknownView for one that it may not see, and InsufficientScope.
    """
    view = views.require(view_id)
    if not _may_see(principal, view):
        raise UnknownView(view_id)
    _refuse_sharing(principal, view["shared"])
    if view["owner"] != principal.owner and not principal.is_admin:
        raise InsufficientScope("Only who made this view, or an admin, may change it.")
    return view


def _refuse_sharing(principal: Principal, shared: bool) -> None:
    if shared and not principal.is_operator:
        raise InsufficientScope("A viewer's saved views are its own.")


def _may_see(principal: Principal, view: View) -> bool:
    """Tell whether *view* is there for *principal*.

    Not for one to whom the list would refuse it, since it searches personal data.
    """
    if view["owner"] == principal.owner:
        return True
    if not view["shared"]:
        return False
    return not principal.hides_personal or _names_nobody(view["filters"])


def _names_nobody(filters: str) -> bool:
    try:
        return not asks_for_personal(wanted_by(filters))
    except ValueError:  # a filter that is no longer known may have been a name
        return False


def _shown(view: View, principal: Principal) -> dict[str, Any]:
    """Return *view* as *principal* sees it.

    The names that others have given may be of persons, as labels of tokens are.
    """
    own = view["owner"] == principal.owner
    hidden = principal.hides_personal and not own
    return {
        "id": view["id"],
        "name": None if hidden else view["name"],
        "shared": view["shared"],
        "own": own,
        "owner": None if hidden else view["owner_name"],
        "filters": view["filters"],
        "columns": view["columns"],
        "created_at": view["created_at"],
        "updated_at": view["updated_at"],
        "fault": fault_of(view["filters"]),
    }
