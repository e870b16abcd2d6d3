"""Beside the older server, on one file at the same time: neither loses anything.

The older server knows neither our tables nor our rules, and no token becomes valid
again because of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from lea_fleet import create_app
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.older_server import OlderServer
from tests.support.processes import in_processes

COUNT = 40


@pytest.fixture
def older(engine):
    return engine.older_server()


def our_server(database, **settings):
    """Start a server in this process; return its operator."""
    settings.update(RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=database)
    app = create_app(settings)
    return Api(app.test_client(), OPERATOR_TOKEN)


def close(operator):
    operator.client.application.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize("issue", ["agent", "shared"])
def test_both_write_to_one_file_at_once(database, issue):
    database.parent.mkdir()

    def theirs():
        server = OlderServer(database)
        for number in range(COUNT):
            server.enroll(f"OLD-{number}", user_name="Zoé")
            server.touch_last_seen(f"OLD-{number}")
            if number % 2:
                server.uninstall(f"OLD-{number}", "moved")
            server.list_by_status("active")

    def ours():
        operator = our_server(database, LEA_FLEET_ISSUE=issue)
        statuses = Counter()
        for number in range(COUNT):
            response = operator.post("/enroll", {"machine_id": f"NEW-{number}"})
            statuses[response.status_code] += 1
            agent = Api(operator.client, response.json["api_token"])
            beat = {"machine_id": f"NEW-{number}", "hostname": "PC"}
            statuses[agent.post("/heartbeat", beat).status_code] += 1
            if number % 2:
                statuses[agent.uninstall(f"NEW-{number}").status_code] += 1
            statuses[operator.get("/fleet").status_code] += 1
        close(operator)
        return statuses

    _, statuses = in_processes(theirs, ours)

    assert statuses == {201: COUNT, 200: COUNT * 5 // 2}
    expected = {
        f"{name}-{number}": "uninstalled" if number % 2 else "active"
        for name in ("OLD", "NEW")
        for number in range(COUNT)
    }
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT machine_id, status FROM enrolled_agents")
        assert dict(rows) == expected
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("existing", [False, True], ids=["no file", "an empty file"])
def test_both_make_the_schema_at_once(tmp_path, existing):
    for attempt in range(10):
        database = tmp_path / f"{attempt}.db"
        if existing:
            database.touch()

        def theirs():
            OlderServer(database).enroll("OLD")

        def ours():
            operator = our_server(database)
            response = operator.post("/enroll", {"machine_id": "NEW"})
            close(operator)
            return response.status_code

        assert in_processes(theirs, ours, ours) in ([None, 201, 409], [None, 409, 201])
        active = OlderServer(database).list_by_status("active")
        assert {agent["machine_id"] for agent in active} == {"OLD", "NEW"}


def test_each_sees_what_the_other_one_did(older, operator):
    older.enroll("PC-1", user_name="Zoé Lefèvre")
    assert operator.machine("PC-1")["user_name"] == "Zoé Lefèvre"

    operator.uninstall("PC-1", reason="moved")
    assert older.get("PC-1")["status"] == "uninstalled"
    assert older.get("PC-1")["uninstall_reason"] == "moved"

    older.enroll("PC-1")
    assert operator.machine("PC-1")["status"] == "active"

    older.uninstall("PC-1", "gone")
    assert operator.enroll("PC-1").answer["status"] == "reactivated"
    assert older.get("PC-1")["status"] == "active"


def test_the_older_servers_uninstall_ends_our_token(older, operator):
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200

    older.uninstall("PC-1")

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")


def test_an_uninstall_right_after_the_guard_is_seen(older, operator, before_writing):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    before_writing(lambda: older.uninstall("PC-1"))

    response = agent.heartbeat(version="9")

    assert_problem(response, 401, "agent_uninstalled", "reenroll")


def test_our_agent_may_still_uninstall_what_the_older_server_did(older, operator):
    agent = operator.enroll("PC-1")
    older.uninstall("PC-1", "theirs")

    response = agent.uninstall("PC-1", reason="ours")

    assert response.status_code == 200
    assert response.json["agent"]["uninstall_reason"] is None  # not its own
    assert operator.machine("PC-1")["uninstall_reason"] == "theirs"


def test_nothing_comes_back_to_life_when_an_older_server_enrolls_again(older, operator):
    agent = operator.enroll("PC-1")
    older.uninstall("PC-1")
    older.enroll("PC-1")

    for attempt in (agent.heartbeat, agent.uninstall, agent.heartbeat):
        assert_problem(attempt(), 401, "token_revoked", "ask_operator")
    assert older.get("PC-1")["status"] == "active"


def test_a_token_that_the_older_server_ended_is_not_ended_again(older, operator):
    operator.enroll("PC-1")
    older.uninstall("PC-1")
    older.enroll("PC-1")

    token = operator.post("/machines/PC-1/token", {}).json["api_token"]
    assert Api(operator.client, token).post("/heartbeat").status_code == 200

    page = operator.get("/machines/PC-1/events").json["events"]
    assert [event["event"] for event in page] == ["token_rotated", "enrolled"]


def test_an_enrollment_of_ours_ends_every_earlier_token(older, operator):
    first = operator.enroll("PC-1")
    older.uninstall("PC-1")
    second = operator.enroll("PC-1")
    older.uninstall("PC-1")
    older.enroll("PC-1")
    older.uninstall("PC-1")
    third = operator.enroll("PC-1")

    for dead in (first, second):
        assert_problem(dead.heartbeat(), 401, "token_revoked", "ask_operator")
    assert third.heartbeat().status_code == 200


@pytest.mark.parametrize("by", ["ours", "theirs"])
def test_an_enrollment_of_the_same_instant_ends_the_earlier_token_too(
    older, operator, the_clock, by
):
    first = operator.enroll("PC-1")
    uninstall = {"ours": operator.uninstall, "theirs": older.uninstall}[by]
    uninstall("PC-1")

    second = operator.enroll("PC-1")

    assert_problem(first.heartbeat(), 401, "token_revoked", "ask_operator")
    assert second.heartbeat().status_code == 200


def test_the_older_servers_heartbeats_are_seen(older, operator, the_clock):
    operator.enroll("PC-1")
    older.touch_last_seen("PC-1")

    seen = older.get("PC-1")["last_seen_at"]
    assert operator.machine("PC-1")["last_seen_at"] == seen


def test_the_older_server_starts_on_a_file_of_ours(database, operator):
    agent = operator.enroll("PC-1")

    older = OlderServer(database)
    older.touch_last_seen("PC-1")
    older.enroll("PC-2")

    assert agent.heartbeat().status_code == 200
    assert operator.get("/fleet").json["totals"]["active"] == 2
