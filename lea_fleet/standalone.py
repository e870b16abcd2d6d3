"""The plugin on a bare host, so that ``flask --app lea_fleet run`` works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from .extension import LeaFleet


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return an application that is the fleet and nothing else.

    Settings come from *config*, else from the environment: ``RPA_API_TOKEN``
    and ``RPA_AGENTS_DB_PATH`` as they are, everything else the Flask way, such
    as ``FLASK_LEA_FLEET_STALE_AFTER=30d``.
    Raises ConfigurationError for a setting that cannot be.
    """
    app = Flask("lea_fleet")
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
    LeaFleet(app)
    return app
