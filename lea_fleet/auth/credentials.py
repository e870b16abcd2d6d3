"""Credentials: resolve a token to a principal, and issue tokens to machines."""

from __future__ import annotations

from hmac import compare_digest

from flask import has_request_context, request

from ..app.database import get_repository, get_unit
from ..app.repository import AgentRepository
from ..app.settings import Settings
from ..app.state import current_state
from ..core.problems import AgentUninstalled, InvalidToken, TokenExpired, TokenRevoked
from ..core.rows import Agent, AgentToken, EnrollmentToken
from ..core.tokens import (
    AGENT_PREFIX,
    ENROLLMENT_PREFIX,
    as_bytes,
    hash_token,
    new_agent_token,
)
from ..storage.agent_tokens import AgentTokens
from ..storage.enrollment_tokens import EnrollmentTokens
from .principals import Principal


def resolve_token(token: str) -> Principal:
    """Return who holds *token*, by what the database says at this moment.

    *token* is as :func:`bearer_token` gives it. An agent's first use of its token is
    written down here. Raises InvalidToken, TokenExpired, TokenRevoked and
    AgentUninstalled, and what the database raises.
    """
    state, presented = current_state(), as_bytes(token)
    if compare_digest(presented, state.settings.api_token.encode()):
        return Principal("operator")
    if token.startswith(AGENT_PREFIX):
        found = AgentTokens(get_unit(state)).find(hash_token(presented))
        if found is not None and found["state"] in ("unused", "pending"):
            return _use(found)
        return _agent(found)
    if token.startswith(ENROLLMENT_PREFIX):
        unit = get_unit(state)
        return _installer(EnrollmentTokens(unit).find(hash_token(presented)))
    monitor = state.settings.metrics_token
    if monitor is not None and compare_digest(presented, monitor.encode()):
        return Principal("monitor")
    raise InvalidToken("This token is not known here.")


def _use(found: AgentToken) -> Principal:
    """Resolve a token again and write down its first use, which may end another.

    In one transaction: a rotation that came between has revoked this token, and
    its use must not end the one that took its place.
    """
    actor = {"role": "agent"}
    if has_request_context() and request.remote_addr is not None:
        actor["address"] = request.remote_addr
    repository = get_repository(actor)
    with repository.transaction(found["machine_id"]):
        principal = _agent(repository.tokens.find(found["token_hash"]))
        if principal.agent:
            repository.use_token(principal.agent)
        return principal


def _agent(token: AgentToken | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        raise TokenRevoked("This machine has another token now.")
    if token["state"] == "uninstalled":
        raise AgentUninstalled("This machine has been uninstalled.")
    if token["state"] == "departed":
        return Principal("departed", token["machine_id"])
    return Principal("agent", token["machine_id"], agent=token)


def _installer(token: EnrollmentToken | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        raise TokenRevoked("This enrollment token has been revoked.")
    if token["state"] == "expired":
        raise TokenExpired("This enrollment token has expired.")
    # One that is used up may still ask again for an answer that was lost.
    return Principal("installer", enrollment_token=token["id"])


def issue_token(repository: AgentRepository, settings: Settings, agent: Agent) -> str:
    """Return the token for an *agent* that has just been enrolled.

    As a part of the transaction that is open. Where the setting is ``shared`` it is
    the operator's, and nothing is kept of it.
    """
    if settings.issue == "shared":
        return settings.api_token
    token = new_agent_token()
    repository.tokens.add(agent, token)
    return token
