"""The OpenAPI document of the API.

Its source, ``openapi.json`` beside this module, is maintained by hand: tests compare it
with the routes, the errors and real responses, and its texts with the reference.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any
from urllib.parse import quote


def description(path: str, *, with_metrics: bool) -> dict[str, Any]:
    """Return the OpenAPI document for a server whose routes are below *path*."""
    source = files(__package__).joinpath("openapi.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(source)
    if not with_metrics:
        del document["paths"]["/metrics"]
    document["servers"] = [{"url": quote(path) or "/"}]
    return document
