"""Error responses of the API: one class for each error code.

The reference lists codes and actions, with the reason for each action.
"""

from __future__ import annotations

from typing import ClassVar

# Named again: whoever catches one of these finds the base class here too.
from .problem import Problem as Problem
from .rows import Agent

REALM = "lea_fleet"


# 400, 413, 415: the request itself


class InvalidJson(Problem):
    status, code, action = 400, "invalid_json", "fix_request"
    title = "The body is not a JSON object"


class InvalidField(Problem):
    """*errors* is a list of ``{"field": …, "message": …}``, one for each fault."""

    status, code, action = 400, "invalid_field", "fix_request"
    title = "A member of the request is not valid"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        detail = "; ".join(f"{e['field']} {e['message']}" for e in errors)
        super().__init__(f"{detail}.", errors=errors)


class BodyTooLarge(Problem):
    status, code, action = 413, "body_too_large", "fix_request"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    status, code, action = 415, "unsupported_media_type", "fix_request"
    title = "The body must be JSON"

    def headers(self) -> dict[str, str]:
        # RFC 9110, section 15.5.16: what would be supported.
        return {"Accept": "application/json", "Accept-Encoding": "identity"}


# 401: the credential (RFC 6750, section 3.1)


class Unauthorized(Problem):
    """The credential is not valid.

    If it was once, *enrollment_token* is its id, or *token_hash* that of an agent's.
    """

    status = 401
    enrollment_token: int | None = None
    token_hash: str | None = None

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f'Bearer realm="{REALM}", error="invalid_token"'}


class MissingToken(Unauthorized):
    code, action = "missing_token", "fix_request"
    title = "A Bearer token is required"

    def headers(self) -> dict[str, str]:
        # RFC 6750: no error code for a request that tried no credential at all.
        return {"WWW-Authenticate": f'Bearer realm="{REALM}"'}


class InvalidToken(Unauthorized):
    code, action = "invalid_token", "ask_operator"
    title = "The token is not known"


class TokenExpired(Unauthorized):
    code, action = "token_expired", "ask_operator"
    title = "The token has expired"


class TokenRevoked(Unauthorized):
    code, action = "token_revoked", "ask_operator"
    title = "The token has been replaced or revoked"


class AgentUninstalled(Unauthorized):
    code, action = "agent_uninstalled", "reenroll"
    title = "The machine has been uninstalled"


# 403: a valid credential without permission for the request


class Forbidden(Problem):
    status = 403

    def headers(self) -> dict[str, str]:
        challenge = f'Bearer realm="{REALM}", error="insufficient_scope"'
        return {"WWW-Authenticate": challenge}


class InsufficientScope(Forbidden):
    code, action = "insufficient_scope", "ask_operator"
    title = "This token does not permit that"


class CrossSite(Forbidden):
    code, action = "cross_site", "fix_request"
    title = "A signed-in request must come from the same site"


class EnrollmentTokenExhausted(Forbidden):
    code, action = "enrollment_token_exhausted", "ask_operator"
    title = "The enrollment token is used up"


class MachineBlocked(Forbidden):
    """The reason is for operators, who find it with the block."""

    code, action = "machine_blocked", "stop"
    title = "The machine is blocked"

    def __init__(self, machine_id: str) -> None:
        detail = "An operator has blocked this machine: it may not be enrolled."
        super().__init__(detail, machine_id=machine_id)


class WrongMachine(Forbidden):
    code, action = "wrong_machine", "fix_request"
    title = "An agent may act for its own machine only"


# 404, 405: the route


class NotFound(Problem):
    status, code, action = 404, "not_found", "ask_operator"
    title = "There is no such route"


class MethodNotAllowed(Problem):
    """*methods* are those that the path has."""

    status, code, action = 405, "method_not_allowed", "ask_operator"
    title = "The route does not have this method"

    def __init__(self, methods: list[str]) -> None:
        self.methods = ", ".join(methods)
        super().__init__(f"This path is for {self.methods} only.")

    def headers(self) -> dict[str, str]:
        return {"Allow": self.methods}


# 404, 409: the machine


class UnknownAgent(Problem):
    status, code, action = 404, "unknown_agent", "stop"
    title = "No such machine"

    def __init__(self, machine_id: str) -> None:
        detail = "No machine with this id has ever been enrolled."
        super().__init__(detail, machine_id=machine_id)


class UnknownEnrollmentToken(Problem):
    status, code, action = 404, "unknown_enrollment_token", "stop"
    title = "No such enrollment token"

    def __init__(self, token_id: int) -> None:
        super().__init__("There is no enrollment token with this id.", id=token_id)


class UnknownOperator(Problem):
    status, code, action = 404, "unknown_operator", "stop"
    title = "No such operator"

    def __init__(self, operator_id: int) -> None:
        super().__init__("No operator has this id.", operator=operator_id)


class UnknownSelection(Problem):
    status, code, action = 404, "unknown_selection", "fix_request"
    title = "No such selection"


class Conflict(Problem):
    """*agent* is the machine's row; the body shows no personal data of it."""

    status = 409
    reason: ClassVar[str]

    def __init__(self, agent: Agent) -> None:
        super().__init__(
            self.reason,
            machine_id=agent["machine_id"],
            # ``status`` is the HTTP status code in every problem (RFC 9457).
            agent_status=agent["status"],
            enrolled_at=agent["enrolled_at"],
        )


class AlreadyEnrolled(Conflict):
    code, action = "already_enrolled", "ask_operator"
    title = "The machine is already enrolled"
    reason = "This machine is active; an operator can release it to re-enroll once."


class ReactivationRefused(Conflict):
    code, action = "reactivation_refused", "stop"
    title = "The machine was uninstalled"
    reason = "This machine was uninstalled and the request forbids reactivating it."


class MachineUninstalled(Conflict):
    code, action = "machine_uninstalled", "stop"
    title = "The machine is uninstalled"
    reason = "This machine is uninstalled; the request needs an active machine."


class MachineOnline(Conflict):
    code, action = "machine_online", "fix_request"
    title = "The machine is online"
    reason = "This machine is online: it is not one that another has replaced."


# 429: the budget of a machine


class TooManyRotations(Problem):
    status, code, action = 429, "too_many_rotations", "retry"
    title = "The machine has rotated its token too often"

    def __init__(self, retry_after: int) -> None:
        detail = "This machine has rotated its token too often; its tokens stay valid."
        super().__init__(detail)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


# 503: the database


class DatabaseProblem(Problem):
    status = 503
    action = "retry"
    retry_after: ClassVar[int]  # seconds

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class DatabaseBusy(DatabaseProblem):
    code, retry_after = "database_busy", 2
    title = "The database is busy"


class DatabaseUnavailable(DatabaseProblem):
    code, retry_after = "database_unavailable", 30
    title = "The database is not available"
