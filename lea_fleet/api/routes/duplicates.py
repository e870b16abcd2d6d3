"""Routes for machines that others have replaced: list them, and uninstall one."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.replacements import replace as replace_machine
from ...app.state import current_state
from ...auth.guard import acting_repository, admits
from ...core.limits import DEFAULT_MACHINES
from ...storage.duplicates import Duplicates
from ..blueprint import blueprint
from ..payloads.bodies import replacement_payload
from ..payloads.queries import duplicates_query
from ..requests import body, next_page, parameters
from ..responses import json_response


@blueprint.get("/duplicates")
@admits("operator", "viewer")
def duplicates() -> Response:
    """List the active machines that others seem to have replaced."""
    limit, after = duplicates_query(parameters())
    pairs, cursor = Duplicates(get_unit(current_state())).page(
        limit=limit or DEFAULT_MACHINES, after=after
    )
    listed = [
        {"machine_id": pair.former, "by": pair.heir, "because": pair.because}
        for pair in pairs
    ]
    response = json_response({"duplicates": listed, "next_cursor": cursor})
    if cursor is not None:
        response.headers["Link"] = f'<{next_page(cursor)}>; rel="next"'
    return response


@blueprint.post("/machines/<machine_id>/replace")
def replace(machine_id: str) -> Response:
    """Uninstall a machine that another one has replaced."""
    sent = replacement_payload(body(current_state()))
    repository = acting_repository()
    agent, heir = replace_machine(repository, machine_id, sent.by, force=sent.force)
    return json_response({"machine_id": agent["machine_id"], "by": heir["machine_id"]})
