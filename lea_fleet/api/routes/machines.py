"""One machine: seen, shown, given another token, let through once more."""

from __future__ import annotations

from flask import Response

from ...core import clock, tokens
from .. import payloads
from ...auth.guard import acting_repository, admits, caller, confirm, target
from ...app.counting import count_heartbeat
from ...app.database import get_repository
from ...storage import Agent, news
from ...app.signals import agent_seen, send
from ...app.state import current_state
from ..intervals import decide_interval, next_interval
from ..requests import body, parameters, required
from ..responses import json_response
from ..routing import blueprint


@blueprint.post("/heartbeat")
@admits("operator", "agent")
def heartbeat() -> Response:
    """Take note that a machine is there, and of what it says about itself."""
    said = payloads.heartbeat_payload(body())
    principal, state, now = caller(), current_state(), clock.now()
    machine_id = required(target(principal, said.machine_id))
    agent = principal.agent or acting_repository().require_active(machine_id)
    changes = news(agent, said.details)
    if changes or not state.rule.is_fresh(agent["last_seen_at"], now):
        if changes or not get_repository().touch(agent, now):
            repository = acting_repository()
            with repository.transaction("NORMAL"):
                agent = confirm().agent or repository.require_active(machine_id)
                repository.see(agent, said.details)
        decide_interval(state.interval, get_repository)
        count_heartbeat(state, "written")
    else:
        count_heartbeat(state, "fresh")
    send(agent_seen, machine_id=agent["machine_id"])
    return json_response(
        {
            "status": "ok",
            "machine_id": agent["machine_id"],
            "heartbeat_interval": next_interval(state.interval, now, get_repository),
            "server_time": clock.iso(now),
        }
    )


@blueprint.get("/machines/<machine_id>")
@admits("operator", "agent")
def machine(machine_id: str) -> Response:
    """Show one machine."""
    machine_id = required(target(caller(), machine_id))
    return json_response({"agent": acting_repository().require(machine_id)})


@blueprint.get("/machines/<machine_id>/events")
def events(machine_id: str) -> Response:
    """Show what happened to one machine, the newest first."""
    query = payloads.events_query(parameters())
    repository = acting_repository()
    agent = repository.require(machine_id)
    page, next_cursor = repository.events.page(
        agent["machine_id"], limit=query.limit, before=query.before
    )
    return json_response(
        {
            "machine_id": agent["machine_id"],
            "events": [
                {name: event[name] for name in event if name != "machine_id"}
                for event in page
            ],
            "next_cursor": None if next_cursor is None else str(next_cursor),
        }
    )


@blueprint.post("/machines/<machine_id>/token")
@admits("operator", "agent")
def rotate(machine_id: str) -> Response:
    """Give a machine another token; the one it has lasts until that is used."""
    machine_id = required(target(caller(), machine_id))
    payloads.no_payload(body())
    token = tokens.new_agent_token()
    repository = acting_repository()
    with repository.transaction():
        confirm()
        agent = repository.rotate_token(machine_id, tokens.hash_token(token))
    answer = {"machine_id": agent["machine_id"], "api_token": token}
    return json_response(answer, 201)


@blueprint.post("/machines/<machine_id>/release")
def release(machine_id: str) -> Response:
    """Let one enrolment of an active machine through."""
    payloads.no_payload(body())
    repository = acting_repository()
    agent = repository.require(machine_id)
    released_until = repository.release(agent["machine_id"])
    return _released(agent, released_until)


@blueprint.delete("/machines/<machine_id>/release")
def cancel_release(machine_id: str) -> Response:
    """Take a release back; doing so again changes nothing."""
    payloads.no_payload(body())
    repository = acting_repository()
    agent = repository.require(machine_id)
    repository.cancel_release(agent["machine_id"])
    return _released(agent, None)


def _released(agent: Agent, until: str | None) -> Response:
    return json_response(
        {"machine_id": agent["machine_id"], "released_until": until}
    )
