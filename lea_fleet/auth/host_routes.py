"""Authentication for the host's own routes: a function and two decorators.

Callers that are refused get the host's own error pages for 401, 403 and 503.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, overload

from flask import current_app, g, request
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    ServiceUnavailable,
    Unauthorized,
)
from werkzeug.local import LocalProxy

from ..app.database import attempted_alone, get_repository, problem_of
from ..app.receiving import discard_body
from ..app.state import count_problem, current_state
from ..core import problems
from ..core.rows import OPERATOR_ROLES, Agent
from . import guard as auth
from .credentials import resolve_token
from .principals import Principal
from .reuse import note_reuse
from .sessions import signed_in_operator

_View = TypeVar("_View", bound=Callable[..., Any])

_AGENT = "_lea_fleet_agent"

_NAMED = {
    "viewer": "an operator or viewer",
    "operator": "an operator",
    "admin": "an admin",
}


def authenticate(token: str) -> Principal | None:
    """Resolve *token* to the operator or an active agent; None for any other.

    *token* is the text after ``Bearer`` in the header field. An operator who may only
    read is none here: a guard of the host may ask no more than whether there is one. If
    the database is not available, this aborts with 503 and ``Retry-After``.
    """
    with _host_pages():
        try:
            found = attempted_alone(partial(_principal, token))
        except problems.Unauthorized as problem:  # no refusal: the host decides
            note_reuse(problem)
            return None
    return None if found.role == "viewer" else found


def agent_required(view: _View) -> _View:
    """Let only active agents call *view*, which finds theirs in current_agent.

    Aborts with 401 without a valid token, with 403 for an operator, and with 503 if
    the database is not available.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with _host_pages():
            agent = attempted_alone(_agent_that_calls)
        setattr(g, _AGENT, agent)
        return current_app.ensure_sync(view)(*args, **kwargs)

    return guarded  # type: ignore[return-value]


@overload
def operator_required(view: _View) -> _View: ...


@overload
def operator_required(*, role: str) -> Callable[[_View], _View]: ...


def operator_required(
    view: _View | None = None, *, role: str = "operator"
) -> _View | Callable[[_View], _View]:
    """Let only operators call *view*: by token, or signed in to the host.

    *role* is what they must be at least: ``viewer``, ``operator`` or ``admin``. Aborts
    with 401 without a valid credential, with 403 for an agent, for a role that is less,
    and for a signed-in operator's write that may come from another site, and with 503
    if the database is not available. Raises ValueError for another role.
    """
    if role not in OPERATOR_ROLES:
        raise ValueError(f"The role must be one of {', '.join(OPERATOR_ROLES)}.")
    sufficient = OPERATOR_ROLES[OPERATOR_ROLES.index(role) :]

    def guard(view: _View) -> _View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with _host_pages():
                if not attempted_alone(_operator_or_agent).has_one_of(sufficient):
                    raise problems.InsufficientScope(
                        f"Only {_NAMED[role]} may do this."
                    )
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return guard if view is None else guard(view)


def _agent_that_calls() -> Agent:
    principal = _principal(auth.bearer_token())
    if principal.machine_id is None:
        raise problems.InsufficientScope("Only an agent may do this.")
    agent = get_repository().get(principal.machine_id)
    if agent is None:  # deleted in between
        raise problems.InvalidToken("This token is not known here.")
    return agent


def _operator_or_agent() -> Principal:
    operator = None
    if "Authorization" not in request.headers:
        operator = signed_in_operator()
    return operator or _principal(auth.bearer_token())


def _principal(token: str) -> Principal:
    """Resolve *token* to the operator or an active agent. Raises Unauthorized."""
    if not token:
        raise problems.MissingToken("A token is required.")
    principal = resolve_token(token)
    if principal.role == "departed":
        raise problems.AgentUninstalled("This machine has been uninstalled.")
    if principal.role not in ("operator", "viewer", "agent"):
        raise problems.InvalidToken("This token is for other routes.")
    return principal


def _current_agent() -> Agent:
    agent: Agent | None = g.get(_AGENT)
    if agent is None:
        raise RuntimeError("current_agent is only available under @agent_required.")
    return agent


#: The row of the agent that calls a view with :func:`agent_required`.
current_agent: Agent = LocalProxy(_current_agent)  # type: ignore[assignment]


@contextmanager
def _host_pages() -> Iterator[None]:
    """Turn problems into errors that the host's own error pages answer."""
    try:
        yield
    except current_state().store.errors as error:
        raise _page_of(problem_of(error)) from error
    except problems.Problem as problem:
        raise _page_of(problem) from problem


def _page_of(problem: problems.Problem) -> HTTPException:
    """Count *problem*, and return the error of the host's page for it."""
    count_problem(problem)
    note_reuse(problem)
    discard_body(problem)
    if isinstance(problem, problems.DatabaseProblem):
        return ServiceUnavailable(problem.title, retry_after=problem.retry_after)
    if isinstance(problem, problems.Forbidden):
        return Forbidden(problem.detail)
    return TokenRequired()


class TokenRequired(Unauthorized):
    """A 401 whose challenge has the realm in quotes, as RFC 9110 requires."""

    description = "A valid token is required."

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        challenge = f'Bearer realm="{problems.REALM}"'
        return [*super().get_headers(*args, **kwargs), ("WWW-Authenticate", challenge)]
