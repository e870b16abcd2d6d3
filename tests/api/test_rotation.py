"""Rotation: the old token stays valid until the new one is used."""

from __future__ import annotations

import pytest

from tests.support.api import Agent, assert_problem


@pytest.fixture
def agent(operator):
    enrolled = operator.enroll("PC-1")
    enrolled.heartbeat()
    return enrolled


def rotate(caller, machine_id="PC-1"):
    response = caller.post(f"/machines/{machine_id}/token", {})
    assert response.status_code == 201, response.text
    assert response.data.isascii()
    return Agent(caller.client, response.json)


def events(operator):
    page = operator.get("/machines/PC-1/events").json["events"]
    return [(event["event"], event["actor"]["role"]) for event in page]


@pytest.mark.parametrize("role", ["operator", "agent"])
def test_both_tokens_are_good_until_the_new_one_is_used(operator, agent, role):
    new = rotate({"operator": operator, "agent": agent}[role])

    assert new.token != agent.token
    assert agent.heartbeat().status_code == 200
    assert agent.heartbeat().status_code == 200
    assert new.heartbeat().status_code == 200
    assert events(operator) == [
        ("token_revoked", "agent"),
        ("token_rotated", role),
        ("enrolled", "operator"),
    ]
    assert_problem(agent.heartbeat(), 401, "token_revoked", "ask_operator")
    assert new.heartbeat().status_code == 200


def test_any_authentication_is_a_use(agent):
    new = rotate(agent)

    assert new.get("/fleet").status_code == 403
    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_a_lost_answer_strands_nobody(agent):
    lost = rotate(agent)
    found = rotate(agent)

    assert_problem(lost.heartbeat(), 401, "token_revoked")
    assert agent.heartbeat().status_code == 200
    assert found.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_the_new_token_may_be_the_one_that_rotates(agent):
    second = rotate(agent)
    third = rotate(second)

    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert second.heartbeat().status_code == 200
    assert third.heartbeat().status_code == 200
    assert_problem(second.heartbeat(), 401, "token_revoked")


def test_a_machine_that_never_used_its_first_token_keeps_it_too(operator):
    first = operator.enroll("PC-1")
    new = rotate(operator)

    assert first.heartbeat().status_code == 200
    assert new.heartbeat().status_code == 200
    assert_problem(first.heartbeat(), 401, "token_revoked")


def test_an_uninstall_ends_both(operator, agent):
    new = rotate(agent)
    operator.uninstall("PC-1")

    for holder in (agent, new):
        assert_problem(holder.heartbeat(), 401, "agent_uninstalled")
        assert holder.post("/uninstall").status_code == 200


def test_only_an_active_machine_has_tokens(operator, agent):
    operator.uninstall("PC-1")

    gone = operator.post("/machines/PC-1/token", {})
    assert_problem(gone, 409, "machine_uninstalled")
    nobody = operator.post("/machines/nobody/token", {})
    assert_problem(nobody, 404, "unknown_agent")


def test_an_agent_rotates_its_own_only(operator, agent):
    operator.enroll("PC-2")

    response = agent.post("/machines/PC-2/token", {})

    assert_problem(response, 403, "wrong_machine")


def test_an_uninstall_that_comes_between_leaves_no_live_token(
    operator, agent, elsewhere, before_writing
):
    before_writing(lambda: elsewhere.uninstall("PC-1"))

    response = agent.post("/machines/PC-1/token", {})

    assert_problem(response, 401, "agent_uninstalled")


def test_a_first_use_that_a_rotation_overtakes_ends_no_other_token(
    agent, elsewhere, before_writing
):
    """Otherwise, the machine would have no live token left."""
    overtaken = rotate(agent)
    found = []
    before_writing(lambda: found.append(rotate(elsewhere)))

    assert_problem(overtaken.heartbeat(), 401, "token_revoked")
    assert agent.heartbeat().status_code == 200
    assert found[0].heartbeat().status_code == 200


def test_a_rotation_that_was_never_picked_up_is_no_use_of_the_enrollment(operator):
    """The installer that lost its response may still repeat the request."""
    key = {"headers": {"Idempotency-Key": "key"}}
    operator.post("/enroll", {"machine_id": "PC-1"}, **key)
    pending = rotate(operator)

    again = operator.post("/enroll", {"machine_id": "PC-1"}, **key)

    assert again.status_code == 201
    assert_problem(pending.heartbeat(), 401, "token_revoked")
