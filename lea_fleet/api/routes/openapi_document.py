"""What the API is, for programs that are made for it."""

from __future__ import annotations

from flask import Response, request

from ...auth.guard import admits
from ..openapi import description
from ...app.state import current_state
from ..responses import json_response
from ..blueprint import blueprint


@blueprint.get("/openapi.json")
@admits("operator", "installer", "agent")
def openapi() -> Response:
    """Return this OpenAPI 3.1 document."""
    state = current_state()
    path = request.root_path + state.url_prefix
    return json_response(description(path, with_metrics=state.settings.metrics))
