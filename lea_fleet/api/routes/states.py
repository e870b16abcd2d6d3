"""Routes for what an operator decides: to block, mute or retire a machine."""

from __future__ import annotations

from flask import Response

from ...app.repository import AgentRepository
from ...app.state import current_state
from ...auth.guard import acting_repository, admits, hides_personal
from ...core.cursors import write_key
from ...core.privacy.hiding import hide
from ...core.machine import stored_form
from ..blueprint import blueprint
from ..payloads.bodies import block_payload, mute_payload, no_payload
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


@blueprint.post("/machines/<machine_id>/mute")
def mute(machine_id: str) -> Response:
    """Let nobody be alerted about a machine for a while."""
    repository = acting_repository()
    until = mute_payload(body(current_state()), repository.unit.now)
    return _muted(repository, machine_id, repository.states.mute(machine_id, until))


@blueprint.delete("/machines/<machine_id>/mute")
def unmute(machine_id: str) -> Response:
    """End the mute of a machine; repeating this changes nothing."""
    no_payload(body(current_state()))
    repository = acting_repository()
    repository.states.unmute(machine_id)
    return _muted(repository, machine_id, None)


def _muted(repository: AgentRepository, machine_id: str, until: str | None) -> Response:
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, "muted_until": until})


@blueprint.post("/machines/<machine_id>/retire")
def retire(machine_id: str) -> Response:
    """Have a machine's agent uninstall itself at its next heartbeat."""
    no_payload(body(current_state()))
    repository = acting_repository()
    retirement = repository.states.retire(machine_id)
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, **retirement})


@blueprint.delete("/machines/<machine_id>/retire")
def cancel_retirement(machine_id: str) -> Response:
    """Cancel a retirement; repeating this changes nothing."""
    no_payload(body(current_state()))
    repository = acting_repository()
    repository.states.cancel_retirement(machine_id)
    known = repository.require(machine_id)["machine_id"]
    return json_response({"machine_id": known, "retired_at": None, "told_at": None})


@blueprint.get("/blocks")
@admits("operator", "viewer")
def blocks() -> Response:
    """List the blocked machines, newest first."""
    query = blocks_query(parameters())
    page, after = acting_repository().states.blocks.page(
        limit=query.limit, after=query.after
    )
    return json_response(
        {
            "blocks": [*map(hide, page)] if hides_personal() else page,
            "next_cursor": None if after is None else write_key(*after),
        }
    )
