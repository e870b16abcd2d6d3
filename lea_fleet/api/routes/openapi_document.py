"""Route for the OpenAPI document."""

from __future__ import annotations

from flask import Response, request

from ...app.state import current_state
from ...auth.guard import admits
from ..blueprint import blueprint
from ..openapi import description
from ..responses import json_response


@blueprint.get("/openapi.json")
@admits("operator", "viewer", "installer", "agent")
def openapi() -> Response:
    """Return this OpenAPI 3.1 document."""
    state = current_state()
    path = request.root_path + state.url_prefix
    return json_response(description(path, with_metrics=state.settings.metrics))
