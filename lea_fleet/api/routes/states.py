"""Routes for what an operator decides about a machine: to keep it out of the fleet."""

from __future__ import annotations

from flask import Response

from ...app.state import current_state
from ...auth.guard import acting_repository
from ...core.cursors import write_key
from ...core.machine import stored_form
from ..blueprint import blueprint
from ..payloads.bodies import block_payload, no_payload
from ..payloads.queries import blocks_query
from ..requests import body, parameters
from ..responses import json_response


@blueprint.post("/machines/<machine_id>/block")
def block(machine_id: str) -> Response:
    """Block a machine: uninstall it, and refuse to enroll it again."""
    reason = block_payload(body(current_state()))
    blocked = acting_repository().states.block(machine_id, reason)
    return json_response({**blocked.block, "uninstalled": blocked.uninstalled})


@blueprint.delete("/machines/<machine_id>/block")
def unblock(machine_id: str) -> Response:
    """Let a blocked machine enroll again; repeating this changes nothing."""
    no_payload(body(current_state()))
    had = acting_repository().states.unblock(machine_id)
    named = stored_form(machine_id) if had is None else had["machine_id"]
    return json_response({"machine_id": named, "blocked_at": None})


@blueprint.get("/blocks")
def blocks() -> Response:
    """List the blocked machines, newest first."""
    query = blocks_query(parameters())
    page, after = acting_repository().states.blocks.page(
        limit=query.limit, after=query.after
    )
    return json_response(
        {
            "blocks": page,
            "next_cursor": None if after is None else write_key(*after),
        }
    )
