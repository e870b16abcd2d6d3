"""A view whose transaction was rolled back for another one's sake is run again."""

from __future__ import annotations

import pytest

from lea_fleet.app import database as attempts
from lea_fleet.app.signals import agent_enrolled
from lea_fleet.storage.agent_tokens import AgentTokens


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Let nothing wait between two attempts; return how long it would have."""
    told = []
    monkeypatch.setattr(attempts.time, "sleep", told.append)
    return told


@pytest.fixture
def conflicts(app, monkeypatch):
    """Let the next few enrollments be rolled back right before they end."""
    store = app.extensions["lea_fleet"].store
    monkeypatch.setattr(type(store), "may_run_again", lambda self, error: True)

    def happen(times):
        left = [store.errors[0]("in another one's way") for _ in range(times)]
        add = AgentTokens.add

        def fail(*args, **options):
            add(*args, **options)
            if left:
                raise left.pop()

        monkeypatch.setattr(AgentTokens, "add", fail)

    return happen


@pytest.fixture
def told(app):
    """The machines whose enrollments were announced."""
    found = []
    with agent_enrolled.connected_to(
        lambda sender, machine_id, **_: found.append(machine_id), app
    ):
        yield found


@pytest.mark.parametrize("times", [1, 2])
def test_it_succeeds_in_the_end_and_is_told_once(operator, conflicts, told, times):
    conflicts(times)

    agent = operator.enroll("PC-1")

    assert agent.heartbeat().status_code == 200
    assert told == ["PC-1"]
    history = operator.get("/machines/PC-1/events").json["events"]
    assert [event["event"] for event in history] == ["enrolled"]


def test_after_three_attempts_the_caller_is_told_to_retry(operator, conflicts, told):
    conflicts(3)

    answer = operator.post("/enroll", {"machine_id": "PC-1"})

    assert answer.status_code == 503 and answer.json["action"] == "retry"
    assert "Retry-After" in answer.headers
    assert told == [] and operator.get("/machines/PC-1").status_code == 404


def test_the_pauses_before_them_are_random_and_short(operator, conflicts, pauses):
    conflicts(3)
    operator.post("/enroll", {"machine_id": "PC-1"})

    assert len(pauses) == 2 and pauses[0] <= 0.05 and pauses[1] <= 0.2


def test_a_use_of_an_enrollment_token_is_counted_once(operator, conflicts):
    installer = operator.installer()
    conflicts(2)
    installer.enroll("PC-1")

    (token,) = operator.get("/enrollment-tokens").json["enrollment_tokens"]
    assert token["uses"] == 1


def test_what_is_no_conflict_is_not_run_again(operator, app, conflicts, monkeypatch):
    conflicts(1)
    store = app.extensions["lea_fleet"].store
    monkeypatch.setattr(type(store), "may_run_again", lambda self, error: False)

    answer = operator.post("/enroll", {"machine_id": "PC-1"})

    assert answer.status_code == 503
    assert operator.get("/machines/PC-1").status_code == 404
