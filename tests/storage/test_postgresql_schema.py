"""The schema on PostgreSQL: made once, completed, and made by an administrator."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from lea_fleet import create_app
from lea_fleet.core.problems import DatabaseUnavailable
from lea_fleet.storage.postgresql import schema as schemas
from lea_fleet.storage.postgresql.connections import Connections
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.postgresql import new_role, new_schema

_COUNT = "SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace"


@pytest.fixture
def url(postgresql_server):
    return f"{postgresql_server}postgres"


@pytest.fixture
def admin(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def name(admin):
    with new_schema(admin) as name:
        yield name


@pytest.fixture
def role(admin, url):
    """A role without any right, and the URL for it."""
    with new_role(admin, url) as role:
        yield role


def store(url, name):
    return Connections(url, schema=name, busy_timeout=5, reuse=False, pooled=False)


def open_once(url, name):
    opened = store(url, name)
    opened.release(opened.acquire())


def added(monkeypatch, **additions):
    """Let this version have columns that an older one had not."""
    monkeypatch.setattr(
        schemas,
        "ADDITIONS",
        {tuple(key.split("__")): declared for key, declared in additions.items()},
    )
    for cached in (schemas._parts, schemas._expected_names, schemas._expected_columns):
        monkeypatch.setattr(schemas, cached.__name__, cached.__wrapped__)


def columns(admin, name, table):
    rows = admin.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s",
        [name, table],
    )
    return {column for (column,) in rows}


def test_sixteen_processes_make_it_at_once(url, name, admin):
    code = (
        "from lea_fleet.storage.postgresql.connections import Connections\n"
        f"store = Connections({url!r}, schema={name!r}, busy_timeout=60, reuse=False,"
        " pooled=False)\n"
        "print(flush=True), input()\n"  # until all of them are here
        "store.release(store.acquire())\n"
    )
    command = [sys.executable, "-c", code]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(16)]
    for process in started:
        process.stdout.readline()
    with ThreadPoolExecutor(16) as pool:
        errors = list(pool.map(lambda each: each.communicate("\n")[1], started))

    assert errors == [""] * 16
    assert schemas.look(admin, name).is_complete


def test_threads_of_a_process_make_it_at_once(url, name, admin):
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda _: open_once(url, name), range(16))) == [None] * 16


def test_nothing_is_created_that_is_there(url, name, admin, role):
    """A role that may not create works, since PostgreSQL asks for the right first."""
    admin.execute(schemas.script(name, role[0]))

    open_once(role[1], name)


@pytest.mark.parametrize(
    "missing",
    [
        "INDEX lea_fleet_listing",
        "TABLE lea_fleet_pruned",
        "FUNCTION lea_fleet_in_utc",
    ],
)
def test_what_is_missing_is_made(url, name, admin, missing):
    open_once(url, name)
    kind, what = missing.split()
    admin.execute(f"DROP {kind} {name}.{what}")

    open_once(url, name)

    assert schemas.look(admin, name).is_complete


def test_a_store_that_must_not_begin_makes_nothing(url, name, admin):
    opened = store(url, name)
    opened.never_begin()

    with pytest.raises(DatabaseUnavailable, match=f"no fleet in the schema {name}"):
        opened.acquire()

    assert not schemas.look(admin, name).has_space


def test_a_column_of_a_newer_version_is_added(url, name, admin, monkeypatch):
    open_once(url, name)
    admin.execute(f"ALTER TABLE {name}.lea_fleet_tokens DROP COLUMN former_id")
    added(monkeypatch, lea_fleet_tokens__former_id='text COLLATE "C"')

    assert schemas.look(admin, name).missing_columns() == [
        ("lea_fleet_tokens", "former_id")
    ]
    open_once(url, name)

    assert "former_id" in columns(admin, name, "lea_fleet_tokens")


def test_a_table_of_another_program_is_left_alone(url, name, admin):
    admin.execute(f"CREATE SCHEMA {name}")
    admin.execute(f"CREATE TABLE {name}.lea_fleet_events (id int)")

    with pytest.raises(DatabaseUnavailable, match="lea_fleet_events that is not"):
        open_once(url, name)

    assert columns(admin, name, "lea_fleet_events") == {"id"}
    assert admin.execute(_COUNT, [name]).fetchone() == (1,)


# For an administrator


def test_the_script_is_safe_to_run_twice(url, name, admin, role):
    for _ in range(2):
        admin.execute(schemas.script(name, role[0]))

    assert schemas.look(admin, name).is_complete


def test_the_script_completes_an_older_version(name, admin, monkeypatch):
    admin.execute(schemas.script(name, None))
    admin.execute(f"ALTER TABLE {name}.lea_fleet_tokens DROP COLUMN former_id")
    admin.execute(f"DROP TABLE {name}.lea_fleet_pruned")
    added(monkeypatch, lea_fleet_tokens__former_id='text COLLATE "C"')

    admin.execute(schemas.script(name, None))

    assert schemas.look(admin, name).is_complete


def test_a_server_that_may_not_create_names_the_command_and_works_after_it(
    url, name, admin, role
):
    app = create_app(
        {
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            "LEA_FLEET_DATABASE_URL": role[1],
            "LEA_FLEET_DATABASE_SCHEMA": name,
        }
    )
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    refused = operator.get("/fleet")

    assert (refused.status_code, refused.json["code"]) == (503, "database_unavailable")
    assert "flask fleet schema --sql" in refused.json["detail"]
    run = app.test_cli_runner().invoke
    admin.execute(run(args=["fleet", "schema", "--sql", "--role", role[0]]).output)
    operator.enroll("PC-1", user_email="zoe@example.com")
    assert operator.get("/fleet").json["totals"]["active"] == 1
    assert run(args=["fleet", "token", "create"]).exit_code == 0
    assert run(args=["fleet", "erase", "PC-1", "--yes"]).exit_code == 0
    with psycopg.connect(role[1]) as connection:
        (may_create,) = connection.execute(
            "SELECT has_schema_privilege(%s, 'CREATE')", [name]
        ).fetchone()
    assert not may_create
    app.extensions["lea_fleet"].store.close_idle()


def test_names_that_need_quotes_are_quoted(admin, name):
    odd = f'Lea "{uuid4().hex}'
    quoted = odd.replace('"', '""')
    admin.execute(f'CREATE ROLE "{quoted}"')
    try:
        admin.execute(schemas.script(name, odd))
    finally:
        admin.execute(f'DROP OWNED BY "{quoted}"')
        admin.execute(f'DROP ROLE "{quoted}"')
