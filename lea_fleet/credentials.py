"""What a token is worth at this moment. Knows no Flask."""

from __future__ import annotations

from collections.abc import Callable

from . import tokens
from .principal import Principal
from .problems import AgentUninstalled, InvalidToken, TokenExpired, TokenRevoked
from .repository import AgentRepository
from .repository.tokens import Token


def identify(
    token: str, operator_token: str, repository: Callable[[], AgentRepository]
) -> Principal:
    """Return who holds *token*, by what the database says at this moment.

    An agent's first use of its token is written down here. *repository* is
    called only for a token that has to be looked up.
    Raises InvalidToken, TokenExpired, TokenRevoked and AgentUninstalled, and
    what the database raises.
    """
    if tokens.same_token(token, operator_token):
        return Principal("operator")
    if tokens.is_agent_token(token):
        return _identify_agent(tokens.hash_token(token), repository())
    if tokens.is_enrollment_token(token):
        return _identify_installer(tokens.hash_token(token), repository())
    raise InvalidToken("This token is not known here.")


def _identify_agent(token_hash: str, repository: AgentRepository) -> Principal:
    token = repository.tokens.find(token_hash)
    principal = _judge(token)
    if principal.role == "agent" and token and token["first_used_at"] is None:
        return _use(token_hash, repository)
    return principal


def _use(token_hash: str, repository: AgentRepository) -> Principal:
    """Judge a token again and write down its first use, which may end another.

    In one transaction: a rotation that came between has revoked this token, and
    its use must not end the one that took its place.
    """
    with repository.transaction():
        token = repository.tokens.find(token_hash)
        principal = _judge(token)
        if principal.role == "agent" and token:
            repository.use_token(token)
        return principal


def _judge(token: Token | None) -> Principal:
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["status"] != "active":
        return _judge_uninstalled(token)
    if token["revoked_at"] is not None or not token["is_current"]:
        raise TokenRevoked("This machine has another token now.")
    return Principal("agent", token["machine_id"], agent=token)


def _judge_uninstalled(token: Token) -> Principal:
    # The older server uninstalls without revoking; ours revokes at that instant.
    died_with_it = token["revoked_at"] in (None, token["uninstalled_at"])
    if token["is_current"] and died_with_it:
        return Principal("departed", token["machine_id"])
    raise AgentUninstalled("This machine has been uninstalled.")


def _identify_installer(token_hash: str, repository: AgentRepository) -> Principal:
    token = repository.enrollment_tokens.find(token_hash)
    if token is None:
        raise InvalidToken("This token is not known here.")
    if token["state"] == "revoked":
        raise TokenRevoked("This enrolment token has been revoked.")
    if token["state"] == "expired":
        raise TokenExpired("This enrolment token has expired.")
    # One that is used up may still ask again for an answer that was lost.
    return Principal("installer", enrollment_token=token["id"])
