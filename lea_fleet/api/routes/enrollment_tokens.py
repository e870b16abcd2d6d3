"""Routes to create, list and revoke enrollment tokens."""

from __future__ import annotations

import re

from flask import Response

from ...app.state import current_state
from ...auth.guard import acting_repository
from ...core import tokens
from ...core.limits import LARGEST_ID
from ...core.problems import NotFound
from ..blueprint import blueprint
from ..payloads.bodies import enrollment_token_payload, no_payload
from ..requests import body
from ..responses import json_response

_ID = re.compile("[0-9]{1,19}")


@blueprint.get("/enrollment-tokens")
def list_enrollment_tokens() -> Response:
    """List the enrollment tokens, newest first, without the secrets."""
    listed = acting_repository().enrollment_tokens.list()
    return json_response({"enrollment_tokens": listed})


@blueprint.post("/enrollment-tokens")
def create_enrollment_token() -> Response:
    """Create an enrollment token, which is shown only once."""
    wanted = enrollment_token_payload(body(current_state()))
    token = tokens.new_enrollment_token()
    made = acting_repository().enrollment_tokens.create(
        token, label=wanted.label, lifetime=wanted.lifetime, max_uses=wanted.max_uses
    )
    return json_response({"token": token, **made}, 201)


# Not by a converter for numbers: the host's page would answer what it refuses.
@blueprint.delete("/enrollment-tokens/<token_id>")
def revoke_enrollment_token(token_id: str) -> Response:
    """Revoke an enrollment token; repeating this changes nothing."""
    no_payload(body(current_state()))
    revoked = acting_repository().enrollment_tokens.revoke(_id(token_id))
    return json_response(revoked)


def _id(text: str) -> int:
    """Return the id of an enrollment token. Raises NotFound."""
    if _ID.fullmatch(text) and int(text) <= LARGEST_ID:
        return int(text)
    raise NotFound("The id of an enrollment token is a number.")
