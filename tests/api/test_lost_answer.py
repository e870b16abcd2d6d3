"""Lost responses: a repeated request with the same key gets its response again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lea_fleet.storage.agents import Agents
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_invalid, assert_problem


@pytest.fixture
def installer(operator, the_clock):
    return operator.installer(max_uses=1)


def enroll(caller, key="key-1", machine_id="PC-1", **members):
    return caller.post(
        "/enroll",
        {"machine_id": machine_id, **members},
        headers={"Idempotency-Key": key},
    )


def events(operator):
    page = operator.get("/machines/PC-1/events").json["events"]
    return [event["event"] for event in page]


def test_it_is_answered_again_with_a_fresh_token_and_no_further_use(
    installer, operator, client
):
    lost = Agent(client, enroll(installer).json)

    response = enroll(installer)

    assert response.status_code == 201
    assert response.json["status"] == "enrolled"
    found = Agent(client, response.json)
    assert found.token != lost.token
    assert found.answer["agent"] == lost.answer["agent"]
    assert_problem(lost.heartbeat(), 401, "token_revoked")
    assert found.heartbeat().status_code == 200
    listed = operator.get("/enrollment-tokens").json["enrollment_tokens"]
    assert listed[0]["uses"] == 1
    assert events(operator) == ["token_revoked", "enrolled"]


@pytest.mark.postgresql
def test_it_is_answered_again_while_the_first_one_is_being_written(
    installer, client, elsewhere, engine, monkeypatch
):
    """A new machine has no row that the later one could wait for."""
    insert, later = Agents.insert, []

    def insert_while_the_other_waits(agents, *args, **options):
        if not later:
            later.append(pool.submit(enroll, Api(elsewhere.client, installer.token)))
            engine.wait_until_it_blocks(agents._unit.session)
        return insert(agents, *args, **options)

    monkeypatch.setattr(Agents, "insert", insert_while_the_other_waits)
    with ThreadPoolExecutor() as pool:
        first = enroll(installer)
        again = later[0].result(60)

    assert [first.status_code, again.status_code] == [201, 201], again.text
    assert again.json["status"] == "enrolled"
    assert Agent(client, again.json).heartbeat().status_code == 200
    assert_problem(Agent(client, first.json).heartbeat(), 401, "token_revoked")


def test_it_may_be_lost_again_and_again(installer, client):
    for _ in range(3):
        answer = enroll(installer)
        assert answer.status_code == 201
    assert Agent(client, answer.json).heartbeat().status_code == 200


def test_a_reactivation_is_replayed_as_one(operator):
    operator.enroll("PC-1")
    operator.uninstall("PC-1")

    first, again = enroll(operator), enroll(operator)

    assert first.json["status"] == again.json["status"] == "reactivated"


def test_it_changes_nothing_of_the_machine(operator, the_clock):
    enroll(operator, version="1")
    before = operator.machine("PC-1")
    the_clock.advance(hours=1)

    assert enroll(operator, version="2").status_code == 201
    assert operator.machine("PC-1") == {**before, "presence": "offline"}


def test_once_a_token_was_used_the_key_is_worthless(installer, client):
    agent = Agent(client, enroll(installer).json)
    agent.get("/machines/PC-1")

    assert_problem(enroll(installer), 409, "already_enrolled")
    assert agent.heartbeat().status_code == 200


def test_after_24_hours_the_key_is_worthless(operator, the_clock):
    enroll(operator)
    the_clock.advance(hours=24)

    assert_problem(enroll(operator), 409, "already_enrolled")
    the_clock.advance(microseconds=-1)
    assert enroll(operator).status_code == 201


@pytest.mark.parametrize("key", ["key-2", "KEY-1", "key-1 x"])
def test_another_key_is_another_request(operator, key):
    enroll(operator)

    assert_problem(enroll(operator, key), 409, "already_enrolled")


def test_without_a_key_nothing_is_replayed(operator):
    operator.enroll("PC-1")

    again = operator.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(again, 409, "already_enrolled")
    assert_problem(enroll(operator), 409, "already_enrolled")


def test_another_caller_may_not_replay(operator, installer):
    enroll(installer)

    assert_problem(enroll(operator), 409, "already_enrolled")
    assert_problem(enroll(operator.installer()), 409, "already_enrolled")
    assert enroll(installer).status_code == 201


def test_an_expired_or_revoked_token_may_not_replay(operator, installer, the_clock):
    enroll(installer)
    the_clock.advance(days=7)
    assert_problem(enroll(installer), 401, "token_expired")
    the_clock.advance(days=-7)
    operator.request("DELETE", "/enrollment-tokens/1")
    assert_problem(enroll(installer), 401, "token_revoked")


def test_an_uninstalled_machine_is_not_replayed_but_reactivated(operator, the_clock):
    enroll(operator)
    operator.uninstall("PC-1")

    assert enroll(operator).json["status"] == "reactivated"


def test_a_key_of_an_earlier_enrollment_is_worthless(operator, the_clock):
    enroll(operator, "first")
    operator.uninstall("PC-1")
    the_clock.advance(minutes=1)
    enroll(operator, "second")

    assert_problem(enroll(operator, "first"), 409, "already_enrolled")
    assert enroll(operator, "second").status_code == 201


def test_the_key_is_for_its_machine_only(operator):
    enroll(operator)

    assert enroll(operator, machine_id="PC-2").json["status"] == "enrolled"


def test_an_uninstall_that_comes_between_is_not_undone(
    operator, elsewhere, before_writing, client
):
    lost = Agent(client, enroll(operator).json)
    before_writing(lambda: elsewhere.uninstall("PC-1"))

    response = enroll(operator, allow_reactivate=False)

    assert_problem(response, 409, "reactivation_refused")
    assert_problem(lost.heartbeat(), 401, "agent_uninstalled")


def test_a_shared_server_answers_again_too(make_app):
    operator = Api(make_app(LEA_FLEET_ISSUE="shared").test_client(), OPERATOR_TOKEN)
    enroll(operator)

    assert enroll(operator).json["api_token"] == OPERATOR_TOKEN


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(operator, key):
    assert_invalid(enroll(operator, key), "Idempotency-Key")
    assert enroll(operator, "é" * 255).status_code == 201


def test_a_repeated_answer_tells_an_installer_of_nobody(operator, installer):
    operator.enroll("PC-1", user_name="Alice", user_email="a@e.fr", hostname="HR-1")
    operator.uninstall("PC-1")
    enroll(installer)

    guess = {"user_name": "x", "user_email": "a@e.fr", "hostname": "x", "user_id": "x"}
    agent = enroll(installer, **guess).json["agent"]

    assert {name: agent[name] for name in guess} == guess
    assert operator.machine("PC-1")["user_name"] == "Alice"


def test_a_clock_set_back_makes_no_key_good_for_longer(operator, the_clock):
    enroll(operator)
    the_clock.advance(days=-10)

    assert_problem(enroll(operator), 409, "already_enrolled")


def test_a_server_whose_clock_is_a_minute_behind_repeats_it_too(operator, the_clock):
    enroll(operator)
    the_clock.advance(minutes=-1)

    assert enroll(operator).json["status"] == "enrolled"
