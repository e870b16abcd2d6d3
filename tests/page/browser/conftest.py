"""A browser, if one is installed, and real servers for it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from threading import Thread

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from lea_fleet import create_app
from lea_fleet.core import clock
from tests.page.browser.chromium import (
    Tab,
    launch,
    sync_playwright,
    why_there_is_no_browser,
)
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.engines import SqliteFile
from tests.support.fleets import fill

MANY = 100_000


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker("browser")


class Quiet(WSGIRequestHandler):
    def log(self, *args):
        pass


class Fleet:
    """A server in this process, and the operator's other ways to use it."""

    def __init__(self, app, port, page="/fleet"):
        self.app = app
        self.url = f"http://127.0.0.1:{port}{page}"
        self.operator = Api(app.test_client(), OPERATOR_TOKEN)

    def events(self, machine_id):
        answer = self.operator.get(f"/machines/{machine_id}/events").json
        return [event["event"] for event in answer["events"]]


@contextmanager
def served(app, page="/fleet"):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Fleet(app, server.port, page)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["lea_fleet"].store.close_idle()


@pytest.fixture(scope="session")
def browser():
    """The browser. Without one, skip the tests, or fail them if it is required."""
    reason = why_there_is_no_browser()
    if reason is not None:
        if os.environ.get("LEA_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def serve(browser):
    """Start servers that run until the test ends."""
    running = []

    def start(app, page="/fleet"):
        context = served(app, page)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def fleet(serve, database):
    """A server with an empty fleet."""
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
    return serve(create_app(settings))


@pytest.fixture(scope="session")
def many(browser, tmp_path_factory):
    """A server with 100,000 machines, which no test changes."""
    engine = SqliteFile(tmp_path_factory.mktemp("many") / "rpa_data.db")
    fill(engine, (machine(number) for number in range(MANY)))
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, **engine.settings}
    settings["LEA_FLEET_HEARTBEAT_INTERVAL"] = "1d"  # so that all stay online
    with served(create_app(settings)) as fleet:
        yield fleet


def machine(number):
    """Return one of many: every hundredth is silent, every fiftieth uninstalled."""
    now = datetime.now(timezone.utc)
    enrolled = now - timedelta(days=60, seconds=number)
    seen = now - timedelta(days=20) if number % 100 == 0 else now - timedelta(hours=1)
    gone, left = number % 50 == 1, now - timedelta(days=number % 29)
    return {
        "machine_id": f"PC-{number}",
        "user_name": f"Employé {number}",
        "hostname": f"SITE-{number % 40}",
        "version": f"1.{number % 7}.0",
        "enrolled_at": clock.iso(enrolled),
        "last_seen_at": clock.iso(seen),
        "status": "uninstalled" if gone else "active",
        "uninstalled_at": clock.iso(left) if gone else None,
    }


@pytest.fixture
def tab(browser):
    """Open tabs, each in its own browser; fail at the end if one has complaints."""
    opened = []

    def new(fleet, **options):
        opened.append(Tab(browser, fleet.url, **options))
        return opened[-1]

    yield new
    for each in opened:
        each.close()


@pytest.fixture
def sign_in(tab):
    """Open the page of a fleet as an operator."""

    def open_page(fleet, path="", **options):
        return tab(fleet, **options).open(path, token=OPERATOR_TOKEN)

    return open_page
