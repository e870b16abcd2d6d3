"""POST /enroll: a new machine gets a row and a token; a known one is recognized."""

from __future__ import annotations

import pytest

from lea_fleet.storage.agents import Agents
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem

DETAILS = {
    "user_name": "Zoé Lefèvre",
    "user_email": "zoe@exemple.fr",
    "user_id": "AIVA-001",
    "hostname": "PC-COMPTA-01",
    "os_info": "Windows 11 Pro 10.0.22631",
    "version": "1.3.1",
}


def test_a_new_machine_is_enrolled_with_a_token_of_its_own(operator, the_clock):
    response = operator.post("/enroll", {"machine_id": "PC-1", **DETAILS})

    assert response.status_code == 201
    assert response.json["status"] == "enrolled"
    assert response.json["machine_id"] == "PC-1"
    assert response.json["api_token"].startswith("lea_agent_")
    assert 60 <= response.json["heartbeat_interval"] <= 66
    assert response.json["agent"] == {
        "id": 1,
        "machine_id": "PC-1",
        **DETAILS,
        "status": "active",
        "enrolled_at": the_clock.iso(),
        "last_seen_at": the_clock.iso(),
        "uninstalled_at": None,
        "uninstall_reason": None,
        "presence": "online",
        "suspected_clone": False,
    }


@pytest.mark.postgresql
def test_one_that_another_program_inserts_meanwhile_is_enrolled_after_that(
    operator, engine, the_clock, monkeypatch
):
    insert = Agents.insert

    def overtaken(*args, **options):
        the_clock.advance(seconds=1)
        with engine.connected() as connection:
            connection.execute(
                "INSERT INTO enrolled_agents (machine_id, enrolled_at, status)"
                " VALUES ('PC-1', ?, 'uninstalled')",
                [the_clock.iso()],
            )
        the_clock.advance(seconds=1)
        return insert(*args, **options)

    monkeypatch.setattr(Agents, "insert", overtaken)
    response = operator.post("/enroll", {"machine_id": "PC-1"})

    assert response.json["status"] == "reactivated"
    assert response.json["agent"]["enrolled_at"] == the_clock.iso()
    (event,) = operator.get("/machines/PC-1/events").json["events"]
    assert (event["event"], event["at"]) == ("reactivated", the_clock.iso())


def test_the_answer_is_ascii_and_not_cached(operator):
    response = operator.post("/enroll", {"machine_id": "PC-1", "user_name": "李 明"})

    assert response.data.isascii()
    assert response.json["agent"]["user_name"] == "李 明"
    assert response.headers["Cache-Control"] == "no-store"


def test_every_machine_gets_another_token(operator):
    tokens = {operator.enroll(f"PC-{number}").token for number in range(5)}

    assert len(tokens) == 5


@pytest.mark.parametrize("blank", ["", "   ", None])
def test_a_blank_detail_counts_as_absent(operator, blank):
    operator.enroll("PC-1", hostname=blank)

    assert operator.machine("PC-1")["hostname"] is None


def test_unknown_members_are_ignored(operator):
    operator.enroll("PC-1", colour="blue", nested={"a": [1, 2]})


def test_a_new_machine_id_is_trimmed(operator):
    assert operator.enroll("  PC-1\t").machine_id == "PC-1"


@pytest.mark.parametrize("machine_id", ["x", "é" * 128, "a b", "{9F2C}", "..."])
def test_a_machine_id_may_be(operator, machine_id):
    assert operator.enroll(machine_id).machine_id == machine_id


@pytest.mark.parametrize(
    "machine_id",
    [None, "", " \t ", "x" * 129, "a\nb", "a\x7fb", "a\u2028b", "a/b", ".", ".."],
)
def test_a_new_machine_id_may_not_be(operator, machine_id):
    assert_invalid(operator.post("/enroll", {"machine_id": machine_id}), "machine_id")
    assert operator.get("/fleet").json["totals"]["total"] == 0


def test_an_active_machine_is_not_enrolled_again(operator):
    agent = operator.enroll("PC-1", **DETAILS)

    body = assert_problem(
        operator.post("/enroll", {"machine_id": "PC-1", "user_name": "Mallory"}),
        409,
        "already_enrolled",
        "ask_operator",
    )

    assert body["machine_id"] == "PC-1"
    assert body["agent_status"] == "active"
    assert body["enrolled_at"] == agent.answer["agent"]["enrolled_at"]
    assert not body.keys() & DETAILS.keys()
    assert operator.machine("PC-1")["user_name"] == "Zoé Lefèvre"
    assert agent.heartbeat().status_code == 200


def test_an_uninstalled_machine_is_reactivated(operator, the_clock):
    first = operator.enroll("PC-1", **DETAILS)
    operator.uninstall("PC-1", reason="moved")
    the_clock.advance(days=1)

    again = operator.enroll("PC-1", version="1.4.0")

    assert again.answer["status"] == "reactivated"
    assert again.token != first.token
    assert operator.machine("PC-1") == {
        "id": 1,
        "machine_id": "PC-1",
        **DETAILS,
        "version": "1.4.0",
        "status": "active",
        "enrolled_at": the_clock.iso(),
        "last_seen_at": the_clock.iso(),
        "uninstalled_at": None,
        "uninstall_reason": None,
        "presence": "online",
        "suspected_clone": False,
    }


def test_a_reactivation_may_be_forbidden(operator):
    operator.enroll("PC-1", **DETAILS)
    operator.uninstall("PC-1")

    response = operator.post(
        "/enroll", {"machine_id": "PC-1", "allow_reactivate": False}
    )

    body = assert_problem(response, 409, "reactivation_refused", "stop")
    assert body["agent_status"] == "uninstalled"
    assert not body.keys() & DETAILS.keys()
    assert operator.machine("PC-1")["status"] == "uninstalled"


def test_tokens_of_an_earlier_enrollment_are_dead(operator):
    first = operator.enroll("PC-1")
    operator.uninstall("PC-1")
    second = operator.enroll("PC-1")

    assert_problem(first.heartbeat(), 401, "token_revoked", "ask_operator")
    assert second.heartbeat().status_code == 200


def test_a_shared_server_hands_out_the_operators_token(make_app):
    operator = Api(make_app(LEA_FLEET_ISSUE="shared").test_client(), OPERATOR_TOKEN)

    assert operator.enroll("PC-1").token == OPERATOR_TOKEN
    response = operator.post("/heartbeat", {"machine_id": "PC-1"})
    assert response.status_code == 200
