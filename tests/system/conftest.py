"""PostgreSQL servers of a test's own."""

from __future__ import annotations

import os

import pytest

from tests.support import shared_postgresql
from tests.support.postgresql import Server, Unavailable


@pytest.fixture(scope="module")
def start_postgresql():
    """Start PostgreSQL servers that the module's tests may stop and kill."""
    servers = []

    def start(**options):
        try:
            servers.append(Server(**options))
            return servers[-1].start()
        except Unavailable as error:
            if shared_postgresql.REQUIRED in os.environ:
                pytest.fail(f"PostgreSQL is required: {error}")
            pytest.skip(f"no PostgreSQL server can be started here: {error}")

    yield start
    for server in servers:
        server.close()
