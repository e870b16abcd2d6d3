"""Credentials: resolve a token to a principal, and issue tokens to machines."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any

from flask import has_request_context, request

from ..app.database import get_repository, get_unit
from ..app.repository import AgentRepository
from ..app.settings import Settings
from ..app.state import current_state
from ..core.problems import (
    AgentUninstalled,
    InvalidToken,
    TokenExpired,
    TokenRevoked,
    Unauthorized,
)
from ..core.rows import Agent, AgentToken, EnrollmentToken
from ..core.tokens import (
    AGENT_PREFIX,
    ENROLLMENT_PREFIX,
    OPERATOR_PREFIX,
    as_bytes,
    hash_token,
    new_agent_token,
)
from ..storage.agent_tokens import AgentTokens
from ..storage.enrollment_tokens import EnrollmentTokens
from ..storage.operators import Operators
from ..storage.unit_of_work import UnitOfWork
from .noting import noting
from .principals import Principal, operator_of


def resolve_token(token: str) -> Principal:
    """Resolve *token* to a principal, by the present state of the database.

    *token* is the text that :func:`bearer_token` returns. An agent's first use of its
    token is recorded here. Raises InvalidToken, TokenExpired, TokenRevoked and
    AgentUninstalled, and the database driver's errors.
    """
    state, presented = current_state(), as_bytes(token)
    if compare_digest(presented, state.settings.api_token.encode()):
        return Principal("operator", is_admin=True)
    if token.startswith(AGENT_PREFIX):
        found = AgentTokens(get_unit(state)).find(hash_token(presented))
        if found is not None and found["state"] in ("unused", "pending"):
            return _use(found)
        return _agent(found)
    if token.startswith(ENROLLMENT_PREFIX):
        unit = get_unit(state)
        return _installer(EnrollmentTokens(unit).find(hash_token(presented)))
    if token.startswith(OPERATOR_PREFIX):
        return _operator(get_unit(state), hash_token(presented))
    monitor = state.settings.metrics_token
    if monitor is not None and compare_digest(presented, monitor.encode()):
        return Principal("monitor")
    raise InvalidToken("This token is not known here.")


def _use(found: AgentToken) -> Principal:
    """Resolve a token again and record its first use, which may revoke another.

    In one transaction: a rotation in the meantime has revoked this token, whose use
    must then not revoke the new one.
    """
    repository = get_repository(actor_of(Principal("agent")))
    with repository.transaction(about=found["machine_id"]):
        principal = _agent(repository.tokens.find(found["token_hash"]))
        if principal.role == "agent" and principal.agent is not None:
            repository.use_token(principal.agent)
        return principal


def actor_of(principal: Principal) -> dict[str, Any]:
    """Return the actor that events name for *principal*, with the request's address."""
    role = "agent" if principal.role == "departed" else principal.role
    actor: dict[str, Any] = {"role": role}
    if principal.enrollment_token is not None:
        actor["enrollment_token"] = principal.enrollment_token
    if principal.user is not None:
        actor["user"] = principal.user
    if principal.operator is not None:
        actor["operator"] = principal.operator
    address = request.remote_addr if has_request_context() else None
    if address is not None:
        actor["address"] = address
    return actor


def _agent(token: AgentToken | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        problem = TokenRevoked("This machine's token has been replaced by another one.")
        problem.token_hash = token["token_hash"]
        raise problem
    if token["state"] == "uninstalled":
        raise AgentUninstalled("This machine has been uninstalled.")
    if token["state"] == "departed":
        return Principal("departed", token["machine_id"], agent=token)
    return Principal("agent", token["machine_id"], agent=token)


def _installer(token: EnrollmentToken | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    problem: Unauthorized | None = None
    if token["state"] == "revoked":
        problem = TokenRevoked("This enrollment token has been revoked.")
    if token["state"] == "expired":
        problem = TokenExpired("This enrollment token has expired.")
    if problem is not None:
        problem.enrollment_token = token["id"]
        raise problem
    # A token that is used up may still request a lost response again.
    return Principal("installer", enrollment_token=token["id"])


def _operator(unit: UnitOfWork, token_hash: str) -> Principal:
    """Resolve the token of an operator with a name, and note its use.

    In a transaction, which asks whether it still permits what is being written, it has
    been noted before.
    """
    operators = Operators(unit)
    is_writing = unit.dialect.in_transaction(unit.session)
    found = (operators.confirm if is_writing else operators.find)(token_hash)
    if found is None:
        raise InvalidToken("This token is not known here.")
    if found["state"] == "revoked":
        raise TokenRevoked("This operator's token has been revoked.")
    if found["state"] == "expired":
        raise TokenExpired("This operator's token has expired.")
    if not is_writing:
        with noting(unit, "The use of an operator's token"):
            operators.note_use(found)
    return operator_of(
        found["role"],
        found["name"] or None,  # erased
        found["id"],
        hides_personal=not found["personal"],
    )


def issue_token(
    repository: AgentRepository,
    settings: Settings,
    agent: Agent,
    said: int | None = None,
) -> str:
    """Issue the token of an *agent* that has just been enrolled, and return it.

    It is stored in the open transaction, with what its installer has *said*; None if
    that is stored with another token of this enrollment. If LEA_FLEET_ISSUE is
    ``shared``, it is the operator's token, and nothing is stored.
    """
    if settings.issue == "shared":
        return settings.api_token
    token = new_agent_token()
    repository.tokens.add(agent, token, said)
    return token
