"""The Flask extension ``LeaFleet``, and an application that serves only the fleet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TextIO, cast

from flask import Flask, has_request_context
from flask.logging import default_handler, wsgi_errors_stream

from .api.routes import blueprint
from .app.database import get_host_repository
from .app.repository import AgentRepository
from .app.state import KEY, FleetState, FleetUser, OperatorLoader
from .auth import host_routes
from .auth.principals import Principal
from .cli import register_commands
from .cli.command import FleetGroup

logger = logging.getLogger("lea_fleet")

_commands = FleetGroup()
register_commands(_commands)
blueprint.cli = _commands


class LeaFleet:
    """The fleet plugin, for one application or several.

    Its members work on the application whose context is active. So ``LeaFleet()`` also
    works on a host that has registered ``lea_fleet.blueprint`` itself.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        self._operator_loader: OperatorLoader | None = None
        if app is not None:
            self.init_app(app, **options)

    def init_app(self, app: Flask, **options: Any) -> None:
        """Register the routes, the page and the ``flask fleet`` commands on *app*.

        *options* are those of ``app.register_blueprint``: ``url_prefix``,
        ``cli_group`` and so on. The settings are read now, from ``app.config`` or else
        from environment variables of the same names:

        - ``RPA_API_TOKEN``: the operator's token; required.
        - ``RPA_AGENTS_DB_PATH``: the SQLite file; ``data/databases/rpa_data.db``.
        - ``LEA_FLEET_DATABASE_URL``: none; a PostgreSQL database instead of the file.
        - ``LEA_FLEET_DATABASE_SCHEMA``: ``public``.
        - ``LEA_FLEET_DATABASE_POOLED``: ``False``.
        - ``LEA_FLEET_URL_PREFIX``: ``/api/v1/agents``.
        - ``LEA_FLEET_PAGE``: ``/fleet``; or ``False`` for no page.
        - ``LEA_FLEET_PUBLIC_URL``: none; where machines reach the server.
        - ``LEA_FLEET_ISSUE``: ``agent``; or ``shared``.
        - ``LEA_FLEET_HEARTBEAT_INTERVAL``: ``60s``.
        - ``LEA_FLEET_HEARTBEAT_RATE``: ``200`` a second.
        - ``LEA_FLEET_HEARTBEAT_RESOLUTION``: ``15s``.
        - ``LEA_FLEET_STALE_AFTER``: ``14d``; or ``never``.
        - ``LEA_FLEET_REENROLL_SILENT_AFTER``: ``never``.
        - ``LEA_FLEET_PRESENCE_DAYS``: ``30``.
        - ``LEA_FLEET_BUSY_TIMEOUT``: ``5s``.
        - ``LEA_FLEET_REUSE_CONNECTIONS``: ``True``.
        - ``LEA_FLEET_METRICS``: ``False``.
        - ``LEA_FLEET_METRICS_TOKEN``: none; the operator's works as well.
        - ``LEA_FLEET_REPORTED_TAGS``: none; keys of tags.
        - ``LEA_FLEET_ALERT_AFTER``: ``never``.
        - ``LEA_FLEET_ALERT_SHARE``: none; such as ``0.3``.
        - ``LEA_FLEET_WEBHOOK_URL``: none; one or several.
        - ``LEA_FLEET_WEBHOOK_SECRET``: none; needed for webhooks.
        - ``LEA_FLEET_WEBHOOK_PERSONAL``: ``False``.
        - ``LEA_FLEET_MAIL_TO``: none; one address or several.
        - ``LEA_FLEET_MAIL_FROM``: the first recipient.
        - ``LEA_FLEET_MAIL_LANGUAGE``: ``en``; or ``fr``.
        - ``LEA_FLEET_SMTP_URL``: ``smtp://localhost``.
        - ``LEA_FLEET_CORS``: ``False``.
        - ``LEA_FLEET_CSRF_EXEMPT``: ``True``.

        Nothing is opened or created yet. Raises ConfigurationError for a setting that
        is not valid, for a command group or a path of the page that is taken, and if
        the plugin is already registered; RuntimeError if SQLite is too old.
        """
        options.setdefault("with_page", True)
        app.register_blueprint(blueprint, **options)
        state: FleetState = app.extensions[KEY]
        state.operator_loader = self._load_operator

    def operator_loader(self, loader: OperatorLoader) -> OperatorLoader:
        """Register *loader*, which tells who is signed in to the host.

        It applies to the applications that this object has registered or will
        register. It is called in each request to lea_fleet's routes without an
        ``Authorization`` header field. If it returns the operator's name, True, or a
        FleetUser with the role ``operator``, the request is an operator's; a FleetUser
        without a role is refused with 403; any other result is no credential. A request
        that writes must be JSON and show, by ``Sec-Fetch-Site: same-origin`` or the
        header field ``X-Lea-Fleet``, that it was not sent by another site's page. One
        that reads does not count either if a page of another origin has sent it.
        """
        self._operator_loader = loader
        return loader

    @property
    def repository(self) -> AgentRepository:
        """The fleet's repository, on this application context's connection.

        It is valid until the context ends. Raises DatabaseBusy and
        DatabaseUnavailable.
        """
        return get_host_repository()

    def authenticate(self, token: str) -> Principal | None:
        """Resolve *token* to the operator or an active agent; None for any other.

        For a host's own routes and guards. *token* is the text after ``Bearer`` in the
        header field. If the database is not available, this aborts with 503 and
        ``Retry-After``, so that the host's own error page is shown.
        """
        return host_routes.authenticate(token)

    def _load_operator(self) -> FleetUser | str | bool | None:
        return self._operator_loader() if self._operator_loader else None


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return an application that serves the fleet and nothing else.

    Settings come from *config*, else from the environment, such as
    ``LEA_FLEET_STALE_AFTER=30d``, also with Flask's prefix ``FLASK_``.
    Changes to the fleet are logged on the standard error stream, unless logging is
    configured already. Raises ConfigurationError for a setting that is not valid.
    """
    app = Flask("lea_fleet")
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
    _show_changes()  # first, for the warning of a weak token
    LeaFleet(app)
    return app


def _show_changes() -> None:
    """Log changes where Flask logs, unless logging is configured already."""
    if logger.level or logger.handlers or logging.root.handlers:
        return
    handler = logging.StreamHandler(cast(TextIO, wsgi_errors_stream))
    handler.setFormatter(default_handler.formatter)
    handler.addFilter(_is_for_a_server)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _is_for_a_server(record: logging.LogRecord) -> bool:
    # A command prints what it has done, so its changes need no log line.
    return has_request_context() or record.levelno > logging.INFO
