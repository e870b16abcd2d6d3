"""The route for the fleet's history."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import admits, hides_personal
from ...core.events import ROLES
from ...core.limits import DEFAULT_EVENTS
from ...core.privacy.hiding import hide_event
from ...storage.events import Events
from ..blueprint import blueprint
from ..documents import events_as_csv
from ..payloads.queries import history_query
from ..requests import next_page, parameters, prefers_csv
from ..responses import csv_response, json_response


@blueprint.get("/events")
@admits("operator", "viewer")
def history() -> Response:
    """List the events of all machines and of none, newest first, as JSON or CSV."""
    query = history_query(parameters())
    hides = hides_personal(query.wanted.actor not in (None, *ROLES))
    unit = get_unit(current_state())
    cursor: str | None
    if query.format == "csv" or (query.format is None and prefers_csv()):
        document = events_as_csv(
            unit,
            query.wanted,
            limit=query.limit,
            before=query.before,
            form=query.form,
            hides=hides,
        )
        cursor = document.next_cursor
        response = csv_response(document.file, "events")
    else:
        events, older = Events(unit).find(
            query.wanted, limit=query.limit or DEFAULT_EVENTS, before=query.before
        )
        cursor = None if older is None else str(older)
        shown = [*map(hide_event, events)] if hides else events
        response = json_response({"events": shown, "next_cursor": cursor})
    response.vary.add("Accept")
    if cursor is not None:
        response.headers["Link"] = f'<{next_page(cursor)}>; rel="next"'
    return response
