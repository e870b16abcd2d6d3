"""The commands on PostgreSQL: each test has a schema of its own."""

from __future__ import annotations

import psycopg
import pytest

from tests.cli.doctor.calling import STRONG_TOKEN
from tests.support.engines import PostgresqlSchema
from tests.support.postgresql import new_role, new_schema


@pytest.fixture
def url(postgresql_server):
    return f"{postgresql_server}postgres"


@pytest.fixture
def admin(url):
    """A connection of the administrator, in autocommit."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def schema(admin):
    """The name of the schema; it is not there yet."""
    with new_schema(admin) as name:
        yield name


@pytest.fixture
def engine(url, schema):
    return PostgresqlSchema(url, schema)


@pytest.fixture
def app(make_app):
    return make_app(RPA_API_TOKEN=STRONG_TOKEN)


@pytest.fixture
def role(admin, url):
    """A role without any right, and the URL for it."""
    with new_role(admin, url) as role:
        yield role


@pytest.fixture
def as_role(make_app, role):
    """Run ``flask fleet`` as the server of that role."""

    def run(*words):
        app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_DATABASE_URL=role[1])
        return app.test_cli_runner().invoke(args=["fleet", *words])

    return run
