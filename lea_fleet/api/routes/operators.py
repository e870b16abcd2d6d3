"""Routes for operators with a name: create, list and revoke them."""

from __future__ import annotations

from flask import Response

from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import acting_repository, admits, caller
from ...core import tokens
from ...storage.operators import Operators
from ..blueprint import blueprint
from ..payloads.bodies import no_payload, operator_payload
from ..requests import body, numbered
from ..responses import json_response


@blueprint.get("/operators")
@admits("admin")
def list_operators() -> Response:
    """List the operators, newest first, without the secrets."""
    listed = Operators(get_unit(current_state())).list()
    return json_response({"operators": listed})


@blueprint.get("/whoami")
@admits("operator", "viewer")
def show_caller() -> Response:
    """Show who asks, and what their role is."""
    principal = caller()
    role = "admin" if principal.is_admin else principal.role
    known = None
    if principal.operator is not None:
        known = Operators(get_unit(current_state())).require(principal.operator)
    expires_at = None if known is None else known["expires_at"]
    return json_response(
        {
            "name": principal.user,
            "role": role,
            "personal": not principal.hides_personal,
            "expires_at": expires_at,
        }
    )


@blueprint.post("/operators")
@admits("admin")
def create_operator() -> Response:
    """Create an operator, whose token is shown only once."""
    wanted = operator_payload(body(current_state()))
    token = tokens.new_operator_token()
    made = Operators(acting_repository().unit).create(
        token,
        name=wanted.name,
        role=wanted.role,
        lifetime=wanted.lifetime,
        personal=wanted.personal,
    )
    return json_response({"token": token, **made}, 201)


@blueprint.delete("/operators/<operator_id>")
@admits("admin")
def revoke_operator(operator_id: str) -> Response:
    """Revoke an operator's token; repeating this changes nothing."""
    no_payload(body(current_state()))
    number = numbered(operator_id)
    return json_response(Operators(acting_repository().unit).revoke(number))
