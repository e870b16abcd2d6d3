"""Searches use an index of pg_trgm where the administrator has installed it."""

from __future__ import annotations

import pytest

from tests.cli.doctor.calling import STRONG_TOKEN, call
from tests.support.api import Api
from tests.support.postgresql import new_database

pytestmark = pytest.mark.postgresql

_EXTENSION = "CREATE EXTENSION pg_trgm"


@pytest.fixture
def url(postgresql_server):
    """The URL of a database for this test alone: an extension is the database's."""
    with new_database(postgresql_server, "ENCODING UTF8") as url:
        yield url


@pytest.fixture
def operator(app):
    return Api(app.test_client(), STRONG_TOKEN)


def found(operator, text):
    listed = operator.get("/fleet", query_string={"q": text}).json["active"]
    return sorted(agent["machine_id"] for agent in listed)


def test_a_new_fleet_has_the_index(app, admin, operator):
    admin.execute(_EXTENSION)
    operator.enroll("PC-1", user_name="Zoë Straße")

    assert "by indexes" in call(app)["search"]["detail"]
    assert found(operator, "STRASSE") == ["PC-1"]


def test_the_index_is_used(app, admin, operator, schema):
    admin.execute(_EXTENSION)
    operator.enroll("PC-1")
    admin.execute("SET enable_seqscan = off")
    condition = app.extensions["lea_fleet"].store.dialect.contains(["hostname"])
    plan = admin.execute(
        f"EXPLAIN SELECT 1 FROM {schema}.enrolled_agents"
        f" WHERE {condition.replace('%', '%%').replace(':q', '%s')}",
        ["paris"] * condition.count(":q"),
    )

    assert any("lea_fleet_search" in line for (line,) in plan)


def test_without_the_extension_all_machines_are_read(app, operator):
    operator.enroll("PC-1", hostname="PARIS-1")

    check = call(app)["search"]
    assert check["level"] == "ok" and "not installed" in check["detail"]
    assert found(operator, "paris") == ["PC-1"]


def test_an_extension_that_came_later_is_told_with_the_remedy(
    app, admin, operator, schema
):
    operator.enroll("PC-1", hostname="PARIS-1")
    admin.execute(_EXTENSION)
    check = call(app)["search"]
    assert check["level"] == "warning" and "schema --sql" in check["action"]

    printed = app.test_cli_runner().invoke(args=["fleet", "schema", "--sql"])
    admin.execute(printed.output.encode())

    assert "by indexes" in call(app)["search"]["detail"]
    assert found(operator, "paris") == ["PC-1"]


@pytest.mark.parametrize("text", ["100%", "a_b", "!", "!%", "\\", "a\\_"])
def test_wildcards_are_letters_like_others(admin, operator, text):
    admin.execute(_EXTENSION)
    operator.enroll("PC-1", hostname=f"x{text}y")
    operator.enroll("PC-2", hostname="100 ab axb xy")

    assert found(operator, text) == ["PC-1"]
