"""What a token is worth at this moment. Knows no Flask."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ..core import tokens
from .principals import Principal
from ..core.problems import AgentUninstalled, InvalidToken, TokenExpired, TokenRevoked
from ..storage import AgentRepository, EnrollmentToken
from ..storage.enrollment_tokens import EnrollmentTokenRepository
from ..storage.agent_tokens import Token, TokenRepository


def identify(
    token: str,
    operator_token: str,
    connection: Callable[[], sqlite3.Connection],
    repository: Callable[[], AgentRepository],
    monitor_token: str | None = None,
) -> Principal:
    """Return who holds *token*, by what the database says at this moment.

    *connection* is called for a token that has to be looked up, *repository*
    for an agent's first use of its token, which is written down here.
    Raises InvalidToken, TokenExpired, TokenRevoked and AgentUninstalled, and
    what the database raises.
    """
    if tokens.same_token(token, operator_token):
        return Principal("operator")
    if tokens.is_agent_token(token):
        token_hash = tokens.hash_token(token)
        principal = _judge(TokenRepository(connection()).find(token_hash))
        if principal.agent and principal.agent["state"] != "used":
            return _use(token_hash, repository())
        return principal
    if tokens.is_enrollment_token(token):
        token_hash = tokens.hash_token(token)
        found = EnrollmentTokenRepository(connection()).find(token_hash)
        return _judge_installer(found)
    if monitor_token is not None and tokens.same_token(token, monitor_token):
        return Principal("monitor")
    raise InvalidToken("This token is not known here.")


def _use(token_hash: str, repository: AgentRepository) -> Principal:
    """Judge a token again and write down its first use, which may end another.

    In one transaction: a rotation that came between has revoked this token, and
    its use must not end the one that took its place.
    """
    with repository.transaction():
        principal = _judge(repository.tokens.find(token_hash))
        if principal.agent:
            repository.use_token(principal.agent)
        return principal


def _judge(token: Token | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        raise TokenRevoked("This machine has another token now.")
    if token["state"] == "uninstalled":
        raise AgentUninstalled("This machine has been uninstalled.")
    if token["state"] == "departed":
        return Principal("departed", token["machine_id"])
    return Principal("agent", token["machine_id"], agent=token)


def _judge_installer(token: EnrollmentToken | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        raise TokenRevoked("This enrolment token has been revoked.")
    if token["state"] == "expired":
        raise TokenExpired("This enrolment token has expired.")
    # One that is used up may still ask again for an answer that was lost.
    return Principal("installer", enrollment_token=token["id"])
