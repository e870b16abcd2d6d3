"""Routes for one machine: heartbeat, details, events, token rotation and release."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from ...app.cutting_off import cut_off as cut_machine_off
from ...app.database import get_unit
from ...app.signals import agent_seen, send
from ...app.state import FleetState, current_state
from ...auth.guard import (
    acting_repository,
    admits,
    caller,
    confirm,
    hides_personal,
    target,
)
from ...auth.principals import Principal, visible_to
from ...core import clock
from ...core.presence import is_new_hour
from ...core.privacy.hiding import hide, hide_event
from ...core.problems import TooManyRotations
from ...core.rows import Agent, KnownMachine
from ...core.tokens import new_agent_token
from ...storage.budgets import Budget
from ...storage.heartbeats import Heartbeats, changes, unsaid
from ...storage.ignored import Ignored
from ...storage.presence import Presence
from ...storage.retirements import Retirements
from ..blueprint import blueprint
from ..intervals import ask_interval, decide_interval
from ..payloads.bodies import heartbeat_payload, no_payload, release_payload
from ..payloads.queries import events_query
from ..requests import body, parameters
from ..responses import json_response


@blueprint.post("/heartbeat")
@admits("operator", "agent")
def heartbeat() -> Response:
    """Record a heartbeat and changed details of a machine."""
    principal, state, now = caller(), current_state(), clock.now()
    sent = heartbeat_payload(body(state))
    machine_id = target(principal, sent.machine_id)
    machine: KnownMachine
    if principal.agent is not None:
        machine = principal.agent
    else:
        machine = acting_repository().agents.require_active(machine_id)
    ignored = [fault["field"] for fault in sent.ignored] if sent.ignored else []
    news = (
        changes(machine, sent.details)
        or unsaid(machine, sent.details)
        or (ignored and not Ignored(get_unit(state)).is_noted(machine, ignored))
    )
    interval, last = state.interval.next(now), machine["last_seen_at"]
    if news or not state.rule.is_fresh(last, now):
        if news or is_new_hour(last, now) or not _touched(principal, state, now):
            _record(machine_id, sent.details, ignored)
        outcome, learn = "written", decide_interval
    else:
        outcome, learn = "fresh", ask_interval
    if interval is None:
        interval = learn(state.interval, now, get_unit(state))
    if state.counters is not None:
        state.counters.count_heartbeat(outcome)
    send(agent_seen, machine_id=machine["machine_id"])
    answer: dict[str, object] = {
        "status": "ok",
        "machine_id": machine["machine_id"],
        "heartbeat_interval": interval,
        "server_time": clock.iso(now),
    }
    if ignored:
        answer["ignored"] = sent.ignored
    token = principal.agent
    if token is not None and token["retire_told_at"] is not None:
        if not token["retire_told_at"]:
            Retirements(get_unit(state)).tell(token, clock.iso(now))
        answer["retire"] = True
    return json_response(answer)


def _touched(principal: Principal, state: FleetState, now: datetime) -> bool:
    """Update last_seen_at; return whether the agent's token is still valid."""
    if principal.agent is None:
        return False
    return Heartbeats(get_unit(state)).touch(principal.agent, now)


def _record(
    machine_id: str, details: dict[str, str | None], ignored: list[str]
) -> None:
    """Record a heartbeat in a transaction: last_seen_at and changed details."""
    repository = acting_repository()
    with repository.transaction(about=machine_id, durable=False):
        token = confirm().agent
        machine = token or repository.agents.require_active(machine_id)
        Heartbeats(repository.unit).see(machine, details)
        notes = Ignored(repository.unit)
        notes.clear(machine, changes(machine, details))
        if ignored and not notes.is_noted(machine, ignored):
            notes.note(machine, ignored)


@blueprint.get("/machines/<machine_id>")
@admits("operator", "viewer", "agent")
def machine(machine_id: str) -> Response:
    """Show a machine."""
    principal, repository = caller(), acting_repository()
    agent = repository.require(target(principal, machine_id))
    shown = {"agent": visible_to(principal, agent)}
    if principal.sees_fleet:
        states = repository.states.of(agent)
        written = repository.annotations.of(agent)
        if hides_personal():
            states["block"] = states["block"] and hide(states["block"])
            written = hide(written)
        shown |= states | written | {"token": repository.tokens.dates(agent)}
    return json_response(shown)


@blueprint.get("/machines/<machine_id>/presence")
def presence(machine_id: str) -> Response:
    """Show in which hours of the last days a machine was seen."""
    repository = acting_repository()
    agent = repository.require(machine_id)
    return json_response(
        {
            "machine_id": agent["machine_id"],
            "presence_days": repository.unit.rule.presence_days,
            "days": Presence(repository.unit).days(agent),
        }
    )


@blueprint.get("/machines/<machine_id>/events")
@admits("operator", "viewer")
def events(machine_id: str) -> Response:
    """Show a machine's events, newest first."""
    query = events_query(parameters())
    repository = acting_repository()
    agent = repository.require(machine_id)
    page, next_cursor = repository.events.page(
        agent["machine_id"], limit=query.limit, before=query.before
    )
    return json_response(
        {
            "machine_id": agent["machine_id"],
            "events": [
                {name: value for name, value in event.items() if name != "machine_id"}
                for event in (map(hide_event, page) if hides_personal() else page)
            ],
            "next_cursor": None if next_cursor is None else str(next_cursor),
        }
    )


@blueprint.post("/machines/<machine_id>/token")
@admits("operator", "agent")
def rotate(machine_id: str) -> Response:
    """Rotate a machine's token; the old one is valid until the new one is used."""
    machine_id = target(caller(), machine_id)
    no_payload(body(current_state()))
    token = new_agent_token()
    repository = acting_repository()
    budget = Budget(repository.unit, machine_id, "token_rotated")
    # Asked before, since a refusal need not wait for the lock, nor let others wait.
    agent = None
    if not budget.retry_after():
        with repository.transaction(about=machine_id):
            confirm()
            if budget.spend():
                agent = repository.rotate_token(machine_id, token)
    if agent is None:
        raise TooManyRotations(max(1, budget.retry_after()))
    answer = {"machine_id": agent["machine_id"], "api_token": token}
    return json_response(answer, 201)


@blueprint.post("/machines/<machine_id>/cut-off")
def cut_off(machine_id: str) -> Response:
    """End all tokens of a machine, and let it be enrolled once."""
    no_payload(body(current_state()))
    done = cut_machine_off(acting_repository(), machine_id)
    return json_response(
        {
            "machine_id": done.agent["machine_id"],
            "tokens_revoked": done.revoked,
            "released_until": done.released_until,
        }
    )


@blueprint.post("/machines/<machine_id>/release")
def release(machine_id: str) -> Response:
    """Allow an active machine to be re-enrolled once."""
    enrollment_token = release_payload(body(current_state()))
    repository = acting_repository()
    agent = repository.require(machine_id)
    released_until = repository.release(
        agent["machine_id"], enrollment_token=enrollment_token
    )
    return _released(agent, released_until)


@blueprint.delete("/machines/<machine_id>/release")
def cancel_release(machine_id: str) -> Response:
    """Cancel a release; repeating this changes nothing."""
    no_payload(body(current_state()))
    repository = acting_repository()
    agent = repository.require(machine_id)
    repository.cancel_release(agent["machine_id"])
    return _released(agent, None)


def _released(agent: Agent, until: str | None) -> Response:
    return json_response({"machine_id": agent["machine_id"], "released_until": until})
