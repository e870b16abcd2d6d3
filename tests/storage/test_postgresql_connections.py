"""How connections to PostgreSQL are opened."""

from __future__ import annotations

import json
import os
import socket
import sys
from types import SimpleNamespace

import psycopg
import pytest

from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.postgresql import new_database

pytestmark = pytest.mark.postgresql

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's socket options")

#: In milliseconds, seconds, seconds, and times.
OPTIONS = (
    "TCP_USER_TIMEOUT",
    "TCP_KEEPIDLE",
    "TCP_KEEPINTVL",
    "TCP_KEEPCNT",
)


@pytest.fixture
def options_of(engine, make_app):
    """Return the socket options of a connection to a URL with these parameters."""

    def read(parameters=""):
        url = f"{engine.settings['LEA_FLEET_DATABASE_URL']}{parameters}"
        store = make_app(LEA_FLEET_DATABASE_URL=url).extensions["lea_fleet"].store
        session = store.acquire()
        try:
            number = os.dup(session.driver.pgconn.socket)
            names = [getattr(socket, name) for name in OPTIONS]
            with socket.socket(fileno=number) as opened:
                return [opened.getsockopt(socket.IPPROTO_TCP, name) for name in names]
        finally:
            store.release(session)

    return read


@linux
def test_a_host_that_is_silent_is_given_up_after_ten_seconds(options_of):
    timeout, idle, interval, count = options_of()

    assert timeout == 10_000
    assert idle + count * interval == 10


@linux
def test_the_url_may_say_otherwise(options_of):
    found = options_of("?tcp_user_timeout=60000&keepalives_idle=30")

    assert found[:2] == [60_000, 30]


@pytest.fixture
def url(postgresql_server):
    with new_database(postgresql_server) as url:
        yield url


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("place", ["database", "environment", "url"])
def test_text_goes_in_utf8_whatever_the_clients_encoding_is_set_to(
    make_app, url, postgresql_admin, monkeypatch, place, encoding
):
    if place == "database":
        name = url.rpartition("/")[2]
        postgresql_admin.execute(
            f"ALTER DATABASE {name} SET client_encoding = {encoding}"
        )
    elif place == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", encoding)
    else:
        url += f"?client_encoding={encoding}"
    app = make_app(LEA_FLEET_DATABASE_URL=url)
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    operator.enroll("PC-1", user_name="Łucja 😀")
    shown = app.test_cli_runner().invoke(args=["fleet", "list", "--json"])

    assert operator.machine("PC-1")["user_name"] == "Łucja 😀"
    assert json.loads(shown.stdout)["agents"][0]["user_name"] == "Łucja 😀"


def test_options_in_the_url_leave_our_timeouts_in_place(make_app, url):
    url += "?options=-c%20work_mem%3D8MB%20-c%20statement_timeout%3D90s"
    store = make_app(LEA_FLEET_DATABASE_URL=url).extensions["lea_fleet"].store
    session = store.acquire()
    names = ("work_mem", "statement_timeout", "lock_timeout")

    found = [session.driver.execute(f"SHOW {name}").fetchone()[0] for name in names]

    store.release(session)
    assert found == ["8MB", "90s", "5s"]


def test_greenlets_run_while_a_statement_waits(make_app, engine, monkeypatch):
    """psycopg lets them, where gevent has patched Python; libpq alone does not."""
    gevent = SimpleNamespace(is_module_patched=lambda name: name == "select")
    monkeypatch.setitem(sys.modules, "gevent.monkey", gevent)
    store = make_app().extensions["lea_fleet"].store
    session = store.acquire()
    waits = []
    monkeypatch.setattr(session.driver, "wait", _counted(session.driver.wait, waits))

    for number in range(5):  # the last ones are prepared
        before = len(waits)
        rows = session.execute("SELECT CAST(:n AS int) WHERE :n = 0", {"n": number})
        assert len(waits) > before
        assert rows.fetchall() == ([(0,)] if number == 0 else [])
    before = len(waits)
    session.command(b"BEGIN; SELECT 1; SELECT 2")
    session.commit()
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("SELECT 1 / CAST(:n AS int)", {"n": 0})
    assert len(waits) == before + 3
    store.release(session)


def _counted(wait, waits):
    def counted(*arguments, **options):
        waits.append(1)
        return wait(*arguments, **options)

    return counted
