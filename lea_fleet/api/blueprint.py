"""The blueprint: set up settings, store, page and state when it is registered."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from flask import Blueprint
from flask.cli import FlaskGroup
from flask.sansio.app import App
from flask.sansio.blueprints import BlueprintSetupState

from ..app.default_settings import database_keys, default_settings
from ..app.database import attempted, close_db
from ..app.engine import open_store
from ..app.flushing import Flusher
from ..app.host_extensions import exempt_from_csrf
from ..app.refusals import Refusals
from ..app.refused_machines import RefusedMachines
from ..app.setting_sources import find_value, unknown_variables
from ..app.setting_values import MAKE_A_TOKEN
from ..app.settings import ConfigurationError, Settings, setting_keys
from ..app.state import KEY, Counters, FleetState, current_state
from ..auth.guard import guarded
from ..core.problems import DatabaseProblem
from ..core.tokens import SHORTEST_API_TOKEN, weakness
from ..page import refuse_taken_address, register_page
from ..storage.interface import Store
from ..storage.refusals import RefusalCounts
from ..storage.refused_writing import RefusedWriting, Repeats
from ..storage.unit_of_work import UnitOfWork

logger = logging.getLogger("lea_fleet")


#: The part of the path that no other rule has matched; see routes/unmatched.py.
UNMATCHED = "lea_fleet_rest"


class FleetBlueprint(Blueprint):
    """A blueprint that sets up its state on each application it is registered on.

    One object may serve several applications: what differs between them is in
    ``app.extensions["lea_fleet"]``. Nothing is opened or created here, since a server
    may fork after loading the application.
    """

    #: Undoes an unmatched request's match where only the host has rules.
    leave_to_host: Callable[[], None]

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register on *app*, with the settings in its config now.

        The option *with_page* tells whether to register the operator's page; by default
        only if LEA_FLEET_PAGE is set.
        Raises ConfigurationError for settings that are not valid, for a second
        registration, for a ``flask`` command group or a path of the page that is taken,
        and for a place where no request would be answered; RuntimeError if SQLite is
        too old.
        """
        if KEY in app.extensions:
            raise ConfigurationError(
                "lea_fleet is already registered on this application. Keep one of"
                " LeaFleet(app), init_app(app) and register_blueprint(blueprint)."
            )
        self._refuse_taken_command(app, options)
        settings, store = _configure(app)
        counters = _make_counters(settings)
        refusals, refused_machines = _make_refusals(store, settings)
        options.setdefault("url_prefix", settings.url_prefix)
        asked = find_value("LEA_FLEET_PAGE", app.config, os.environ).value
        with_page = options.pop("with_page", asked)
        page = settings.page if with_page else None
        subdomain = options.get("subdomain")
        _refuse_unreachable(app, options["url_prefix"], subdomain)
        refuse_taken_address(app, page, subdomain)
        options["settings"] = settings
        super().register(app, options)
        register_page(app, page, subdomain)
        app.extensions[KEY] = FleetState(
            app.config,
            settings,
            (options["url_prefix"] or "").rstrip("/"),
            store,
            settings.presence_rule,
            refusals,
            refused_machines,
            counters=counters,
        )
        app.teardown_appcontext(partial(close_db, store))
        _warn(app, settings)

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
        """Add a rule whose view is behind the guard.

        It has no redirects: a redirected POST comes back as a GET that still bears the
        token. It answers OPTIONS, without a token, only with LEA_FLEET_CORS: browsers
        send no token with a preflight. With *where*, the rule exists only on
        applications for which the attribute of that name in Settings is True.
        """
        options["strict_slashes"] = True
        options["merge_slashes"] = False
        view_func = view_func and attempted(guarded(view_func))

        def add(setup: BlueprintSetupState) -> None:
            settings: Settings = setup.options["settings"]
            if where is None or getattr(settings, where):
                preflight = ["OPTIONS"] if settings.cors else []
                given = {**options, "methods": [*options["methods"], *preflight]}
                given["provide_automatic_options"] = settings.cors
                setup.add_url_rule(rule, endpoint, view_func, **given)

        self.record(add)

    def _refuse_taken_command(self, app: App, options: dict[str, Any]) -> None:
        group = options.get("cli_group", self.cli_group)
        if group in app.cli.commands:
            raise ConfigurationError(
                f"This application has a command 'flask {group}' of its own: register"
                " lea_fleet with another cli_group, such as cli_group='lea'."
            )


def _refuse_unreachable(app: App, prefix: str | None, subdomain: str | None) -> None:
    """Raise ConfigurationError for a place where no request would reach a view.

    *prefix* and *subdomain* include those of the blueprints that ours is nested in.
    """
    if app.url_map.host_matching:
        raise ConfigurationError(
            "lea_fleet's routes have no host, and this application has host_matching:"
            " serve create_app() beside it, for example by DispatcherMiddleware."
        )
    if "<" in (prefix or "") + (subdomain or ""):
        raise ConfigurationError(
            f"lea_fleet's routes have no variables for url_prefix={prefix!r} and"
            f" subdomain={subdomain!r}: pass them without <…>."
        )
    if subdomain and not (app.subdomain_matching and app.config["SERVER_NAME"]):
        raise ConfigurationError(
            f"Without Flask(…, subdomain_matching=True) and SERVER_NAME no request"
            f" reaches subdomain={subdomain!r}."
        )


def _configure(app: App) -> tuple[Settings, Store]:
    """Return the settings of *app* and the store. Raises ConfigurationError.

    For shell completion, settings that are not valid are replaced by the defaults, with
    a random token and the environment's database: commands and options do not depend on
    the settings, and an error would be printed into the line that is being typed.
    """
    try:
        settings = Settings.load(app.config)
        return settings, open_store(settings)
    except ConfigurationError as error:
        if not os.environ.get("_FLASK_COMPLETE"):
            # Not from where a value was read: some tools report the locals there too.
            raise error.with_traceback(None)
    token = secrets.token_urlsafe()
    named = {key: find_value(key, {}, os.environ).value for key in database_keys()}
    try:
        settings = default_settings(token, named)
        return settings, open_store(settings)
    except ConfigurationError:  # the database's are among those that are not valid
        settings = default_settings(token)
        return settings, open_store(settings)


def _warn(app: App, settings: Settings) -> None:
    """Log what is wrong with the settings, but no reason to stop, at a server's start.

    A token that can be guessed, two databases, and misspelled variables of the
    environment. Not while ``flask`` looks for a command, such as ``flask fleet list``,
    or completes one: only the doctor is asked about the settings.
    """
    context = click.get_current_context(silent=True)
    if os.environ.get("_FLASK_COMPLETE") or (context and _is_of_fleet(context)):
        return
    why = weakness(settings.api_token, SHORTEST_API_TOKEN)
    if why is not None:
        logger.warning("RPA_API_TOKEN is weak: %s. Make one: %s", why, MAKE_A_TOKEN)
    path = find_value("RPA_AGENTS_DB_PATH", app.config, os.environ).value
    if settings.database_url is not None and path is not None:
        logger.warning(
            "The fleet is in the database of LEA_FLEET_DATABASE_URL, not at"
            " RPA_AGENTS_DB_PATH, which is set too."
        )
    for fault in unknown_variables(os.environ, setting_keys()):
        logger.warning("In the environment, %s", fault)


def _is_of_fleet(context: click.Context) -> bool:
    """Tell whether a command is being looked for, or is one of ``lea-fleet``."""
    is_looking = isinstance(context.command, FlaskGroup)
    return is_looking or context.find_root().command is blueprint.cli


def _make_counters(settings: Settings) -> Counters | None:
    """Return the request counters if *settings* switch metrics on, else None.

    Raises ConfigurationError if prometheus-client is not installed.
    """
    if not settings.metrics:
        return None
    try:
        from ..app.counters import ProcessCounters
    except ModuleNotFoundError:
        raise ConfigurationError(
            "LEA_FLEET_METRICS needs prometheus-client:"
            " pip install 'lea-fleet[metrics]'"
        ) from None
    return ProcessCounters()


def _make_refusals(
    store: Store, settings: Settings
) -> tuple[Refusals, RefusedMachines]:
    """Return what counts refusals in this process, and saves that in *store*.

    Saved without a request, by the thread that flushes, on a session of its own.
    """

    @contextmanager
    def opened() -> Iterator[UnitOfWork]:
        session = store.acquire()
        try:
            yield UnitOfWork(session, store.dialect, settings.presence_rule)
        finally:
            store.release(session)

    def save_counts(counts: Mapping[str, int]) -> None:
        with opened() as unit:
            RefusalCounts(unit).add(counts)

    def save_machines(repeats: Sequence[Repeats]) -> None:
        with opened() as unit:
            RefusedWriting(unit).write(repeats)

    errors = (*store.errors, DatabaseProblem)
    flusher = Flusher()
    return (
        Refusals(save_counts, errors, flusher),
        RefusedMachines(save_machines, errors, flusher),
    )


#: The routes register on it; the extension adds the commands to it.
blueprint = FleetBlueprint("lea_fleet", __name__, cli_group="fleet")


@blueprint.url_value_preprocessor
def _prepare(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Do what must be done before the host's ``before_request`` functions.

    Exempt the blueprint from CSRFProtect, before that looks at the request; and leave
    the host's routes to the host's guard, which lets our blueprint pass.
    """
    state = current_state()
    if not state.has_looked_for_csrf:
        exempt_from_csrf(state, blueprint)
    if values and UNMATCHED in values:
        blueprint.leave_to_host()
