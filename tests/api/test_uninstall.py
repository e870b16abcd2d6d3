"""POST /uninstall: a soft delete that may be repeated and is never undone by itself."""

from __future__ import annotations

import pytest

from tests.support.api import assert_invalid, assert_problem


def test_the_row_stays_with_date_and_reason(operator, the_clock):
    operator.enroll("PC-1", user_name="Zoé")
    enrolled_at = the_clock.iso()
    the_clock.advance(hours=1)

    response = operator.uninstall("PC-1", reason="Départ")

    assert response.status_code == 200
    assert response.data.isascii()
    assert response.json == {
        "status": "uninstalled",
        "machine_id": "PC-1",
        "agent": operator.machine("PC-1"),
    }
    agent = response.json["agent"]
    assert agent["user_name"] == "Zoé"
    assert agent["status"] == agent["presence"] == "uninstalled"
    assert agent["enrolled_at"] == enrolled_at
    assert agent["uninstalled_at"] == the_clock.iso()
    assert agent["uninstall_reason"] == "Départ"


def test_the_reason_is_optional_and_blank_counts_as_none(operator):
    operator.enroll("PC-1")

    assert operator.uninstall("PC-1", reason="  ").status_code == 200
    assert operator.machine("PC-1")["uninstall_reason"] is None


def test_a_reason_has_at_most_500_characters(operator):
    operator.enroll("PC-1")

    assert_invalid(operator.uninstall("PC-1", reason="x" * 501), "reason")
    assert operator.machine("PC-1")["status"] == "active"
    assert operator.uninstall("PC-1", reason="é" * 500).status_code == 200


def test_repeating_it_changes_nothing(operator, the_clock):
    operator.enroll("PC-1")
    first = operator.uninstall("PC-1", reason="first")
    the_clock.advance(days=1)

    again = operator.uninstall("PC-1", reason="second")

    assert (again.status_code, again.json) == (200, first.json)


def test_an_agent_uninstalls_itself_with_or_without_naming_itself(operator):
    assert operator.enroll("PC-1").post("/uninstall").status_code == 200
    assert operator.enroll("PC-2").uninstall("PC-2").status_code == 200
    assert operator.get("/fleet").json["totals"]["uninstalled"] == 2


def test_an_agent_does_not_uninstall_another(operator):
    operator.enroll("PC-1")
    other = operator.enroll("PC-2")

    assert_problem(other.uninstall("PC-1"), 403, "wrong_machine", "fix_request")
    assert operator.machine("PC-1")["status"] == "active"


def test_the_token_that_it_revoked_may_repeat_it_and_nothing_else(operator):
    agent = operator.enroll("PC-1")
    first = agent.post("/uninstall", {"reason": "first"})

    assert agent.post("/uninstall", {"reason": "second"}).json == first.json
    assert_problem(agent.uninstall("PC-2"), 403, "wrong_machine")
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")
    assert_problem(agent.get("/machines/PC-1"), 401, "agent_uninstalled")
    assert_problem(agent.get("/fleet"), 401, "agent_uninstalled")
    assert_problem(agent.post("/enroll", {}), 401, "agent_uninstalled")


def test_after_a_reactivation_the_old_token_is_like_any_other_dead_one(operator):
    agent = operator.enroll("PC-1")
    agent.post("/uninstall")
    operator.enroll("PC-1")

    assert_problem(agent.post("/uninstall"), 401, "token_revoked")
    assert operator.machine("PC-1")["status"] == "active"


def test_a_token_of_an_earlier_enrollment_cannot_repeat_a_later_uninstall(operator):
    first = operator.enroll("PC-1")
    first.post("/uninstall")
    operator.enroll("PC-1").post("/uninstall")

    assert_problem(first.post("/uninstall"), 401, "agent_uninstalled")


def test_an_uninstall_by_the_older_server_may_be_repeated_too(operator, engine):
    agent = operator.enroll("PC-1")
    engine.execute(
        "UPDATE enrolled_agents SET status = 'uninstalled',"
        " uninstalled_at = '2026-03-02T07:00:00+00:00', uninstall_reason = 'older'"
    )

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")
    response = agent.post("/uninstall", {"reason": "ours"})
    assert response.json["agent"]["uninstall_reason"] is None  # not its own
    assert operator.machine("PC-1")["uninstall_reason"] == "older"


def test_an_unknown_machine_is_a_404(operator):
    body = assert_problem(operator.uninstall("nobody"), 404, "unknown_agent", "stop")
    assert body["machine_id"] == "nobody"


@pytest.mark.parametrize("body", [None, {}, {"machine_id": " "}, {"machine_id": 5}])
def test_an_operator_names_the_machine(operator, body):
    assert_invalid(operator.post("/uninstall", body), "machine_id")


def test_an_id_that_could_not_be_new_is_taken_where_it_is_stored(operator, engine):
    operator.enroll("PC-1")
    odd = " a/b\n" + "x" * 200
    engine.execute("UPDATE enrolled_agents SET machine_id = ?", odd)

    assert operator.uninstall(odd).json["machine_id"] == odd
    assert operator.enroll(odd).answer["status"] == "reactivated"


def test_a_machine_whose_name_differs_by_a_space_is_another(operator, engine):
    agent = operator.enroll("PC-1")
    engine.execute(
        "INSERT INTO enrolled_agents (machine_id, user_name, enrolled_at)"
        " VALUES (' PC-1', 'Victim', '2026-03-02T07:00:00+00:00')"
    )

    assert agent.get("/machines/%20PC-1").json["agent"]["user_name"] is None
    token = agent.post("/machines/%20PC-1/token", {}).json
    assert token["machine_id"] == "PC-1"
    assert agent.uninstall(" PC-1").json["machine_id"] == "PC-1"
    assert operator.get("/fleet").json["active"][0]["machine_id"] == " PC-1"
