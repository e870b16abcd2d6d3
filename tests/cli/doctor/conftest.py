"""An install that is in order, for the tests to spoil."""

from __future__ import annotations

import pytest

from lea_fleet.core import findings
from lea_fleet.storage.postgresql import server
from tests.support.api import Api
from tests.cli.doctor.calling import STRONG_TOKEN


@pytest.fixture
def app(make_app):
    return make_app(RPA_API_TOKEN=STRONG_TOKEN)


@pytest.fixture
def operator(client):
    return Api(client, STRONG_TOKEN)


@pytest.fixture
def the_clock(the_clock, monkeypatch):
    """Stop the server's clock; that of PostgreSQL goes on, and is not compared."""
    monkeypatch.setattr(server, "_server_clock", lambda reading: findings.ok("ok"))
    return the_clock


@pytest.fixture
def stop(app):
    """Let nobody have the database open."""
    return app.extensions["lea_fleet"].store.close_idle


@pytest.fixture
def fleet(operator, stop):
    """A new install with a machine, whose server has been stopped."""
    operator.enroll("PC-1").heartbeat()
    stop()


@pytest.fixture
def alter(fleet, engine):
    """Run statements of the host's on the database."""

    def run(*statements):
        with engine.connected() as host:
            for statement in statements:
                host.execute(statement)

    return run
