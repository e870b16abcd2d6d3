"""Dead tokens are kept as long as their holders may ask, and no longer."""

from __future__ import annotations

import pytest

from tests.support.api import Agent, assert_problem


@pytest.fixture
def agent(operator):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    return agent


@pytest.fixture
def rows(engine):
    """Return a function that counts the token rows."""

    def count():
        ((rows,),) = engine.execute("SELECT count(*) FROM lea_fleet_tokens")
        return rows

    return count


def rotate(caller):
    """Rotate PC-1's token; return the agent with the new one."""
    response = caller.post("/machines/PC-1/token")
    assert response.status_code == 201, response.text
    return Agent(caller.client, response.json)


def codes(agents):
    """Return how each is answered, the last one first."""
    answers = [agent.post("/heartbeat") for agent in reversed(agents)]
    return [answer.json.get("code", "ok") for answer in answers]


def test_of_rotations_without_use_the_newest_four_are_kept(operator, agent, rows):
    issued = [rotate(operator) for _ in range(30)]

    assert rows() == 6
    *dead, pending = issued
    assert codes(dead) == ["token_revoked"] * 4 + ["invalid_token"] * 25
    assert agent.heartbeat().status_code == 200
    assert pending.heartbeat().status_code == 200
    assert_problem(agent.heartbeat(), 401, "token_revoked")


def test_of_tokens_that_were_used_the_newest_four_are_kept(operator, agent, rows):
    held = [agent]
    for _ in range(30):
        held.append(rotate(operator))
        held[-1].heartbeat()

    assert rows() == 5
    told = codes(held)
    assert told == ["ok"] + ["token_revoked"] * 4 + ["invalid_token"] * 26


def test_of_each_earlier_enrollment_what_was_valid_at_its_end_is_kept(
    operator, agent, rows
):
    last = []
    for _ in range(10):
        for _ in range(3):
            agent = rotate(operator)
            agent.heartbeat()
        rotate(operator)  # lost
        last.append(agent)
        agent = operator.enroll("PC-1", force=True)
        agent.heartbeat()

    assert rows() == 10 * 2 + 1
    assert codes(last) == ["token_revoked"] * 10
    operator.uninstall("PC-1")
    assert codes(last) == ["agent_uninstalled"] * 10


def test_a_machine_that_was_off_is_told_that_it_was_uninstalled(operator, agent, run):
    """Whatever was rotated, uninstalled and enrolled in the meantime."""
    for _ in range(10):
        assert run("rotate", "PC-1", "--now").exit_code == 0
    for _ in range(3):
        operator.uninstall("PC-1")
        assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")
        other = operator.enroll("PC-1")
        other.heartbeat()
        for _ in range(10):
            assert run("rotate", "PC-1", "--now").exit_code == 0
        assert_problem(agent.heartbeat(), 401, "token_revoked", "ask_operator")


def test_a_machine_that_never_started_is_told_so_too(operator):
    agent = operator.enroll("PC-1")
    operator.enroll("PC-1", force=True).heartbeat()
    operator.uninstall("PC-1")

    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")


def test_an_uninstall_may_be_repeated_after_any_rotations(operator, agent):
    for _ in range(10):
        pending = rotate(operator)
    operator.uninstall("PC-1")

    for holder in (agent, pending):
        assert holder.post("/uninstall").status_code == 200


def test_a_lost_response_may_be_asked_for_without_leaving_rows(operator, rows):
    installer = operator.installer(max_uses=1)
    key = {"Idempotency-Key": "lost"}
    for _ in range(30):
        installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)

    assert rows() == 5


def test_that_a_token_was_used_stays_known_however_many_follow(operator, rows):
    installer = operator.installer()
    key = {"Idempotency-Key": "lost"}
    answer = installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)
    Agent(installer.client, answer.json).heartbeat()
    for _ in range(10):
        rotate(operator)

    again = installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)
    assert_problem(again, 409, "already_enrolled")


def test_what_an_older_version_has_left_goes_bit_by_bit(operator, agent, engine, rows):
    then = "2026-01-01T00:00:00+00:00"
    engine.execute(
        "WITH RECURSIVE old(n) AS"
        " (SELECT 1001 UNION ALL SELECT n + 1 FROM old WHERE n < 2000)"
        " INSERT INTO lea_fleet_tokens (token_hash, machine_id, enrolled_at, issued_at,"
        " revoked_at, replaced)"
        f" SELECT '{60 * '0'}' || n, machine_id, enrolled_at, '{then}', '{then}', true"
        " FROM enrolled_agents, old"
    )
    counts = [rows()]
    for _ in range(8):
        rotate(operator)
        counts.append(rows())

    assert counts[0] == 1001 and counts[-1] == 6
    assert max(a - b for a, b in zip(counts, counts[1:])) < 256
    assert agent.heartbeat().status_code == 200
