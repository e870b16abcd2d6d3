"""Cutting a machine off: its tokens end, nobody gets one, and its setup may run."""

from __future__ import annotations

import pytest

from tests.support.api import Api, assert_problem


@pytest.fixture
def agent(operator):
    enrolled = operator.installer().enroll("PC-1")
    enrolled.heartbeat()
    return enrolled


def cut_off(operator, machine_id="PC-1"):
    return operator.post(f"/machines/{machine_id}/cut-off")


def events(operator):
    page = operator.get("/machines/PC-1/events").json["events"]
    return [(event["event"], event["detail"].get("because")) for event in page]


def test_all_tokens_end_at_once_and_the_answer_holds_none(operator, agent):
    answer = operator.post("/machines/PC-1/token", {}).json
    pending = Api(operator.client, answer["api_token"])

    response = cut_off(operator)

    assert response.status_code == 200
    assert response.json["tokens_revoked"] == 2
    assert "lea_agent_" not in response.text
    for token in (agent, pending):
        assert_problem(token.post("/heartbeat"), 401, "token_revoked")
    assert events(operator)[:2] == [("released", None), ("token_revoked", "cut_off")]


def test_its_setup_may_run_once(operator, agent):
    cut_off(operator)
    installer = operator.installer()

    again = installer.enroll("PC-1")

    assert again.heartbeat().status_code == 200
    refused = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(refused, 409, "already_enrolled")


def test_whoever_goes_on_with_the_ended_token_is_no_copy(operator, agent):
    """Its agent has not replaced it itself, so nothing is told of it."""
    cut_off(operator)
    agent.post("/heartbeat")

    assert [name for name, _ in events(operator)][0] == "released"


def test_a_second_time_revokes_nothing_and_releases_it_again(operator, agent):
    cut_off(operator)
    response = cut_off(operator)

    assert (response.status_code, response.json["tokens_revoked"]) == (200, 0)
    assert events(operator)[0] == ("released", None)


def test_neither_an_agent_nor_an_installer_can_do_it(operator, agent):
    for caller in (agent, operator.installer()):
        assert_problem(cut_off(caller), 403, "insufficient_scope")
    assert agent.heartbeat().status_code == 200


def test_a_machine_that_is_not_active_is_not_cut_off(operator, agent):
    assert_problem(cut_off(operator, "PC-2"), 404, "unknown_agent")
    operator.uninstall("PC-1")
    assert_problem(cut_off(operator), 409, "machine_uninstalled")
    operator.post("/machines/PC-1/block")
    assert_problem(cut_off(operator), 403, "machine_blocked")


def test_the_command_says_until_when_the_setup_may_run(operator, agent, run):
    done = run("cut-off", "PC-1", "--yes")

    assert done.exit_code == 0
    assert done.stdout.startswith("PC-1: cut off; its setup may run until 2026-")
    assert_problem(agent.post("/heartbeat"), 401, "token_revoked")


def test_a_dry_run_of_the_command_changes_nothing(operator, agent, run):
    assert run("cut-off", "PC-1", "--dry-run").exit_code == 0
    assert agent.heartbeat().status_code == 200
