"""Routes to enroll and to uninstall a machine."""

from __future__ import annotations

from flask import Response, request

from ...app.repository import AgentRepository
from ...app.settings import Settings
from ...app.state import current_state
from ...auth.credentials import issue_token
from ...auth.guard import (
    acting_repository,
    admits,
    caller,
    confirm,
    holds_operator_token,
    target,
)
from ...auth.principals import Principal, visible_to
from ...core.machine import PERSONAL, said_in
from ...core.problems import InsufficientScope
from ...core.rows import Agent, Enrollment
from ...core.tokens import as_bytes, hash_token
from ..blueprint import blueprint
from ..intervals import decide_interval
from ..payloads.bodies import EnrollPayload, enroll_payload, uninstall_payload
from ..requests import body
from ..responses import json_response


@blueprint.post("/enroll")
@admits("operator", "installer")
def enroll() -> Response:
    """Enroll a machine and return its token."""
    principal, state = caller(), current_state()
    key = request.headers.get("Idempotency-Key")
    wanted = enroll_payload(body(state), key)
    _refuse_scope(principal, wanted, state.settings)
    repository = acting_repository()
    with repository.transaction(about=wanted.machine_id):
        confirm()
        key_hash = None if wanted.key is None else hash_token(as_bytes(wanted.key))
        enrollment, said = None, None
        if key_hash is not None:
            enrollment = _replayed(repository, wanted, principal, key_hash)
        if enrollment is None:
            enrollment = _enrolled(repository, wanted, principal, key_hash)
            said = said_in(wanted.details)
        api_token = issue_token(repository, state.settings, enrollment.agent, said)
        now = repository.unit.now
        interval = state.interval.next(now)
        if interval is None:
            interval = decide_interval(state.interval, now, repository.unit)
    return json_response(
        {
            "status": enrollment.status,
            "machine_id": enrollment.agent["machine_id"],
            "api_token": api_token,
            "heartbeat_interval": interval,
            "agent": _visible_agent(enrollment, wanted, principal),
        },
        201,
    )


@blueprint.post("/uninstall")
@admits("operator", "agent", "departed")
def uninstall() -> Response:
    """Uninstall a machine; repeating this changes nothing."""
    wanted = uninstall_payload(body(current_state()))
    machine_id = target(caller(), wanted.machine_id)
    repository = acting_repository()
    with repository.transaction(about=machine_id):
        principal = confirm()
        agent = repository.uninstall(machine_id, wanted.reason)
        is_own = principal.is_operator or repository.events.is_own_reason(agent)
    return json_response(
        {
            "status": "uninstalled",
            "machine_id": agent["machine_id"],
            "agent": visible_to(principal, agent, with_reason=is_own),
        }
    )


def _refuse_scope(
    principal: Principal, wanted: EnrollPayload, settings: Settings
) -> None:
    if wanted.force and principal.role != "operator":
        raise InsufficientScope("Only an operator may enroll by force.")
    # The response contains the operator's token, so the caller must have it already.
    if settings.issue == "shared" and not holds_operator_token():
        raise InsufficientScope(
            "Machines share the operator's token here, so only that token can enroll."
        )


def _replayed(
    repository: AgentRepository,
    wanted: EnrollPayload,
    principal: Principal,
    key_hash: str,
) -> Enrollment | None:
    """Return the enrollment that this request repeats, or None."""
    return repository.replay(
        wanted.machine_id, credential=principal.credential, key_hash=key_hash
    )


def _enrolled(
    repository: AgentRepository,
    wanted: EnrollPayload,
    principal: Principal,
    key_hash: str | None,
) -> Enrollment:
    enrollment = repository.enroll(
        wanted.machine_id,
        allow_reactivate=wanted.allow_reactivate,
        force=wanted.force,
        **wanted.details,
    )
    if key_hash is not None:
        repository.allow_replay(
            enrollment, credential=principal.credential, key_hash=key_hash
        )
    # Counted last, so that a refused enrollment takes no use.
    if principal.enrollment_token is not None:
        tags = repository.enrollment_tokens.use(principal.enrollment_token)
        if tags:
            named = enrollment.agent["machine_id"]
            repository.annotations.tags.give_from_token(named, tags)
    return enrollment


def _visible_agent(
    enrollment: Enrollment, wanted: EnrollPayload, principal: Principal
) -> Agent | dict[str, object]:
    """Return the agent as the caller may see it.

    Of personal data, an installer sees only what it has sent itself, whatever is
    stored, also if it repeats a request.
    """
    if principal.role == "operator":
        return enrollment.agent
    sent = {name: wanted.details.get(name) for name in PERSONAL}
    return {**enrollment.agent, **sent}
