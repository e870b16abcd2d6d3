"""The route for the machines whose enrollment was refused."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import admits, hides_personal
from ...core.cursors import write_key
from ...core.privacy.hiding import hide
from ...storage.refused import Refused
from ..blueprint import blueprint
from ..payloads.queries import refused_query
from ..requests import parameters
from ..responses import json_response


@blueprint.get("/refusals")
@admits("operator", "viewer")
def refusals() -> Response:
    """List the machines whose enrollment was refused, the last first."""
    query = refused_query(parameters())
    page, after = Refused(get_unit(current_state())).page(
        query.wanted, limit=query.limit, after=query.after
    )
    next_cursor = None if after is None else write_key(*after)
    shown = [*map(hide, page)] if hides_personal() else page
    return json_response({"refusals": shown, "next_cursor": next_cursor})
