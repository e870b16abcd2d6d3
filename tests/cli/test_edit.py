"""``flask fleet edit``: mend a machine's id or details; its token stays what it is."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from lea_fleet.core.machine import DETAILS
from lea_fleet.storage.edits import CARRIED
from tests.support.api import assert_problem

CLI = {"role": "cli", "os_user": "amelie"}
SCHEMA = files("lea_fleet").joinpath("storage/sqlite/schema.sql").read_text("utf-8")


def events(operator, machine_id):
    return operator.get(f"/machines/{machine_id}/events").json["events"]


@pytest.fixture
def rows(engine):
    """Return the rows about a machine, without its id, by table."""

    def rows(machine_id):
        found = {}
        with engine.connected() as connection:
            for table in CARRIED:
                query = f"SELECT * FROM {table} WHERE machine_id = ?"
                selected = connection.execute(query, [machine_id])
                names = [column[0] for column in selected.description]
                rows = [dict(zip(names, row)) for row in selected]
                found[table] = [{**row, "machine_id": None} for row in rows]
        return found

    return rows


@pytest.fixture
def agent(operator, engine, the_clock):
    """An agent whose machine has a row in each table."""
    key = {"Idempotency-Key": "again"}
    enrolling = {"machine_id": "PC-l", "user_name": "Zoé", "hostname": "A"}
    operator.installer()
    enrolled = operator.post("/enroll", enrolling, headers=key)
    agent = type(operator)(operator.client, enrolled.json["api_token"])
    for hostname in ("B", "A"):  # a suspected clone
        agent.post("/heartbeat", {"hostname": hostname, "user_name": "x" * 256})
    operator.post("/machines/PC-l/release")
    operator.post("/machines/PC-l/mute", {"for": "1d"})
    operator.post("/machines/PC-l/retire")
    operator.post("/machines/PC-l/tags", {"add": ["vip"]})
    operator.post("/machines/PC-l/note", {"text": "Broken"})
    told = {"machine_id": "PC-l", "detail": "{}", "at": the_clock.iso()}
    engine.insert("lea_fleet_alerts", alert="machine.silent", **told)
    engine.insert("lea_fleet_silences", machine_id="PC-l", seen_at=the_clock.iso())
    return agent


def test_everything_about_the_machine_has_the_new_id(run, operator, agent, rows):
    before = rows("PC-l")
    assert all(before.values())
    shown = operator.machine("PC-l")

    result = run("edit", "PC-l", "--id", "PC-1")

    assert (result.exit_code, result.stdout) == (
        0,
        "PC-l: machine_id is PC-1, was PC-l\n",
    )
    assert_problem(operator.get("/machines/PC-l"), 404, "unknown_agent")
    assert operator.machine("PC-1") == {**shown, "machine_id": "PC-1"}
    after = rows("PC-1")
    *earlier, edited = after.pop("lea_fleet_events")
    assert earlier == before.pop("lea_fleet_events")
    assert edited["event"] == "edited"
    for token in after["lea_fleet_tokens"]:
        assert token.pop("former_id") == "PC-l"
    for token in before["lea_fleet_tokens"]:
        assert token.pop("former_id") is None
    assert after == before
    assert not any(rows("PC-l").values())


def test_the_list_of_tables_is_complete():
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \(([^;]*)\)", SCHEMA)
    about = {name for name, columns in tables if "machine_id TEXT" in columns}

    # The id of a blocked machine is not mended, and refusals are about ids as sent; the
    # index for searches is told the new id.
    others = {"enrolled_agents", "lea_fleet_blocks", "lea_fleet_refused"}
    others.add("lea_fleet_unindexed")
    assert about == {*others, *CARRIED}


def test_the_token_stays_valid_and_the_history_names_the_former_id(
    run, operator, agent
):
    assert run("edit", "PC-l", "--id", "PC-1").exit_code == 0

    beat = agent.post("/heartbeat", {"version": "2"})
    assert (beat.status_code, beat.json["machine_id"]) == (200, "PC-1")
    edited, *_, enrolled = events(operator, "PC-1")
    assert (edited["event"], edited["actor"]) == ("edited", CLI)
    assert edited["detail"] == {"former_id": "PC-l"}
    assert enrolled["event"] == "enrolled"
    assert "former_id=PC-l" in run("events", "PC-1").stdout


def test_the_agent_may_go_on_sending_the_id_that_it_knows(run, operator):
    agent = operator.enroll("PC-l")
    other = operator.enroll("PC-2")
    for there, back in ("PC-l", "PC-i"), ("PC-i", "PC-1"):
        assert run("edit", there, "--id", back).exit_code == 0
    operator.enroll("PC-l")  # another computer, which really has this id

    for sent in ("PC-l", " PC-l ", "PC-1"):
        beat = agent.heartbeat(machine_id=sent)
        assert (beat.status_code, beat.json["machine_id"]) == (200, "PC-1")
    agent.token = agent.post("/machines/PC-l/token").json["api_token"]
    assert agent.heartbeat(machine_id="PC-l").json["machine_id"] == "PC-1"
    assert_problem(agent.heartbeat(machine_id="PC-2"), 403, "wrong_machine")
    assert_problem(other.heartbeat(machine_id="PC-l"), 403, "wrong_machine")
    for _ in range(2):  # a repeated uninstall too
        gone = agent.post("/uninstall", {"machine_id": "PC-l"})
        assert (gone.status_code, gone.json["machine_id"]) == (200, "PC-1")
    assert operator.machine("PC-l")["status"] == "active"


def test_each_detail_can_be_mended_and_the_event_says_what_was_changed(run, operator):
    old = {name: f"old-{name}" for name in DETAILS}
    new = {name: f"new-{name}" for name in DETAILS}
    agent = operator.enroll("PC-1", **old)
    options = [f"--{name.replace('_', '-')}={new[name]} " for name in DETAILS]

    told = json.loads(run("edit", "PC-1", *options, "--json").stdout)

    assert told == {
        "machine_id": "PC-1",
        "agent": operator.machine(),
        "before": old,
        "after": new,
    }
    assert operator.machine().items() >= new.items()
    edited = events(operator, "PC-1")[0]
    personal = ("user_name", "user_email", "user_id", "hostname")
    assert (edited["event"], edited["actor"]) == ("edited", CLI)
    assert edited["detail"] == {
        "version": "new-version",
        "os_info": "new-os_info",
        "before": {name: old[name] for name in personal},
        "after": {name: new[name] for name in personal},
    }
    assert agent.heartbeat().status_code == 200


def test_the_agent_does_not_get_to_see_what_an_operator_has_written(run, operator):
    agent = operator.installer().enroll("PC-1", user_name="Zoé", hostname="A")
    run("edit", "PC-1", "--user-name", "Bob")

    seen = agent.get("/machines/PC-1").json["agent"]
    assert (seen["user_name"], seen["hostname"]) == (None, "A")


def test_what_is_erased_is_erased_from_the_event_but_not_the_ids(run, operator):
    operator.enroll("PC-l", user_email="zoe@example.com", version="1")
    words = ("--user-email", "bob@example.com", "--version", "2")
    run("edit", "PC-l", "--id", "PC-1", *words)
    run("erase", "--user", "zoe@example.com", "--yes")

    (edited,) = [e for e in events(operator, "PC-1") if e["event"] == "edited"]
    assert edited["detail"] == {
        "former_id": "PC-l",
        "version": "2",
        "before": {"user_email": None},
        "after": {"user_email": "bob@example.com"},
    }


def test_an_uninstalled_machine_can_be_mended(run, operator):
    operator.enroll("PC-l")
    operator.uninstall("PC-l", reason="sold")

    assert run("edit", "PC-l", "--id", "PC-1").exit_code == 0
    assert operator.machine("PC-1")["uninstall_reason"] == "sold"


def test_an_id_that_the_rules_of_today_refuse_can_be_mended(run, operator, engine):
    operator.enroll("PC-1")
    engine.execute("UPDATE enrolled_agents SET machine_id = 'PC/1'")

    assert run("edit", "PC/1", "--id", "PC-2").exit_code == 0
    assert operator.machine("PC-2")["status"] == "active"


@pytest.mark.parametrize("state", ["active", "uninstalled", "deleted"])
def test_an_id_that_is_taken_is_refused(run, operator, engine, rows, state):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    if state == "uninstalled":
        operator.uninstall("PC-2")
    if state == "deleted":
        engine.execute("DELETE FROM enrolled_agents WHERE machine_id = 'PC-2'")
    before = rows("PC-1"), rows("PC-2")

    result = run("edit", "PC-1", "--id", "PC-2", "--version", "9")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: PC-1 was not changed: PC-2 is another")
    assert (rows("PC-1"), rows("PC-2")) == before
    assert operator.machine("PC-1")["version"] is None


def test_what_is_stored_already_records_no_event(run, operator):
    operator.enroll("PC-1", version="1")
    result = run("edit", "PC-1", "--id", "PC-1", "--version", "1")

    assert (result.exit_code, result.stdout) == (0, "PC-1: unchanged\n")
    assert [event["event"] for event in events(operator, "PC-1")] == ["enrolled"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Give at least one of --id and the details."),
        (["--version", " "], "Give at least one of --id and the details."),
        (["--id", ""], "must not be blank."),
        (["--id", "a/b"], "must not contain a slash."),
        (["--id", "PC\u200b1"], "must not contain invisible characters."),
        (["--id", "x" * 300], "must have 1 to"),
        (["--hostname", "x" * 256], "must have at most 255 characters"),
    ],
)
def test_what_cannot_be_stored_is_a_wrong_option(run, operator, words, complaint):
    operator.enroll("PC-1")
    result = run("edit", "PC-1", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr.splitlines()[-1]


def test_an_unknown_machine_is_named(run, operator):
    operator.enroll("PC-1")
    result = run("edit", "pc-1", "--version", "2")

    assert result.exit_code == 1
    assert "Did you mean PC-1?" in result.stderr
