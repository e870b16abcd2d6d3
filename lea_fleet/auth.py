"""Who is calling, and whether the caller may do what the route does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from flask import current_app, request
from flask_httpauth import HTTPTokenAuth
from werkzeug.datastructures import Authorization

from . import tokens
from .db import get_repository
from .principal import Principal, Role
from .problems import (
    REALM,
    AgentUninstalled,
    InsufficientScope,
    InvalidToken,
    MissingToken,
    TokenRevoked,
    Unauthorized,
    WrongMachine,
)
from .state import current_state

_View = TypeVar("_View", bound=Callable[..., Any])


class BearerAuth(HTTPTokenAuth):
    """HTTPTokenAuth that takes the token as it was sent.

    Werkzeug reads ``a=b`` as a list of parameters, so that a token with an
    equals sign within would never reach the verifier.
    """

    def get_auth(self) -> Authorization:
        return Authorization("bearer", token=_presented_token())


def _presented_token() -> str:
    """Return the Bearer token of this request; empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # Not strip(): in the latin-1 text of UTF-8 bytes it would eat an "à".
    return token.strip(" \t") if scheme.lower() == "bearer" else ""


def _refuse(status: int) -> NoReturn:
    raise MissingToken(
        "Send the token in the header field Authorization: Bearer <token>."
    )


def identify(token: str) -> Principal:
    """Return who holds *token*, by what the database says at this moment.

    An agent's first use of its token is written down here.
    Raises InvalidToken, TokenRevoked and AgentUninstalled, and what the
    database raises.
    """
    if tokens.same_token(token, current_state().settings.api_token):
        return Principal("operator")
    if not tokens.is_agent_token(token):
        raise InvalidToken("This token is not known here.")
    repository = get_repository().tokens
    token_hash = tokens.hash_token(token)
    found = repository.find(token_hash)
    principal = _judge(found)
    if found and principal.role == "agent" and found["first_used_at"] is None:
        repository.mark_used(token_hash)
    return principal


def _judge(found: dict[str, Any] | None) -> Principal:
    if found is None:
        raise InvalidToken("This token is not known here.")
    if found["status"] != "active":
        return _judge_uninstalled(found)
    if found["revoked_at"] is not None or not found["is_current"]:
        raise TokenRevoked("This machine has been enrolled again with another token.")
    return Principal("agent", found["machine_id"])


def _judge_uninstalled(found: dict[str, Any]) -> Principal:
    # The older server uninstalls without revoking; ours revokes at that instant.
    died_with_it = found["revoked_at"] in (None, found["uninstalled_at"])
    if found["is_current"] and died_with_it:
        return Principal("departed", found["machine_id"])
    raise AgentUninstalled("This machine has been uninstalled.")


def authenticate(token: str) -> Principal | None:
    """Return the operator or the live agent that *token* stands for, or None.

    *token* is text as it stands in the header field, without ``Bearer``.
    """
    try:
        principal = identify(token)
    except Unauthorized:
        return None
    return None if principal.role == "departed" else principal


def admits(*roles: Role) -> Callable[[_View], _View]:
    """Declare which *roles* a view is for; without it, only operators."""

    def declare(view: _View) -> _View:
        view.admitted_roles = roles  # type: ignore[attr-defined]
        return view

    return declare


def _guard() -> None:
    _admit(auth.current_user())


def confirm() -> Principal:
    """Return the caller, checked again by what the database says now.

    Called inside the transaction that writes, since an uninstall may have come
    between. Raises what :func:`identify` does, and InsufficientScope.
    """
    return _admit(identify(_presented_token()))


def caller_is_operator() -> bool:
    """Tell whether the guard found an operator."""
    principal = auth.current_user()
    return isinstance(principal, Principal) and principal.is_operator


def target(machine_id: str | None) -> str | None:
    """Return the machine that a caller means who named *machine_id*, or None.

    An agent may leave out its own id. Raises WrongMachine for another one's.
    """
    principal: Principal = auth.current_user()
    if principal.is_operator:
        return machine_id
    if machine_id not in (None, principal.machine_id):
        raise WrongMachine("This token belongs to another machine.")
    return principal.machine_id


def _admit(principal: Principal) -> Principal:
    view = current_app.view_functions[str(request.endpoint)]
    if principal.role in getattr(view, "admitted_roles", ("operator",)):
        return principal
    if principal.role == "departed":
        raise AgentUninstalled("This machine has been uninstalled.")
    raise InsufficientScope(f"This token is of the role {principal.role}.")


auth = BearerAuth(scheme="Bearer", realm=REALM)
# What either of these raises goes to the blueprint's error handler as it is.
auth.verify_token(identify)
auth.error_handler(_refuse)

#: Lets nobody through to a view who is not admitted to it.
guard = auth.login_required(_guard)
