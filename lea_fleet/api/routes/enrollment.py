"""Into the fleet and out of it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from ...core import clock, tokens
from .. import payloads
from ...auth.guard import (
    acting_repository,
    admits,
    caller,
    confirm,
    holds_operator_token,
    target,
)
from ...app.settings import Settings
from ...auth.issuing import issue_token
from ...core.machine import PERSONAL
from ..payloads import EnrollPayload
from ...auth.principals import Principal
from ...core.problems import InsufficientScope
from ...storage import AgentRepository, Enrolment
from ...app.state import current_state
from ..routing import blueprint
from ..intervals import decide_interval, next_interval
from ..requests import body, required
from ..responses import json_response


@blueprint.post("/enroll")
@admits("operator", "installer")
def enroll() -> Response:
    """Enrol a machine and hand out its token."""
    wanted = payloads.enroll_payload(body(), request.headers.get("Idempotency-Key"))
    principal, state = caller(), current_state()
    _refuse_scope(principal, wanted, state.settings)
    repository = acting_repository()
    with repository.transaction():
        confirm()
        enrolment = _replayed(repository, wanted, principal)
        if enrolment is None:
            enrolment = _enrolled(repository, wanted, principal)
        api_token = issue_token(repository, enrolment.agent)
        decide_interval(state.interval, acting_repository)
    return json_response(
        {
            "status": enrolment.status,
            "machine_id": enrolment.agent["machine_id"],
            "api_token": api_token,
            "heartbeat_interval": next_interval(
                state.interval, clock.now(), acting_repository
            ),
            "agent": _told(enrolment, wanted, principal),
        },
        201,
    )


@blueprint.post("/uninstall")
@admits("operator", "agent", "departed")
def uninstall() -> Response:
    """Mark a machine as uninstalled; doing so again changes nothing."""
    wanted = payloads.uninstall_payload(body())
    machine_id = required(target(caller(), wanted.machine_id))
    repository = acting_repository()
    with repository.transaction():
        confirm()
        agent = repository.uninstall(machine_id, wanted.reason)
    return json_response(
        {
            "status": "uninstalled",
            "machine_id": agent["machine_id"],
            "agent": agent,
        }
    )


def _refuse_scope(
    principal: Principal, wanted: EnrollPayload, settings: Settings
) -> None:
    if wanted.force and not principal.is_operator:
        raise InsufficientScope("Only an operator may enrol by force.")
    # Whoever enrols there is handed the operator's token, and must have it already.
    if settings.issue == "shared" and not holds_operator_token():
        raise InsufficientScope(
            "Where machines are handed the operator's token, it takes that to enrol."
        )


def _replayed(
    repository: AgentRepository, wanted: EnrollPayload, principal: Principal
) -> Enrolment | None:
    """Return the enrolment whose answer this caller never got, if it is that."""
    if wanted.key is None:
        return None
    return repository.replay(
        wanted.machine_id,
        credential=principal.credential,
        key_hash=tokens.hash_token(wanted.key),
    )


def _enrolled(
    repository: AgentRepository, wanted: EnrollPayload, principal: Principal
) -> Enrolment:
    enrolment = repository.enroll(
        wanted.machine_id,
        allow_reactivate=wanted.allow_reactivate,
        force=wanted.force,
        **wanted.details,
    )
    if wanted.key is not None:
        repository.allow_replay(
            enrolment,
            credential=principal.credential,
            key_hash=tokens.hash_token(wanted.key),
        )
    # Counted last, so that a refused enrolment takes no use.
    if principal.enrollment_token is not None:
        repository.enrollment_tokens.use(principal.enrollment_token)
    return enrolment


def _told(
    enrolment: Enrolment, wanted: EnrollPayload, principal: Principal
) -> dict[str, Any]:
    """Return the agent as the caller may see it.

    Of a person, an installer is told what it says itself, and nothing else:
    not even, where an answer is repeated, whether that is what is stored.
    """
    if principal.is_operator:
        return enrolment.agent
    said = {name: wanted.details.get(name) for name in PERSONAL}
    return {**enrolment.agent, **said}
