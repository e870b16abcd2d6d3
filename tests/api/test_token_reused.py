"""A token that its own agent has replaced is told of if it comes again: a copy is."""

from __future__ import annotations

import pytest

from lea_fleet import LeaFleet, agent_required, new_agent_token
from lea_fleet.auth.guard import bearer_token
from lea_fleet.core.limits import TOKEN_REUSES
from tests.support.api import Agent, Api, assert_problem


@pytest.fixture
def agent(operator):
    """An agent that uses its token."""
    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    return agent


def rotated(caller, client, machine_id="PC-1"):
    """Let *caller* rotate the machine's token; return an agent with the new one."""
    response = caller.post(f"/machines/{machine_id}/token")
    assert response.status_code == 201, response.text
    return Agent(client, response.json)


def assert_in_use(agent):
    assert agent.heartbeat().status_code == 200


def assert_refused(agent):
    assert_problem(agent.heartbeat(), 401, "token_revoked", "ask_operator")


def told(operator, machine_id="PC-1"):
    """Return the events that tell of a copy, the newest first."""
    page = operator.get(f"/machines/{machine_id}/events?limit=500").json["events"]
    return [each for each in page if each["event"] == "token_reused"]


def test_a_token_that_its_own_agent_has_replaced_is_told_of(operator, client, agent):
    assert_in_use(rotated(agent, client))
    assert told(operator) == []

    assert_refused(agent)
    (event,) = told(operator)
    assert event["actor"] == {"role": "agent", "address": "127.0.0.1"}
    assert event["detail"] == {}


def test_it_is_told_of_on_every_route(operator, client, agent):
    assert_in_use(rotated(agent, client))
    for method, path in (
        ("GET", "/machines/PC-1"),
        ("POST", "/uninstall"),
        ("POST", "/enroll"),
    ):
        response = agent.request(method, path)
        assert response.json["code"] == "token_revoked"

    assert len(told(operator)) == 3


def test_one_of_several_rotations_ago_is_told_of(operator, client, agent):
    first = agent
    for _ in range(3):
        agent = rotated(agent, client)
        assert_in_use(agent)

    assert_refused(first)
    assert len(told(operator)) == 1
    assert_in_use(agent)


def test_it_is_told_of_by_the_id_that_the_machine_has_now(operator, client, agent, run):
    assert_in_use(rotated(agent, client))
    assert run("edit", "PC-1", "--id", "PC-2").exit_code == 0
    assert_refused(agent)

    assert len(told(operator, "PC-2")) == 1


# What is no sign of a copy


def test_an_agent_that_has_lost_the_answer_goes_on_untold(operator, client, agent):
    lost = rotated(agent, client)
    assert_in_use(agent)
    again = rotated(agent, client)
    assert_in_use(agent)
    assert_refused(lost)  # which came late, after all
    assert_in_use(again)

    assert told(operator) == []
    assert_refused(agent)
    assert len(told(operator)) == 1


@pytest.mark.parametrize("by", ["the API", "a command", "a command, now"])
def test_an_agent_whose_token_an_operator_has_replaced_is_untold(
    operator, client, agent, run, by
):
    if by == "the API":
        new = rotated(operator, client)
    else:
        words = ["--now"] if by == "a command, now" else []
        answer = run("rotate", "PC-1", *words)
        new = Api(client, answer.stdout.split()[-1])
    assert new.post("/heartbeat", {}).status_code == 200

    assert_refused(agent)
    assert told(operator) == []


@pytest.mark.parametrize("now", [False, True])
def test_so_is_one_that_had_asked_for_another_itself_before(
    operator, client, agent, run, now
):
    rotated(agent, client)  # it never came
    if now:
        answer = run("rotate", "PC-1", "--now")
        new = Api(client, answer.stdout.split()[-1])
    else:
        new = rotated(operator, client)
    assert new.post("/heartbeat", {}).status_code == 200

    assert_refused(agent)
    assert told(operator) == []


def test_an_operators_rotation_does_not_excuse_an_earlier_one(operator, client, agent):
    second = rotated(agent, client)
    assert_in_use(second)
    assert_in_use(rotated(operator, client))

    assert_refused(second)
    assert told(operator) == []
    assert_refused(agent)
    assert len(told(operator)) == 1


def test_a_rotation_by_the_hosts_own_code_is_no_agents(operator, client, app, agent):
    token = new_agent_token()
    with app.app_context():
        LeaFleet().repository.rotate_token("PC-1", token)
    assert Api(client, token).post("/heartbeat", {}).status_code == 200

    assert_refused(agent)
    assert told(operator) == []


def test_tokens_of_another_enrollment_are_untold(operator, client, agent, the_clock):
    second = rotated(agent, client)
    assert_in_use(second)
    the_clock.advance(seconds=1)
    assert_in_use(operator.enroll("PC-1", force=True))

    for old in (agent, second):
        assert_refused(old)
    assert told(operator) == []


def test_tokens_of_an_uninstalled_machine_are_untold(operator, client, agent):
    second = rotated(agent, client)
    assert_in_use(second)
    operator.uninstall("PC-1")

    for old in (agent, second):
        assert_problem(old.heartbeat(), 401, "agent_uninstalled", "reenroll")
    assert told(operator) == []


def test_the_lost_token_of_a_repeated_enrollment_is_untold(operator, client):
    installer, key = operator.installer(), {"Idempotency-Key": "k"}
    lost, found = (
        Agent(
            client, installer.post("/enroll", {"machine_id": "PC-1"}, headers=key).json
        )
        for _ in range(2)
    )
    assert_in_use(found)

    assert_refused(lost)
    assert told(operator) == []


# How often


def test_it_is_told_of_a_few_times_a_day(operator, client, agent, the_clock):
    new = rotated(agent, client)
    assert_in_use(new)
    for _ in range(50):
        assert_refused(agent)

    assert len(told(operator)) == TOKEN_REUSES
    events = operator.get("/machines/PC-1/events").json["events"]
    assert (events[0]["event"], events[0]["detail"]) == (
        "not_recorded",
        {"kind": "token_reused"},
    )

    the_clock.advance(days=1)
    for _ in range(50):
        assert_refused(agent)
    assert len(told(operator)) == 2 * TOKEN_REUSES
    assert_in_use(new)


# No answer depends on it


def test_a_busy_database_changes_no_answer(make_app, operator, engine, client, agent):
    assert_in_use(rotated(agent, client))
    app = make_app(LEA_FLEET_BUSY_TIMEOUT="60s")
    there = Agent(app.test_client(), agent.answer)
    assert_in_use(operator.enroll("PC-2"))
    with engine.being_written():
        assert_refused(there)

    assert told(operator) == []
    assert_refused(there)
    assert len(told(operator)) == 1


def test_a_database_that_fails_changes_no_answer(
    operator, engine, client, agent, monkeypatch
):
    def failing(method):
        def fail(*args):
            raise engine.fault

        return fail

    assert_in_use(rotated(agent, client))
    with monkeypatch.context() as patch:
        engine.wrap(patch, "begin_writing", failing)
        assert_refused(agent)

    assert told(operator) == []


def test_a_fault_of_ours_changes_no_answer(
    operator, client, agent, monkeypatch, caplog
):
    assert_in_use(rotated(agent, client))
    monkeypatch.setattr("lea_fleet.auth.reuse.TokenReuse", None)
    assert_refused(agent)

    assert "could not be recorded" in caplog.text


# The host's routes


def test_it_is_told_of_on_the_hosts_routes(make_app, operator, client, agent):
    app = make_app()
    app.get("/mine")(agent_required(lambda: "yours"))

    def anyone():
        known = LeaFleet().authenticate(bearer_token())
        return "nobody" if known is None else "somebody"

    app.get("/anyone")(anyone)
    assert_in_use(rotated(agent, client))
    sent, host = {"Authorization": f"Bearer {agent.token}"}, app.test_client()

    assert host.get("/mine", headers=sent).status_code == 401
    assert host.get("/anyone", headers=sent).text == "nobody"
    assert len(told(operator)) == 2
