"""The blueprint: what happens when it is registered, whichever way that is."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint
from flask.sansio.app import App
from flask.sansio.blueprints import BlueprintSetupState

from ..app.database import close_db
from ..app.engine import open_store
from ..app.settings import ConfigurationError, Settings
from ..app.state import KEY, Counters, FleetState
from ..auth.guard import guarded
from ..page import refuse_taken_address, register_page


class FleetBlueprint(Blueprint):
    """A blueprint that brings its state onto each application it serves.

    One object may serve several applications: what differs between them is in
    ``app.extensions["lea_fleet"]``. Nothing is opened or made here, since
    servers that load the application first fork afterwards.
    """

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register on *app*, by what its config says now.

        The option *with_page* is for the operator's page; a host that does not use
        LeaFleet has one where its config says where.
        Raises ConfigurationError for settings that cannot be, for a second
        registration, for a ``flask`` command group or a page's address that is taken,
        and RuntimeError for an SQLite that is too old.
        """
        if KEY in app.extensions:
            raise ConfigurationError(
                "lea_fleet is registered on this application already. Keep one of"
                " LeaFleet(app), init_app(app) and register_blueprint(blueprint)."
            )
        self._refuse_taken_command(app, options)
        settings = _load_settings(app)
        store = open_store(settings)
        counters = _make_counters(settings)
        options.setdefault("url_prefix", settings.url_prefix)
        with_page = options.pop("with_page", app.config.get("LEA_FLEET_PAGE"))
        page = settings.page if with_page else None
        refuse_taken_address(app, page)
        super().register(app, options)
        register_page(app, page)
        app.extensions[KEY] = FleetState(
            app.config,
            settings,
            (options["url_prefix"] or "").rstrip("/"),
            store,
            settings.presence_rule,
            counters=counters,
        )
        app.teardown_appcontext(partial(close_db, store))

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        *,
        where: str | None = None,
        **options: Any,
    ) -> None:
        """Add a rule that lets nobody through to its view who is not admitted to it.

        It redirects nobody and answers nobody unasked: a redirected POST comes back
        as a GET with the token still on it, and an automatic answer to OPTIONS would
        need no token. With *where*, the rule is only there on applications on which
        the setting of that key is True.
        """
        options["strict_slashes"] = True
        options["merge_slashes"] = False
        options["provide_automatic_options"] = False
        view_func = view_func and guarded(view_func)
        if where is None:
            super().add_url_rule(rule, endpoint, view_func, **options)
            return

        def add(setup: BlueprintSetupState) -> None:
            if setup.app.config.get(where):
                setup.add_url_rule(rule, endpoint, view_func, **options)

        self.record(add)

    def _refuse_taken_command(self, app: App, options: dict[str, Any]) -> None:
        group = options.get("cli_group", self.cli_group)
        if group in app.cli.commands:
            raise ConfigurationError(
                f"This application has a command 'flask {group}' of its own: register"
                " lea_fleet with another cli_group, such as cli_group='lea'."
            )


def _load_settings(app: App) -> Settings:
    """Return the settings of *app*. Raises ConfigurationError.

    Where ``flask`` is only asked to complete what somebody types, commands and
    options are the same whatever the settings are, and an error would be printed
    into that line. What is missing is made up, with a token that nobody knows.
    """
    try:
        return Settings.load(app.config)
    except ConfigurationError:
        if not os.environ.get("_FLASK_COMPLETE"):
            raise
        return Settings.load({"RPA_API_TOKEN": secrets.token_urlsafe()})


def _make_counters(settings: Settings) -> Counters | None:
    """Return what counts requests, where *settings* switch metrics on; else None.

    Raises ConfigurationError where that takes what is not installed.
    """
    if not settings.metrics:
        return None
    try:
        from ..app.counters import ProcessCounters
    except ModuleNotFoundError:
        raise ConfigurationError(
            "LEA_FLEET_METRICS takes prometheus-client:"
            " pip install 'lea-fleet[metrics]'"
        ) from None
    return ProcessCounters()


#: Every route hangs on it; the commands are hung on it by the extension.
blueprint = FleetBlueprint("lea_fleet", __name__, cli_group="fleet")
