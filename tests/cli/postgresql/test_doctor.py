"""The doctor on PostgreSQL: each check finds its fault in a real server."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from lea_fleet.app.engine import open_administration
from lea_fleet.core import clock
from lea_fleet.core.findings import CannotCheck
from lea_fleet.storage.postgresql import load
from lea_fleet.storage.postgresql.server import version
from tests.cli.doctor.calling import STRONG_TOKEN, call, only, troubles, unchecked
from tests.support.api import Api
from tests.support.postgresql import Server, new_database

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def replicated(postgresql_server):
    """A primary and its synchronous standby."""
    with Server(wal_level="replica") as primary:
        with primary.start().standby("second") as second:
            yield primary, second


@pytest.fixture
def doctor_of(make_app):
    """Return what the doctor finds on the database of a URL."""

    def call_on(url):
        app = make_app(
            RPA_API_TOKEN=STRONG_TOKEN,
            LEA_FLEET_DATABASE_URL=url,
            LEA_FLEET_DATABASE_SCHEMA="public",
        )
        return call(app)

    return call_on


@pytest.fixture
def operator(app):
    return Api(app.test_client(), STRONG_TOKEN)


@pytest.fixture
def fleet(operator):
    operator.enroll("PC-1", user_name="Zoë Straße")
    operator.enroll("PC-2", hostname="NB-2")


@pytest.fixture
def own_database(url):
    """Make a database, with options; it goes after the test."""
    with ExitStack() as made:

        def make(options=""):
            server = url.removesuffix("postgres")
            found = made.enter_context(new_database(server, options))
            return found.removeprefix(server), found

        yield make


def test_before_the_first_request_there_is_nothing_to_find(app, admin, schema):
    found = call(app)

    assert troubles(found) == {}
    assert "may create the schema" in found["rights"]["detail"]
    made = admin.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
    assert made.fetchone() is None


def test_it_only_reads(as_role, fleet, admin, schema, role):
    """Every check is made for a role that may not write, nor has leave to."""
    admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role[0]}")
    admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role[0]}")
    admin.execute(f"ALTER ROLE {role[0]} SET default_transaction_read_only = on")

    result = as_role("doctor")

    assert result.stdout.startswith("fault: primary, rights; ok: ")


def test_no_user_and_no_password_is_printed(as_role, role, fleet):
    result = as_role("doctor")

    assert result.exit_code == 2
    assert "geheim" not in result.output and role[0] not in result.output


# The server


def test_a_server_that_does_not_answer(doctor_of):
    found = doctor_of("postgresql://zoe:geheim@127.0.0.1:1/rpa")

    assert found["reachable"]["level"] == "fault"
    assert "PostgreSQL rpa at 127.0.0.1:1" in found["reachable"]["detail"]
    assert "see reachable" in found["tables"]["detail"]
    assert "geheim" not in str(found) and "zoe" not in str(found)


def test_a_standby_is_a_fault(replicated, doctor_of):
    _, standby = replicated

    found = doctor_of(standby.url())

    assert found["primary"]["level"] == "fault"
    assert "standby" in found["primary"]["detail"]


def test_of_several_hosts_the_primary_is_examined(replicated, doctor_of):
    primary, standby = replicated
    both = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/"

    assert doctor_of(f"{both}postgres")["primary"]["level"] == "ok"


def test_a_role_whose_transactions_are_read_only(as_role, admin, role, app, fleet):
    admin.execute(f"ALTER ROLE {role[0]} SET default_transaction_read_only = on")

    assert "fault    primary: transactions are read-only" in as_role("doctor").output


@pytest.mark.parametrize(
    ("number", "day", "level"),
    [
        (120022, "2026-01-01", "fault"),
        (130023, "2025-11-13", "ok"),
        (130023, "2025-11-14", "warning"),
        (180006, "2030-11-15", "warning"),
        (190001, "2031-01-01", "ok"),
    ],
)
def test_a_version_without_fixes(number, day, level):
    now = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)

    assert version(number, now).level == level


def test_another_encoding(own_database, doctor_of):
    _, url = own_database("ENCODING 'LATIN1' LOCALE 'C'")

    found = doctor_of(url)

    assert troubles(found) == {"encoding": "fault"}
    assert "LATIN1" in found["encoding"]["detail"]


def test_a_column_in_another_order(app, fleet, admin, schema):
    admin.execute(
        f"ALTER TABLE {schema}.enrolled_agents"
        ' ALTER COLUMN hostname_key TYPE text COLLATE "default"'
    )

    found = only(call(app), "collation", "fault")

    assert "enrolled_agents.hostname_key" in found["detail"]


def test_a_collation_of_another_version(own_database, doctor_of, admin):
    has_builtin = admin.info.server_version >= 170000
    provider = "builtin BUILTIN" if has_builtin else "icu ICU"
    name, url = own_database(f"LOCALE_PROVIDER {provider}_LOCALE 'C.UTF-8' LOCALE 'C'")
    assert troubles(doctor_of(url)) == {}
    admin.execute(
        "UPDATE pg_database SET datcollversion = '0.1' WHERE datname = %s", [name]
    )

    found = only(doctor_of(url), "collation", "warning")

    assert "0.1" in found["detail"] and name in found["action"]


def test_clocks_that_differ(app, fleet, monkeypatch):
    ahead = datetime.now(timezone.utc) + timedelta(minutes=10)
    monkeypatch.setattr(clock, "now", lambda: ahead)

    assert "by 600 s" in only(call(app), "server_clock", "warning")["detail"]


# Our tables


def test_a_role_without_rights(as_role, fleet, admin, schema, role):
    output = as_role("doctor").output
    assert f"fault    rights: this role may not use the schema {schema}" in output

    admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role[0]}")
    admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role[0]}")
    output = as_role("doctor").output

    assert "fault    rights: this role may not DELETE enrolled_agents" in output
    assert "flask fleet schema --sql --role" in output


def test_a_role_that_may_not_create_needs_not_to(as_role, app, admin, schema, role):
    admin.execute(
        app.test_cli_runner()
        .invoke(args=["fleet", "schema", "--sql", "--role", role[0]])
        .output
    )
    assert "ok       rights: this role may read and write" in as_role("doctor").output

    admin.execute(f"DROP TABLE {schema}.lea_fleet_pruned")
    output = as_role("doctor").output

    assert "fault    rights: this role may not create tables" in output


def test_a_table_of_another_program(app, admin, schema):
    admin.execute(f"CREATE SCHEMA {schema}")
    admin.execute(f"CREATE TABLE {schema}.lea_fleet_events (id int)")

    found = call(app)

    assert found["tables"]["level"] == "fault"
    assert "lea_fleet_events lacks actor" in found["tables"]["detail"]
    assert "machines" in unchecked(found)


def test_a_missing_index_is_made_at_the_next_request(app, fleet, admin, schema):
    admin.execute(f"DROP INDEX {schema}.lea_fleet_listing")

    assert "lea_fleet_listing" in call(app)["tables"]["detail"]


def test_a_trigger_on_the_table_of_machines(app, fleet, admin, schema):
    admin.execute(
        f"CREATE FUNCTION {schema}.f() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'"
    )
    admin.execute(
        f"CREATE TRIGGER of_the_host BEFORE UPDATE ON {schema}.enrolled_agents"
        f" FOR EACH ROW EXECUTE FUNCTION {schema}.f()"
    )

    assert "of_the_host" in only(call(app), "triggers", "warning")["detail"]


def test_wrong_search_keys_are_found_and_computed_anew(
    app, operator, fleet, run, admin, schema
):
    admin.execute(
        f"UPDATE {schema}.enrolled_agents SET user_name_folded = 'zoë straße'"
        " WHERE machine_id = 'PC-1'"
    )
    admin.execute(  # another program knows nothing of our keys
        f"INSERT INTO {schema}.enrolled_agents (machine_id, enrolled_at, last_seen_at)"
        " SELECT 'PC-3', enrolled_at, last_seen_at"
        f" FROM {schema}.enrolled_agents WHERE machine_id = 'PC-1'"
    )
    admin.execute(
        f"UPDATE {schema}.lea_fleet_releases SET machine_id = 'PC-3'"
        " WHERE machine_id = 'PC-1'"
    )

    found = call(app)["search_keys"]

    assert found["level"] == "warning" and "3 machines, 2 have wrong" in found["detail"]
    assert "--rewrite-keys" in found["action"]
    assert names(operator, "STRASSE") == [] and names(operator, "pc-3") == []
    tried = run("schema", "--rewrite-keys", "--dry-run")
    assert tried.output == "Would rewrite the search keys of 2 machines.\n"
    assert run("schema", "--rewrite-keys").output == (
        "Rewrote the search keys of 2 machines.\n"
    )
    assert call(app)["search_keys"]["level"] == "ok"
    assert names(operator, "STRASSE") == ["PC-1"] and names(operator, "pc-3") == [
        "PC-3"
    ]


def names(operator, text):
    found = operator.get(f"/fleet?q={text}").json["active"]
    return [agent["machine_id"] for agent in found]


def test_keys_are_compared_for_a_bounded_time(app, fleet, monkeypatch):
    monkeypatch.setattr("lea_fleet.storage.postgresql.tables._LONG", -1)

    assert "the newest 2 machines" in call(app)["search_keys"]["detail"]


# What else goes on


def test_a_transaction_that_somebody_has_forgotten(app, fleet, url, monkeypatch):
    monkeypatch.setattr(load, "FORGOTTEN", 0)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1")

        found = only(call(app), "long_transactions", "warning")

        assert f"process {other.info.backend_pid} (idle in" in found["detail"]


def test_a_short_transaction_is_none_of_them(app, fleet, url):
    with psycopg.connect(url) as other:
        other.execute("SELECT 1")
        assert call(app)["long_transactions"]["level"] == "ok"


def test_others_transactions_are_not_shown_to_every_role(as_role, fleet):
    assert "pg_read_all_stats shows others' too" in as_role("doctor").output


def test_the_states_of_standbys(replicated, doctor_of):
    primary, _ = replicated

    found = doctor_of(primary.url())

    assert found["replication"]["detail"] == "second: streaming, sync"


def test_a_slot_that_nobody_uses_keeps_wal(replicated, doctor_of):
    primary, _ = replicated
    with primary.connect() as admin:
        admin.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        try:
            found = only(doctor_of(primary.url()), "replication", "warning")
        finally:
            admin.execute("SELECT pg_drop_replication_slot('gone')")

    assert "the slot gone is not used, and keeps" in found["detail"]


def test_commits_that_wait_for_a_standby_that_is_not_there(replicated, doctor_of):
    primary, _ = replicated
    with primary.connect() as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'third'")
        admin.execute("SELECT pg_reload_conf()")
        with primary.connect() as fresh:  # has the new value from its first statement
            shown = fresh.execute("SHOW synchronous_standby_names").fetchone()
        try:
            found = doctor_of(primary.url())
        finally:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'second'")
            admin.execute("SELECT pg_reload_conf()")

    assert shown == ("third",)
    assert found["replication"]["level"] == "fault"
    assert "every commit waits" in found["replication"]["detail"]


def test_a_limit_of_connections_that_is_nearly_reached(as_role, fleet, admin, role):
    admin.execute(f"ALTER ROLE {role[0]} CONNECTION LIMIT 2")
    with psycopg.connect(role[1]):
        output = as_role("doctor").output

    assert "warning  connections: this role has 2 of 2." in output


def test_no_connection_that_is_left_is_one_of_the_causes(as_role, fleet, admin, role):
    admin.execute(f"ALTER ROLE {role[0]} CONNECTION LIMIT 0")

    output = as_role("doctor").output

    assert "fault    reachable: " in output and "too many connections" in output
    assert "has a connection left" in output


def test_a_lock_is_waited_for_once_and_not_in_each_check(app, fleet, engine):
    reading = open_administration(app.extensions["lea_fleet"].settings).reading(0.2)
    with reading as reading, engine.being_rewritten():
        before = reading.row("SHOW lock_timeout")
        with pytest.raises(CannotCheck, match="lock timeout"):
            reading.fleet.execute("SELECT 1 FROM enrolled_agents")

        assert (before, reading.row("SHOW lock_timeout")) == (("200ms",), ("1ms",))
