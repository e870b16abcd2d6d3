"""Routes for the whole fleet: the listing and the summary."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import admits, hides_personal
from ...core.privacy.hiding import asks_for_personal
from ...storage.summary import Summary
from ..blueprint import blueprint
from ..documents import fleet_as_csv, fleet_as_json
from ..payloads.queries import fleet_query, summary_query
from ..requests import next_page, parameters, prefers_csv
from ..responses import csv_response, file_response, json_response


@blueprint.get("/fleet")
@admits("operator", "viewer")
def fleet() -> Response:
    """List machines, filtered, sorted and paged, as JSON or CSV."""
    query = fleet_query(parameters())
    wanted = query.page.wanted
    # What it asks for matters only to those who are shown no personal data.
    hides = hides_personal() and hides_personal(asks_for_personal(wanted))
    unit = get_unit(current_state())
    if query.format == "csv" or (query.format is None and prefers_csv()):
        document = fleet_as_csv(unit, query.page, form=query.form, hides=hides)
        response = csv_response(document.file, "fleet")
    else:
        document = fleet_as_json(
            unit, query.page, with_totals=query.with_totals, hides=hides
        )
        response = file_response(document.file, "application/json")
    response.vary.add("Accept")
    if document.next_cursor is not None:
        link = f'<{next_page(document.next_cursor)}>; rel="next"'
        response.headers["Link"] = link
    return response


@blueprint.get("/fleet/summary")
@admits("operator", "viewer")
def summary() -> Response:
    """Count machines by presence and version, and daily enrollments and uninstalls."""
    days = summary_query(parameters())
    return json_response(Summary(get_unit(current_state())).of_days(days))
