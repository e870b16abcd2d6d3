"""The guard of our routes: authenticate each request, and deny by default."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NoReturn, TypeVar

from flask import Response, after_this_request, current_app, g, request
from flask_httpauth import HTTPTokenAuth

from ..app.database import get_repository
from ..app.repository import AgentRepository
from ..core.machine import stored_form
from ..core.problems import (
    REALM,
    AgentUninstalled,
    InsufficientScope,
    InvalidField,
    MissingToken,
    Problem,
    Unauthorized,
    WrongMachine,
)
from ..core.refused import OPERATOR
from .credentials import actor_of, resolve_token
from .principals import Principal, Role
from .sessions import signed_in_operator

#: Return the request itself: the proxy costs a heartbeat 2 µs at each attribute.
_request = request._get_current_object  # type: ignore[attr-defined]

_View = TypeVar("_View", bound=Callable[..., Any])

# An agent that has sent its token sees the same 401 as one that has not.
_NO_FIELD = (
    "No Authorization header field arrived. Send Authorization: Bearer <token>. If it"
    " was sent, it was removed on the way: by a proxy, or by Apache's mod_wsgi without"
    " WSGIPassAuthorization On."
)
_NO_BEARER = (
    "The Authorization header field has no Bearer token. Send Authorization: Bearer"
    " <token>. If that was sent, a proxy has replaced it by a login of its own."
)


class BearerAuth(HTTPTokenAuth):
    """HTTPTokenAuth that reads the token from the raw header, or a host's session.

    Werkzeug parses ``a=b`` as a list of parameters, so that a token with an equals
    sign would never reach the verifier.
    """

    def get_auth(self) -> None:
        """Return None: :meth:`authenticate` reads the header field itself."""

    def authenticate(self, auth: None, stored_password: None) -> Any:
        field = _request().environ.get("HTTP_AUTHORIZATION")
        if field is None:
            after_this_request(_forbid_embedding)
            return signed_in_operator()
        token = _bearer(field)
        return self.verify_token_callback(token) if token else None

    def authorize(self, role: Collection[Role], user: Principal, auth: Any) -> bool:
        if user.role in role or user.has_one_of(role):  # a heartbeat saves a call
            return True
        if user.role == "departed":
            raise AgentUninstalled("This machine has been uninstalled.")
        raise InsufficientScope(f"The role {user.role} does not permit this.")

    def current_user(self) -> Any:
        return g.get("flask_httpauth_user")

    def ensure_sync(self, f: _View) -> _View:
        # Nothing here is a coroutine; Flask would check that at every request.
        return f


def bearer_token() -> str:
    """Return the Bearer token of this request; empty if there is none."""
    return _bearer(_request().environ.get("HTTP_AUTHORIZATION", ""))


def _bearer(field: str) -> str:
    scheme, _, token = field.partition(" ")
    # Not strip(): it removes the last byte of an "à" in UTF-8, read as latin-1.
    return token.strip(" \t") if scheme.lower() == "bearer" else ""


def _forbid_embedding(response: Response) -> Response:
    """Let no page of another origin use the answer to a browser with a session.

    As a script or image, for example, which a browser requests with its cookies.
    """
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    return response


def _refuse(status: int) -> NoReturn:
    field = _request().environ.get("HTTP_AUTHORIZATION")
    raise MissingToken(_NO_FIELD if field is None else _NO_BEARER)


def admits(*roles: Role) -> Callable[[_View], _View]:
    """Declare the *roles* that may call a view; without it, only operators may.

    ``operator`` are those who may change machines, ``viewer`` those who may only read,
    and ``admin`` those operators who may also make others.
    """

    def declare(view: _View) -> _View:
        view.admitted_roles = roles  # type: ignore[attr-defined]
        return view

    return declare


def guarded(view: _View) -> _View:
    """Wrap *view* in the guard, which admits only the roles that it declares."""
    guard = auth.login_required(role=_admitted(view))
    return guard(view)  # type: ignore[no-any-return]


def require_role(*roles: Role) -> None:
    """Refuse the caller as the guard does, unless it has one of the *roles*.

    Whatever the method is: Flask-HTTPAuth lets OPTIONS pass without a token.
    """
    principal = auth.authenticate(None, None)
    if principal is None:
        _refuse(401)
    auth.authorize(roles, principal, None)


def _admitted(view: Callable[..., Any]) -> Collection[Role]:
    roles: Collection[Role] = getattr(view, "admitted_roles", ["operator"])
    return roles


def confirm() -> Principal:
    """Check the caller again, by the present state of the database, and return it.

    Called inside the transaction that writes: the machine may have been uninstalled,
    or the operator's token revoked, since the guard's check. Raises what
    :func:`resolve_token` does, and InsufficientScope.
    """
    principal: Principal = g.flask_httpauth_user
    # Not sees_fleet, whose call each enrollment by an operator would pay for.
    if principal.role in ("operator", "viewer") and principal.operator is None:
        return principal  # by a setting, or vouched for by the host
    principal = resolve_token(bearer_token())
    view = current_app.view_functions[str(request.endpoint)]
    auth.authorize(_admitted(view), principal, None)
    return principal


def caller() -> Principal:
    """Return the principal that the guard found for this request."""
    principal: Principal = g.flask_httpauth_user
    return principal


def hides_personal(*asked: object) -> bool:
    """Tell whether the caller is shown no personal data.

    Raises InsufficientScope if it has *asked* for some: by a search, a filter or an
    order that would tell it all the same.
    """
    if not caller().hides_personal:
        return False
    if any(asked):
        raise InsufficientScope(
            "This token is shown no personal data, and can neither search for it nor"
            " filter or sort by it."
        )
    return True


def holds_operator_token() -> bool:
    """Tell whether the caller holds RPA_API_TOKEN itself."""
    principal = auth.current_user()
    return caller_is_operator() and principal.operator is None and bool(bearer_token())


def caller_is_operator() -> bool:
    """Tell whether the guard has found an operator; False before it has run."""
    principal = auth.current_user()
    return isinstance(principal, Principal) and principal.is_operator


def refused_token(problem: Problem) -> int | None:
    """Return the enrollment token that a refused caller has sent; OPERATOR for theirs.

    None for callers with neither, and for a token that was never issued.
    """
    principal = auth.current_user()
    if isinstance(principal, Principal):
        return OPERATOR if principal.is_operator else principal.enrollment_token
    return problem.enrollment_token if isinstance(problem, Unauthorized) else None


def acting_repository() -> AgentRepository:
    """Return a repository that records the caller as the actor of its events.

    Each of its transactions checks first whether an operator's own token still permits
    the request.
    """
    principal = caller()
    check = None if principal.operator is None else confirm
    return get_repository(actor_of(principal), check)


def target(principal: Principal, machine_id: str | None) -> str:
    """Return the id of the machine that a request is about.

    *machine_id* is the id that was sent, if any; an agent may leave out its own. Raises
    WrongMachine if an agent names another machine, and InvalidField if an operator
    names none.
    """
    own = principal.machine_id
    if own is None:  # an operator or viewer
        if machine_id is None:
            raise InvalidField([{"field": "machine_id", "message": "is required"}])
        return machine_id
    if machine_id is None or own in (machine_id, stored_form(machine_id)):
        return str(own)
    token = principal.agent  # its machine may have been given another id
    if token is None or not get_repository().tokens.is_former_id(token, machine_id):
        raise WrongMachine("This token belongs to another machine.")
    return str(own)


auth = BearerAuth(scheme="Bearer", realm=REALM)
# What these raise reaches the blueprint's error handler unchanged.
auth.verify_token(resolve_token)
auth.error_handler(_refuse)
