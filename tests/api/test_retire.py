"""A retired machine: its own agent is told to uninstall it, until it has."""

from __future__ import annotations

import pytest

from tests.support.api import Agent, assert_problem

PATH = "/machines/PC-1/retire"
INTERVAL = 60


@pytest.fixture
def agent(operator, the_clock):
    return operator.enroll("PC-1")


def retire(operator, method="POST"):
    response = operator.request(method, PATH)
    assert response.status_code == 200, response.text
    return response.json


def is_told(agent):
    answer = agent.heartbeat()
    assert answer.status_code == 200
    assert answer.json.get("retire", True) is True
    return "retire" in answer.json


def retirement(operator):
    return operator.get("/machines/PC-1").json["retirement"]


def happened(operator):
    events = operator.get("/machines/PC-1/events").json["events"]
    return [event["event"] for event in events]


def listed(operator, **wanted):
    fleet = operator.get("/fleet", query_string=wanted).json
    return [each["machine_id"] for each in fleet["active"] + fleet["uninstalled"]]


def test_each_heartbeat_is_answered_so_until_the_agent_has_uninstalled_it(
    operator, agent, the_clock
):
    assert not is_told(agent)
    at = the_clock.iso()
    told = {"machine_id": "PC-1", "retired_at": at, "told_at": None}
    assert retire(operator) == told
    assert happened(operator)[0] == "retire_requested"
    the_clock.advance(hours=1)
    first = the_clock.iso()
    assert is_told(agent)
    the_clock.advance(seconds=1)
    assert is_told(agent)

    assert retirement(operator) == {"retired_at": at, "told_at": first}
    assert operator.machine()["status"] == "active"
    assert agent.post("/uninstall", {"reason": "retired"}).status_code == 200
    assert retirement(operator) is None
    assert happened(operator)[0] == "uninstalled"


def test_a_heartbeat_that_reports_something_is_answered_so_too(operator, agent):
    retire(operator)

    answer = agent.heartbeat(version="2", hostname=300 * "x").json
    assert answer["retire"] is True
    assert [fault["field"] for fault in answer["ignored"]] == ["hostname"]
    assert operator.machine()["version"] == "2"


def test_the_operators_heartbeat_for_it_is_not_the_agents(operator, agent):
    retire(operator)

    answer = operator.post("/heartbeat", {"machine_id": "PC-1"})
    assert "retire" not in answer.json
    assert retirement(operator)["told_at"] is None


def test_retiring_again_changes_nothing(operator, agent, the_clock, engine):
    first = retire(operator)
    is_told(agent)
    the_clock.advance(hours=1)
    before = engine.contents()

    assert retire(operator) == {**first, "told_at": first["retired_at"]}
    assert engine.contents() == before


def test_it_can_be_cancelled_and_begun_anew(operator, agent, the_clock):
    retire(operator)
    is_told(agent)

    nothing = {"machine_id": "PC-1", "retired_at": None, "told_at": None}
    assert retire(operator, "DELETE") == nothing
    assert not is_told(agent)
    assert retirement(operator) is None
    count = len(happened(operator))
    assert retire(operator, "DELETE") == nothing
    assert len(happened(operator)) == count
    the_clock.advance(hours=1)
    assert retire(operator)["told_at"] is None
    assert happened(operator)[:3] == [
        "retire_requested",
        "retire_cancelled",
        "retire_requested",
    ]


@pytest.mark.parametrize("way", ["force", "release", "reactivation", "older server"])
def test_any_enrollment_ends_it(operator, agent, the_clock, engine, way):
    retire(operator)
    the_clock.advance(seconds=1)
    if way == "release":
        operator.post("/machines/PC-1/release")
    if way in ("reactivation", "older server"):
        operator.uninstall("PC-1")
    if way == "older server":
        engine.older_server().enroll("PC-1")
    else:
        agent = operator.enroll("PC-1", force=way == "force")
        assert not is_told(agent)

    assert retirement(operator) is None
    assert listed(operator, retiring="true") == []


def test_a_rotated_token_is_of_the_same_machine(operator, agent, client):
    retire(operator)
    rotated = agent.post("/machines/PC-1/token").json
    successor = Agent(client, {**agent.answer, **rotated})

    assert is_told(successor)
    assert retirement(operator)["told_at"] is not None


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_is_not_there_is_not_retired(operator, agent, method):
    response = operator.request(method, "/machines/PC-2/retire")
    assert_problem(response, 404, "unknown_agent")


def test_a_machine_that_is_gone_is_not_retired(operator, agent):
    operator.uninstall("PC-1")

    assert_problem(operator.post(PATH), 409, "machine_uninstalled")
    assert operator.request("DELETE", PATH).status_code == 200


def test_agents_that_do_not_know_it_are_found(operator, the_clock):
    agents = {name: operator.enroll(name) for name in ("PC-1", "PC-2", "PC-3", "PC-4")}
    for machine_id in ("PC-1", "PC-2", "PC-3"):
        operator.post(f"/machines/{machine_id}/retire")
    assert sorted(listed(operator, retiring="true")) == ["PC-1", "PC-2", "PC-3"]
    assert listed(operator, retiring="false") == ["PC-4"]

    for minute in range(4):
        is_told(agents["PC-1"])
        if minute < 2:  # it takes its time, then it is switched off
            is_told(agents["PC-2"])
        the_clock.advance(seconds=INTERVAL)
    assert is_told(agents["PC-1"])

    assert listed(operator, ignores_retire="true") == ["PC-1"]
    others = sorted(listed(operator, ignores_retire="false"))
    assert others == ["PC-2", "PC-3", "PC-4"]
    agents["PC-1"].post("/uninstall")
    assert listed(operator, ignores_retire="true") == []


def test_the_metrics_count_the_retiring_machines(operator, agent, monitor):
    retire(operator)
    assert "\nlea_fleet_retiring 1.0\n" in monitor.get("/metrics").text
    agent.post("/uninstall")
    assert "\nlea_fleet_retiring 0.0\n" in monitor.get("/metrics").text
