"""Searches use an index of pg_trgm where the administrator has installed it."""

from __future__ import annotations

import pytest

from lea_fleet.storage.postgresql import candidates
from lea_fleet.storage.postgresql.dialect import DIALECT
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


@pytest.mark.parametrize(
    ("index", "row", "q"),
    [
        ("lea_fleet_search_more", {"user_id": "S-1-5-21-77"}, "1-5-2"),
        ("lea_fleet_search_more", {"os_info": "Windows 11"}, "dows 1"),
        ("lea_fleet_search_notes", {}, "broken"),
    ],
)
def test_each_searched_column_has_an_index(app, admin, operator, schema, index, row, q):
    admin.execute(_EXTENSION)
    operator.enroll("PC-1", **row)
    if not row:
        operator.post("/machines/PC-1/note", {"text": "Is broken"})
    admin.execute(f"SET search_path = {schema}, public")
    admin.execute("SET enable_seqscan = off")
    plans = []
    for query in candidates._finding(DIALECT):
        query = query.replace("%", "%%").replace(":most", "9").replace(":q", "%(q)s")
        plans += admin.execute(f"EXPLAIN {query}", {"q": q}).fetchall()

    assert any(index in line for (line,) in plans)
    assert found(operator, q) == ["PC-1"]


def test_what_is_found_in_notes_and_in_columns_is_found_once(app, operator):
    for name in ("PC-1", "PC-2"):
        operator.enroll(name, hostname="BROKEN" if name == "PC-1" else None)
        operator.post(f"/machines/{name}/note", {"text": "Is broken"})

    assert found(operator, "broken") == ["PC-1", "PC-2"]


def test_many_are_found_without_asking_for_each(app, operator, monkeypatch):
    monkeypatch.setattr(candidates, "_MOST", 1)
    for name in ("PC-1", "PC-2", "PC-3"):
        operator.enroll(name)

    assert found(operator, "pc-") == ["PC-1", "PC-2", "PC-3"]
    assert found(operator, "pc-2") == ["PC-2"]


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
