"""How connections to PostgreSQL are opened."""

from __future__ import annotations

import os
import socket
import sys

import pytest

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux's socket options"),
]


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


def test_a_host_that_is_silent_is_given_up_after_ten_seconds(options_of):
    timeout, idle, interval, count = options_of()

    assert timeout == 10_000
    assert idle + count * interval == 10


def test_the_url_may_say_otherwise(options_of):
    found = options_of("?tcp_user_timeout=60000&keepalives_idle=30")

    assert found[:2] == [60_000, 30]
