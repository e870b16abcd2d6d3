"""Routes for what operators write about machines: tags, and a note."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import acting_repository, admits, hides_personal
from ...core.privacy.hiding import names_somebody
from ...storage.tags import Tags
from ..blueprint import blueprint
from ..payloads.annotations import note_payload, tags_payload, tags_query
from ..payloads.bodies import no_payload
from ..requests import body, parameters
from ..responses import json_response


@blueprint.get("/tags")
@admits("operator", "viewer")
def tags() -> Response:
    """List the tags in use, and count their machines by presence."""
    name = tags_query(parameters())
    counted = Tags(get_unit(current_state())).counts(name)
    if hides_personal():
        counted = [row for row in counted if not names_somebody(row["tag"])]
    return json_response({"tags": counted})


@blueprint.post("/machines/<machine_id>/tags")
def change_tags(machine_id: str) -> Response:
    """Give a machine tags, and remove others by name."""
    wanted = tags_payload(body(current_state()))
    repository = acting_repository()
    tags = repository.annotations.tag(machine_id, wanted.given, wanted.removed)
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, "tags": tags})


@blueprint.post("/machines/<machine_id>/note")
def write_note(machine_id: str) -> Response:
    """Write a note about a machine, instead of the one before it."""
    text = note_payload(body(current_state()))
    repository = acting_repository()
    note = repository.annotations.note(machine_id, text)
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, "note": note})


@blueprint.delete("/machines/<machine_id>/note")
def remove_note(machine_id: str) -> Response:
    """Remove the note about a machine; repeating this changes nothing."""
    no_payload(body(current_state()))
    repository = acting_repository()
    repository.annotations.remove_note(machine_id)
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, "note": None})
