"""``LeaFleet``: the plugin as a host application sees it from Python."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

from . import auth
from .db import get_repository
from .principal import Principal
from .problems import DatabaseProblem, database_problem
from .repository import AgentRepository
from .state import current_state
from .views import blueprint


class LeaFleet:
    """The fleet plugin, for one application or several.

    Holds no state of its own: everything it offers is about the application
    whose context is active. So ``LeaFleet()`` also serves a host that has
    registered ``lea_fleet.blueprint`` itself.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        if app is not None:
            self.init_app(app, **options)

    def init_app(self, app: Flask, **options: Any) -> None:
        """Register the routes and the ``flask fleet`` commands on *app*.

        *options* are those of ``app.register_blueprint``: ``url_prefix``,
        ``cli_group`` and so on. Read from ``app.config``, now:

        - ``RPA_API_TOKEN`` (or the environment): the operator's token; required.
        - ``RPA_AGENTS_DB_PATH`` (or the environment): the SQLite file;
          ``data/databases/rpa_data.db``.
        - ``LEA_FLEET_URL_PREFIX``: ``/api/v1/agents``.
        - ``LEA_FLEET_ISSUE``: ``agent``; or ``shared``.
        - ``LEA_FLEET_HEARTBEAT_INTERVAL``: ``60s``.
        - ``LEA_FLEET_HEARTBEAT_RESOLUTION``: ``15s``.
        - ``LEA_FLEET_STALE_AFTER``: ``14d``; or ``never``.
        - ``LEA_FLEET_BUSY_TIMEOUT``: ``5s``.
        - ``LEA_FLEET_REUSE_CONNECTIONS``: ``True``.

        Nothing is opened or created yet. Raises ConfigurationError for a
        setting that cannot be, and where the plugin is registered already.
        """
        app.register_blueprint(blueprint, **options)

    @property
    def repository(self) -> AgentRepository:
        """The fleet's repository, on this application context's connection.

        It may be used until the context ends. Raises DatabaseBusy and
        DatabaseUnavailable.
        """
        return get_repository()

    def authenticate(self, token: str) -> Principal | None:
        """Return the operator or the live agent who holds *token*, or None.

        *token* is the text after ``Bearer`` in the header field. For a host's
        own routes and guards. A database that cannot be asked aborts with 503
        and ``Retry-After``, so that the host's own page for it is shown.
        """
        try:
            return auth.authenticate(token)
        except sqlite3.Error as error:
            raise _unavailable(
                database_problem(error, current_state().settings.database)
            ) from error
        except DatabaseProblem as problem:
            raise _unavailable(problem) from problem


def _unavailable(problem: DatabaseProblem) -> ServiceUnavailable:
    return ServiceUnavailable(problem.title, retry_after=problem.retry_after)
