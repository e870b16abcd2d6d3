"""On a database of the older server: it works at once, and changes only our tables.

The file is in WAL mode, with ``user_version`` 7 and with tables of the host, one of
which is called ``agent_events``.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.api import assert_problem

pytestmark = pytest.mark.sqlite

LEGACY = Path(__file__).parents[1] / "support" / "data" / "legacy.db"

PEOPLE = {
    "AIVA-PC-001": "Zoé Lefèvre",
    "AIVA-PC-002": "Amélie Noël",
    "{9f2c4e03-77aa-4b1e-9d57-0a03c0ffee03}": "Björn Åkesson",
    "AIVA-PC-004": "Chloé D'Arc",
    "AIVA-PC-005": "李 明",
    "{9f2c4e06-77aa-4b1e-9d57-0a06c0ffee06}": "François Œuvré",
    "AIVA-PC-007": "Inès O’Connor",
    "AIVA-PC-008": "Maël Garçon-Petit",
    "{9f2c4e09-77aa-4b1e-9d57-0a09c0ffee09}": "Léa Sœur",
    "AIVA-PC-010": "Noémie Hérault",
    "AIVA-PC-011": "Théo Château",
    "{9f2c4e12-77aa-4b1e-9d57-0a12c0ffee12}": "Raphaël Îsle",
}
PRAGMAS = (
    "user_version",
    "application_id",
    "page_size",
    "journal_mode",
    "auto_vacuum",
    "encoding",
)


@pytest.fixture(autouse=True)
def legacy(database):
    database.parent.mkdir()
    shutil.copy(LEGACY, database)


def contents(database):
    """Return the pragmas, the schema and the rows of every table of a database."""
    with closing(sqlite3.connect(database)) as connection:
        schema = connection.execute("SELECT name, type, sql FROM sqlite_master")
        schema = {name: made for name, *made in schema}
        rows = {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()
            for name, (kind, _) in schema.items()
            if kind == "table"
        }
        pragmas = [connection.execute(f"PRAGMA {p}").fetchone() for p in PRAGMAS]
    return pragmas, schema, rows


def row(database, machine_id):
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT * FROM enrolled_agents WHERE machine_id = ?"
        return dict(connection.execute(query, (machine_id,)).fetchone())


def test_the_fleet_is_there_newest_first_and_with_every_name(operator):
    fleet = operator.get("/fleet").json

    assert fleet["totals"]["active"] == len(fleet["active"]) == 10
    assert fleet["totals"]["uninstalled"] == len(fleet["uninstalled"]) == 2
    listed = fleet["active"] + fleet["uninstalled"]
    assert {agent["machine_id"]: agent["user_name"] for agent in listed} == PEOPLE
    for agents in (fleet["active"], fleet["uninstalled"]):
        moments = [agent["enrolled_at"] for agent in agents]
        assert moments == sorted(moments, reverse=True)
    assert fleet["active"][0]["machine_id"] == "AIVA-PC-008"


@pytest.mark.parametrize("machine_id", PEOPLE)
def test_each_machine_is_shown_as_it_was_stored(operator, database, machine_id):
    before = row(database, machine_id)

    shown = operator.machine(machine_id)

    assert shown.pop("suspected_clone") is False
    assert shown.pop("presence") in ("online", "offline", "stale", "uninstalled")
    assert shown == before


def test_a_machine_is_heard_through_the_operators_token(operator, database, the_clock):
    machine_id = "{9f2c4e03-77aa-4b1e-9d57-0a03c0ffee03}"
    before = row(database, machine_id)

    response = operator.post("/heartbeat", {"machine_id": machine_id})

    assert response.status_code == 200
    assert row(database, machine_id) == {**before, "last_seen_at": the_clock.iso()}


def test_an_uninstalled_machine_comes_back_with_its_old_details(
    operator, database, the_clock
):
    before = row(database, "AIVA-PC-002")

    agent = operator.enroll("AIVA-PC-002", version="1.4.0")

    assert agent.answer["status"] == "reactivated"
    assert row(database, "AIVA-PC-002") == {
        **before,
        "version": "1.4.0",
        "status": "active",
        "enrolled_at": the_clock.iso(),
        "last_seen_at": the_clock.iso(),
        "uninstalled_at": None,
        "uninstall_reason": None,
    }
    assert agent.heartbeat().status_code == 200


def test_an_active_machine_is_not_enrolled_again(operator, database):
    before = row(database, "AIVA-PC-001")

    response = operator.post("/enroll", {"machine_id": "AIVA-PC-001"})

    assert_problem(response, 409, "already_enrolled")
    assert row(database, "AIVA-PC-001") == before


def test_a_machine_is_uninstalled(operator, database, the_clock):
    before = row(database, "AIVA-PC-005")

    assert operator.uninstall("AIVA-PC-005", reason="remplacé").status_code == 200

    assert row(database, "AIVA-PC-005") == {
        **before,
        "status": "uninstalled",
        "uninstalled_at": the_clock.iso(),
        "uninstall_reason": "remplacé",
    }


def test_an_uninstall_of_the_older_servers_stays_as_it_was(operator, database):
    before = row(database, "AIVA-PC-002")

    response = operator.uninstall("AIVA-PC-002", reason="another one")

    assert response.json["agent"]["uninstall_reason"] == "Départ du collaborateur"
    assert row(database, "AIVA-PC-002") == before


def test_what_is_not_ours_stays_exactly_as_it_was(app, operator, database):
    pragmas, schema, rows = contents(database)

    agent = operator.enroll("AIVA-PC-002")
    agent.heartbeat(hostname="PC-NEUF")
    operator.post("/heartbeat", {"machine_id": "AIVA-PC-004"})
    operator.uninstall("AIVA-PC-005")
    operator.enroll("PC-NEW")
    operator.get("/fleet")
    app.test_cli_runner().invoke(args=["fleet", "list"])
    app.extensions["lea_fleet"].store.close_idle()

    pragmas_now, schema_now, rows_now = contents(database)
    assert pragmas_now == pragmas
    assert {name: schema_now[name] for name in schema} == schema
    for table in ("workflows", "executions", "agent_events"):
        assert rows_now[table] == rows[table] != []
    assert others(rows_now) == others(rows) != []


def others(rows):
    """Return the machines that the test does not use."""
    touched = {"AIVA-PC-002", "AIVA-PC-004", "AIVA-PC-005", "PC-NEW"}
    return [agent for agent in rows["enrolled_agents"] if agent[1] not in touched]


def test_what_is_new_bears_our_name_and_touches_no_other_table(operator, database):
    _, schema, _ = contents(database)
    operator.enroll("PC-NEW").heartbeat()
    _, schema_now, _ = contents(database)

    new = {name: made for name, made in schema_now.items() if name not in schema}

    assert new
    for name, (kind, sql) in new.items():
        assert name.removeprefix("sqlite_autoindex_").startswith("lea_fleet_")
        assert kind in ("table", "index")
        assert "REFERENCES" not in (sql or "").upper()


def test_rows_of_odd_types_encodings_and_statuses_are_listed(operator, database):
    operator.enroll("PC-1")
    connection = sqlite3.connect(database)
    connection.execute(
        "INSERT INTO enrolled_agents (machine_id, user_name, hostname, version,"
        " status, enrolled_at) VALUES ('PC-odd', x'5a6fc3a9', CAST(x'5afF' AS TEXT),"
        " 3, 'disabled', '2026-03-02T07:00:00+00:00')"
    )
    connection.commit()
    connection.close()

    fleet = operator.get("/fleet").json
    (odd,) = [each for each in fleet["uninstalled"] if each["machine_id"] == "PC-odd"]
    shown = [odd[name] for name in ("user_name", "hostname", "version")]
    assert shown == ["Zoé", "Z\ufffd", "3"]
    assert fleet["totals"]["uninstalled"] == len(fleet["uninstalled"])
    assert {**operator.machine("PC-odd"), "tags": [], "note": None} == odd
