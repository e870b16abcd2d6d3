"""The API as an OpenAPI document, for other people's programs.

``openapi.json`` beside this module is the source, kept by hand: tests hold it against
the routes, the errors and the real answers, and against the reference for its words.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any
from urllib.parse import quote


def description(path: str, *, with_metrics: bool) -> dict[str, Any]:
    """Return the document, for a server whose routes stand below *path*."""
    source = files(__package__).joinpath("openapi.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(source)
    if not with_metrics:
        del document["paths"]["/metrics"]
    document["servers"] = [{"url": quote(path) or "/"}]
    return document
