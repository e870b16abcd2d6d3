"""The application under test, on a database of its own in a fresh folder."""

from __future__ import annotations

import os
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from lea_fleet import create_app
from lea_fleet.app.flushing import forget_all
from lea_fleet.core import clock
from tests.support import shared_postgresql
from tests.support.api import MONITOR_TOKEN, OPERATOR_TOKEN, Api
from tests.support.disks import mounted
from tests.support.engines import ENGINES, PostgresqlSchema, SqliteFile, new_engine
from tests.support.lent_schemas import LentSchemas
from tests.support.postgresql import new_schema
from tests.support.rules import compile_rules_once

compile_rules_once()


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # not a worker of pytest-xdist
        shared_postgresql.begin_run()


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shared_postgresql.end_run()


#: The folders and modules whose tests run on both engines.
_ON_BOTH = (
    "alerts",
    "api",
    "app",
    "auth",
    "cli",
    "page",
    "storage",
    "system/test_concurrency.py",
)

#: The folders whose tests are about a fleet that is there, not about how it begins.
_BEGUN = ("alerts", "api", "auth")


def pytest_generate_tests(metafunc):
    """Run the tests of some folders and modules on both engines.

    One that asks for the file of the database is about SQLite, or is marked ``sqlite``;
    one that is marked ``postgresql`` is about PostgreSQL.
    """
    if "engine" not in metafunc.fixturenames:
        return
    marked = metafunc.definition.get_closest_marker
    module = metafunc.definition.path.relative_to(Path(__file__).parent)
    is_on_both = any(module.is_relative_to(place) for place in _ON_BOTH)
    if marked("postgresql"):
        metafunc.parametrize("engine", ENGINES[1:], indirect=True)
    elif is_on_both and not (marked("sqlite") or "database" in metafunc.fixturenames):
        metafunc.parametrize("engine", ENGINES, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what starts a server itself, so that ``-m`` selects it too.

    Mark also what may have a database with tables. The longest tests come first: at the
    end, all processes but one would be idle.
    """
    for item in items:
        if {"postgresql_server", "start_postgresql"} & {*item.fixturenames}:
            item.add_marker("postgresql")
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in _BEGUN or "begun" in item.fixturenames:
            item.add_marker("tables_made")
    items.sort(key=lambda item: item.path.name != "test_alerts.py")


@pytest.fixture(scope="session")
def postgresql_server():
    """The URL of this run's PostgreSQL server, up to the name of the database."""
    url, reason = shared_postgresql.shared_server()
    if url:
        return url
    if shared_postgresql.REQUIRED in os.environ:
        pytest.fail(f"PostgreSQL is required: {reason}")
    pytest.skip(f"no PostgreSQL server can be started here: {reason}")


@pytest.fixture(autouse=True)
def _push_request_context():
    """Disarm pytest-flask's fixture of this name.

    It keeps one request context around each test, so that ``g`` would survive
    from request to request and no connection would ever be released.
    """


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in [*os.environ]:
        if name.removeprefix("FLASK_").startswith(("RPA_", "LEA_FLEET_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_left_to_log():
    """Forget refusals, which a thread would otherwise log during a later test."""
    yield
    forget_all()


@pytest.fixture
def engine(request, tmp_path):
    """The database of the test, on one of the engines: see :func:`new_engine`."""
    with new_engine(request, tmp_path / "data" / "rpa_data.db") as engine:
        yield engine


@pytest.fixture(scope="session")
def postgresql_admin(postgresql_server):
    """A connection of the administrator, in autocommit."""
    with psycopg.connect(f"{postgresql_server}postgres", autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def lent_schemas(postgresql_admin):
    """The schemas that tests marked ``tables_made`` hand on."""
    return LentSchemas(postgresql_admin)


@pytest.fixture
def sqlite_file(tmp_path):
    """A SQLite file of a fleet; it is not there yet."""
    return SqliteFile(tmp_path / "fleet" / "rpa_data.db")


@pytest.fixture
def postgresql_schema(postgresql_server, postgresql_admin):
    """A schema of PostgreSQL for a fleet; it is not there yet."""
    with new_schema(postgresql_admin) as name:
        yield PostgresqlSchema(f"{postgresql_server}postgres", name)


@pytest.fixture(params=["to PostgreSQL", "to a file"])
def sides(request, sqlite_file, postgresql_schema):
    """The database that a fleet moves from, and the one that it moves to."""
    sqlite_file.path.parent.mkdir()
    both = sqlite_file, postgresql_schema
    return both if request.param == "to PostgreSQL" else both[::-1]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder):
        yield folder


@pytest.fixture
def database(engine):
    """The path of the SQLite file; nothing is there yet."""
    return engine.path


@pytest.fixture
def make_app(engine):
    """Make applications, each with settings of its own, all on one database."""
    made = []

    def make(**settings):
        defaults = {"RPA_API_TOKEN": OPERATOR_TOKEN, **engine.settings}
        app = create_app({**defaults, **settings})
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


@pytest.fixture
def app(make_app):
    """An application with every route that there is."""
    return make_app(LEA_FLEET_METRICS=True, LEA_FLEET_METRICS_TOKEN=MONITOR_TOKEN)


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LOGNAME", "amelie")
    return lambda *words, **options: app.test_cli_runner().invoke(
        args=["fleet", *map(str, words)], **options
    )


@pytest.fixture
def client(app):
    """A test client that keeps no context alive after a request."""
    return app.test_client()


@pytest.fixture
def operator(client):
    return Api(client, OPERATOR_TOKEN)


@pytest.fixture
def begun(client):
    """Let the server make its database, which no reading command does."""
    Api(client, OPERATOR_TOKEN).get("/fleet")


@pytest.fixture
def monitor(client):
    return Api(client, MONITOR_TOKEN)


@pytest.fixture
def elsewhere(make_app):
    """The operator at another worker, for what comes between in a test of a race.

    A request within a request of one application would share its connection.
    """
    return Api(make_app().test_client(), OPERATOR_TOKEN)


@pytest.fixture
def before_writing(monkeypatch, engine):
    """Let something happen, once, right before the next transaction begins."""

    def let(happen):
        waiting = [happen]

        def delaying(begin):
            def delayed(*args):
                while waiting:
                    waiting.pop()()
                return begin(*args)

            return delayed

        for name in ("begin_writing", "write_once"):
            engine.wrap(monkeypatch, name, delaying)

    return let


@pytest.fixture
def anonymous(client):
    return Api(client)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.time = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=timezone.utc)

    def now(self):
        return self.time

    def advance(self, **duration):
        self.time += timedelta(**duration)

    def iso(self):
        return clock.iso(self.time)


@pytest.fixture
def the_clock(monkeypatch):
    """Stop the server's clock; the test moves it."""
    stopped = Clock()
    monkeypatch.setattr(clock, "now", stopped.now)
    return stopped


@pytest.fixture
def deletes_nothing_by_itself(monkeypatch):
    """Have SQLite leave what is deleted where it is, as most builds of it do."""
    connect = sqlite3.connect

    def opened(*args, **options):
        connection = connect(*args, **options)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", opened)
