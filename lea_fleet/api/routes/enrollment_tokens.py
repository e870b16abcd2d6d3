"""Routes to create, list and revoke enrollment tokens."""

from __future__ import annotations

from flask import Response

from ...app.state import current_state
from ...auth.guard import acting_repository, admits, hides_personal
from ...core import tokens
from ...core.privacy.hiding import hide
from ..blueprint import blueprint
from ..payloads.bodies import no_payload
from ..payloads.enrollment_tokens import (
    enrollment_token_payload,
    enrollment_tokens_query,
)
from ..requests import body, numbered, parameters
from ..responses import json_response


@blueprint.get("/enrollment-tokens")
@admits("operator", "viewer")
def list_enrollment_tokens() -> Response:
    """List the enrollment tokens, newest first, without the secrets."""
    state = enrollment_tokens_query(parameters())
    listed = acting_repository().enrollment_tokens.list(state)
    shown = [*map(hide, listed)] if hides_personal() else listed
    return json_response({"enrollment_tokens": shown})


@blueprint.post("/enrollment-tokens")
def create_enrollment_token() -> Response:
    """Create an enrollment token, which is shown only once."""
    wanted = enrollment_token_payload(body(current_state()))
    token = tokens.new_enrollment_token()
    made = acting_repository().enrollment_tokens.create(
        token,
        label=wanted.label,
        lifetime=wanted.lifetime,
        max_uses=wanted.max_uses,
        tags=wanted.tags,
    )
    return json_response({"token": token, **made}, 201)


# Not by a converter for numbers: the host's page would answer what it refuses.
@blueprint.delete("/enrollment-tokens/<token_id>")
def revoke_enrollment_token(token_id: str) -> Response:
    """Revoke an enrollment token; repeating this changes nothing."""
    no_payload(body(current_state()))
    revoked = acting_repository().enrollment_tokens.revoke(numbered(token_id))
    return json_response(revoked)
