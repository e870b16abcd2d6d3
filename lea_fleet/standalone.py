"""The plugin on a bare host, so that ``flask --app lea_fleet run`` works."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TextIO, cast

from flask import Flask, has_request_context
from flask.logging import default_handler, wsgi_errors_stream

from .extension import LeaFleet

logger = logging.getLogger("lea_fleet")


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return an application that is the fleet and nothing else.

    Settings come from *config*, else from the environment: ``RPA_API_TOKEN``
    and ``RPA_AGENTS_DB_PATH`` as they are, everything else the Flask way, such
    as ``FLASK_LEA_FLEET_STALE_AFTER=30d``.
    Changes to the fleet are logged on the standard error stream, unless somebody has
    said how to log. Raises ConfigurationError for a setting that cannot be.
    """
    app = Flask("lea_fleet")
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
    LeaFleet(app)
    _show_changes()
    return app


def _show_changes() -> None:
    """Have changes logged where Flask logs, if nobody has said how to log."""
    if logger.level or logger.handlers or logging.root.handlers:
        return
    handler = logging.StreamHandler(cast(TextIO, wsgi_errors_stream))
    handler.setFormatter(default_handler.formatter)
    handler.addFilter(_is_for_a_server)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _is_for_a_server(record: logging.LogRecord) -> bool:
    # A command says by itself what it has done.
    return has_request_context() or record.levelno > logging.INFO
