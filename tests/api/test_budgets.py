"""What an agent may cause itself is bounded; what others cause is not."""

from __future__ import annotations

from collections import Counter

import pytest

from lea_fleet.app.database import get_repository
from lea_fleet.storage.heartbeats import Heartbeats
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem

SHARE = 24 * 3600 / 20


@pytest.fixture
def agent(operator, the_clock):
    agent = operator.enroll("PC-1", hostname="first")
    agent.heartbeat()
    return agent


def events(operator, machine_id="PC-1"):
    return operator.get(f"/machines/{machine_id}/events?limit=500").json["events"]


def counted(operator, machine_id="PC-1"):
    """Count a machine's events by name."""
    return Counter(event["event"] for event in events(operator, machine_id))


def change(agent, times, name="H"):
    for number in range(times):
        assert agent.heartbeat(hostname=f"{name}{number}").status_code == 200


def rotate(caller, times):
    """Rotate PC-1's token; return the statuses of the responses."""
    path = "/machines/PC-1/token"
    return [caller.post(path).status_code for _ in range(times)]


# What is reported


def test_twenty_changes_are_recorded_and_then_that_more_are_not(operator, agent):
    change(agent, 50)

    assert counted(operator) == {
        "enrolled": 1,
        "identity_changed": 20,
        "not_recorded": 1,
    }
    newest = events(operator)[0]
    assert newest["event"] == "not_recorded"
    assert newest["detail"] == {"kind": "identity_changed"}
    assert newest["actor"]["role"] == "agent"


def test_what_is_not_recorded_is_stored_all_the_same(operator, agent):
    change(agent, 50)

    assert operator.machine("PC-1")["hostname"] == "H49"


def test_the_budget_refills_through_the_day(operator, agent, the_clock):
    change(agent, 21)
    the_clock.advance(seconds=SHARE - 1)
    change(agent, 5, "A")
    assert counted(operator)["identity_changed"] == 20

    the_clock.advance(seconds=1)
    change(agent, 5, "B")
    assert counted(operator)["identity_changed"] == 21
    the_clock.advance(days=1)
    change(agent, 50, "C")
    assert counted(operator)["identity_changed"] == 41


def test_each_gap_is_told_once(operator, agent, the_clock):
    change(agent, 25)
    the_clock.advance(seconds=SHARE)
    change(agent, 25, "A")

    told = [event["event"] for event in events(operator)[:3]]
    assert told == ["not_recorded", "identity_changed", "not_recorded"]
    assert counted(operator)["not_recorded"] == 2


def test_an_operator_that_reports_for_a_machine_is_recorded(operator, agent):
    for number in range(30):
        operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": f"O{number}"})
    change(agent, 25)
    operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": "last"})

    assert counted(operator)["identity_changed"] == 30 + 20 + 1


def test_what_the_host_reports_for_a_machine_is_recorded(app, operator, agent):
    change(agent, 25)
    with app.app_context():
        repository = get_repository()
        for number in range(25):
            with repository.transaction(about="PC-1"):
                machine = repository.require("PC-1")
                told = {"hostname": f"host{number}"}
                Heartbeats(repository.unit).see(machine, told)

    assert counted(operator)["identity_changed"] == 20 + 25


def test_a_suspected_clone_and_the_life_cycle_are_recorded_all_the_same(
    operator, agent
):
    change(agent, 25)
    for hostname in "ABA":
        agent.heartbeat(hostname=hostname)
    agent.post("/uninstall")
    operator.enroll("PC-1")

    told = [event["event"] for event in events(operator)[:3]]
    assert told == ["reactivated", "uninstalled", "suspected_clone"]


def test_a_new_enrollment_does_not_refill_it(operator, agent):
    change(agent, 25)
    change(operator.enroll("PC-1", force=True), 25, "A")

    assert counted(operator)["identity_changed"] == 20


def test_a_machine_has_nothing_of_anothers_budget(operator, agent):
    change(agent, 25)
    change(operator.enroll("PC-2", hostname="first"), 25)

    assert counted(operator, "PC-2")["identity_changed"] == 20


def test_a_clock_set_back_does_not_keep_it_empty(operator, agent, the_clock):
    change(agent, 25)
    the_clock.advance(days=-30)
    change(agent, 25, "A")

    assert counted(operator)["identity_changed"] == 40


def test_a_server_whose_clock_is_a_minute_behind_does_not_refill_it(
    operator, agent, the_clock
):
    change(agent, 25)
    the_clock.advance(minutes=-1)
    change(agent, 25, "A")

    assert counted(operator)["identity_changed"] == 20


# Rotations


def test_the_twenty_first_rotation_is_told_to_try_again(operator, agent):
    assert rotate(agent, 20) == [201] * 20
    before = counted(operator)
    for _ in range(10):
        response = agent.post("/machines/PC-1/token")
        assert_problem(response, 429, "too_many_rotations", "retry")
        assert 1 <= int(response.headers["Retry-After"]) <= 3600

    assert counted(operator) - before == {"not_recorded": 1}
    assert events(operator)[0]["detail"] == {"kind": "token_rotated"}
    assert agent.heartbeat().status_code == 200


def test_a_pending_token_is_valid_after_a_refusal(agent, client):
    *_, last = [agent.post("/machines/PC-1/token").json for _ in range(20)]
    assert rotate(agent, 1) == [429]

    assert Agent(client, last).heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_retry_after_leads_to_a_rotation(agent, the_clock):
    rotate(agent, 21)
    waited = 0
    while (response := agent.post("/machines/PC-1/token")).status_code == 429:
        seconds = int(response.headers["Retry-After"])
        waited += seconds
        the_clock.advance(seconds=seconds)

    assert (response.status_code, waited) == (201, SHARE)
    assert rotate(agent, 1) == [429]


def test_an_operator_and_a_command_rotate_as_often_as_they_like(operator, agent, run):
    assert rotate(operator, 30) == [201] * 30
    assert run("rotate", "PC-1").exit_code == 0
    assert rotate(agent, 25) == [201] * 20 + [429] * 5
    assert rotate(operator, 30) == [201] * 30
    assert run("rotate", "PC-1").exit_code == 0


def test_a_refusal_does_not_wait_for_the_lock(make_app, engine, agent):
    rotate(agent, 21)
    hasty = Api(make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_client(), agent.token)
    with engine.being_written():
        assert rotate(hasty, 1) == [429]


def test_rotations_and_changes_have_a_budget_each(operator, agent):
    rotate(agent, 25)
    change(agent, 25)

    assert counted(operator)["token_rotated"] == 20
    assert counted(operator)["identity_changed"] == 20


# Installers


def test_a_lost_response_may_be_asked_for_without_end_but_is_not_recorded(
    client, operator
):
    installer = Api(client, operator.installer(max_uses=1).token)
    key = {"Idempotency-Key": "lost"}
    for _ in range(50):
        response = installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)
        assert response.status_code == 201

    assert Agent(client, response.json).heartbeat().status_code == 200
    assert counted(operator) == {"enrolled": 1, "token_revoked": 20, "not_recorded": 1}


def test_what_shared_tokens_cause_is_an_operators(make_app, operator):
    agent = Api(make_app(LEA_FLEET_ISSUE="shared").test_client(), OPERATOR_TOKEN)
    agent.enroll("PC-1")

    assert rotate(agent, 30) == [201] * 30
