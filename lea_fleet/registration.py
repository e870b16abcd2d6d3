"""How the blueprint comes onto an application, whichever way it is registered."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.sansio.app import App

from .config import ConfigurationError, Settings
from .connections import Connections
from .db import close_db
from .schema import refuse_old_sqlite
from .state import KEY, FleetState


class FleetBlueprint(Blueprint):
    """A blueprint that brings its state onto each application it serves.

    One object may serve several applications: what differs between them is in
    ``app.extensions["lea_fleet"]``. Nothing is opened or made here, since
    servers that load the application first fork afterwards.
    """

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register on *app*, by what its config says now.

        Raises ConfigurationError for settings that cannot be, for a second
        registration and for a ``flask`` command group that is taken, and
        RuntimeError for an SQLite that is too old.
        """
        if KEY in app.extensions:
            raise ConfigurationError(
                "lea_fleet is registered on this application already. Keep one of"
                " LeaFleet(app), init_app(app) and register_blueprint(blueprint)."
            )
        self._refuse_taken_command(app, options)
        refuse_old_sqlite()
        settings = Settings.load(app.config)
        options.setdefault("url_prefix", settings.url_prefix)
        super().register(app, options)
        app.extensions[KEY] = FleetState(
            settings,
            Connections(
                settings.database,
                busy_timeout=settings.busy_timeout,
                reuse=settings.reuse_connections,
            ),
            url_prefix=(options["url_prefix"] or "").rstrip("/"),
        )
        app.teardown_appcontext(close_db)

    def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
        """Add a rule that redirects nobody and answers nobody unasked.

        A redirected POST comes back as a GET with the token still on it. An
        automatic answer to OPTIONS would need no token.
        """
        options["strict_slashes"] = True
        options["merge_slashes"] = False
        options["provide_automatic_options"] = False
        super().add_url_rule(rule, *args, **options)

    def _refuse_taken_command(self, app: App, options: dict[str, Any]) -> None:
        group = options.get("cli_group", self.cli_group)
        if group in app.cli.commands:
            raise ConfigurationError(
                f"This application has a command 'flask {group}' of its own: register"
                " lea_fleet with another cli_group, such as cli_group='lea'."
            )
