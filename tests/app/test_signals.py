"""Signals: sent once, after the commit; a failing receiver breaks nothing."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack

import pytest
from blinker import ANY, NamedSignal

import lea_fleet
from lea_fleet import (
    AlreadyEnrolled,
    LeaFleet,
    agent_clone_suspected,
    agent_edited,
    agent_enrolled,
    agent_identity_changed,
    agent_imported,
    agent_reactivated,
    agent_reenrolled,
    agent_released,
    agent_seen,
    agent_token_rotated,
    agent_uninstalled,
)
from lea_fleet.storage.agent_tokens import AgentTokens
from lea_fleet.storage.edits import Edits
from lea_fleet.storage.imports import Imports
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_invalid, assert_problem


@pytest.fixture
def on():
    """Connect receivers until the test ends."""
    with ExitStack() as connected:

        def connect(signal, receiver, sender=ANY):
            connected.enter_context(signal.connected_to(receiver, sender))

        yield connect


@pytest.fixture
def heard(on):
    """The signals sent so far: each one's name and arguments."""
    sent = []
    for signal in signals():
        on(signal, note(signal, sent))
    return sent


def signals():
    return [thing for thing in vars(lea_fleet).values() if type(thing) is NamedSignal]


def note(signal, sent):
    return lambda sender, **about: sent.append((signal.name, about))


def machines(heard):
    """Return the machine of each signal."""
    return [(name, about["machine_id"]) for name, about in heard]


ROW = ("status", "last_seen_at", "uninstall_reason", "version", "hostname")
EVENT = ("id", "machine_id", "event", "at", "actor", "detail")


def committed(engine, machine_id):
    """Return the machine's row and last event as another connection reads them."""
    query = f"SELECT {', '.join(ROW)} FROM enrolled_agents WHERE machine_id = ?"
    (row,) = engine.execute(query, machine_id)
    query = f"SELECT {', '.join(EVENT)} FROM lea_fleet_events ORDER BY id"
    return dict(zip(ROW, row)), dict(zip(EVENT, engine.execute(query)[-1]))


# The arguments of each signal


def uninstalled(operator):
    operator.enroll("PC-1")
    operator.uninstall("PC-1")


def active(operator):
    operator.enroll("PC-1", hostname="A")


def renamed(operator):
    operator.enroll("PC-1", hostname="A").heartbeat(hostname="B")


def imported(operator, **details):
    with operator.client.application.app_context():
        repository = LeaFleet().repository
        with repository.transaction():
            Imports(repository.unit).add("PC-1", details)


def edited(operator):
    with operator.client.application.app_context():
        repository = LeaFleet().repository
        with repository.transaction():
            agent = repository.require("PC-l")
            Edits(repository.unit).edit(agent, {"version": "2"}, "PC-1")


def beat(operator, hostname):
    response = operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": hostname})
    assert response.status_code == 200


# For each signal: the state before, the change, the event, and what the row has
# afterwards.
CASES = {
    agent_enrolled: (
        lambda operator: None,
        lambda operator: operator.enroll("PC-1"),
        "enrolled",
        {"status": "active"},
    ),
    agent_reactivated: (
        uninstalled,
        lambda operator: operator.enroll("PC-1"),
        "reactivated",
        {"status": "active"},
    ),
    agent_reenrolled: (
        active,
        lambda operator: operator.enroll("PC-1", force=True, version="2"),
        "reenrolled",
        {"version": "2"},
    ),
    agent_uninstalled: (
        active,
        lambda operator: operator.uninstall("PC-1", reason="sold"),
        "uninstalled",
        {"status": "uninstalled", "uninstall_reason": "sold"},
    ),
    agent_imported: (
        lambda operator: None,
        lambda operator: imported(operator, version="1.4"),
        "imported",
        {"status": "active", "last_seen_at": None, "version": "1.4"},
    ),
    agent_edited: (
        lambda operator: operator.enroll("PC-l"),
        edited,
        "edited",
        {"status": "active", "version": "2"},
    ),
    agent_released: (
        active,
        lambda operator: operator.request("POST", "/machines/PC-1/release"),
        "released",
        {"status": "active"},
    ),
    agent_token_rotated: (
        active,
        lambda operator: operator.post("/machines/PC-1/token", {}),
        "token_rotated",
        {"status": "active"},
    ),
    agent_identity_changed: (
        active,
        lambda operator: beat(operator, "B"),
        "identity_changed",
        {"hostname": "B"},
    ),
    agent_clone_suspected: (
        renamed,
        lambda operator: beat(operator, "A"),
        "suspected_clone",
        {"hostname": "A"},
    ),
}

every_signal = pytest.mark.parametrize("signal", CASES, ids=lambda signal: signal.name)


def test_every_signal_is_listed_here():
    assert {*CASES, agent_seen} == set(signals())
    assert len(CASES) == 10


@every_signal
def test_it_is_sent_once_and_by_then_another_connection_finds_what_it_tells(
    app, operator, engine, on, signal
):
    prepare, happen, kind, row = CASES[signal]
    prepare(operator)
    received = []

    def receive(sender, machine_id, event):
        found, stored = committed(engine, machine_id)
        received.append((sender, machine_id, event, found, stored))

    on(signal, receive)
    happen(operator)

    ((sender, machine_id, event, found, stored),) = received
    assert sender is app
    assert machine_id == event["machine_id"] == "PC-1"
    assert event["event"] == kind
    assert found.items() >= row.items()
    actor, detail = json.loads(stored["actor"]), json.loads(stored["detail"])
    assert event == {**stored, "actor": actor, "detail": detail}


def test_the_event_is_as_the_route_shows_it(operator, heard):
    operator.installer().enroll("PC-1", version="1.4")

    (shown,) = operator.get("/machines/PC-1/events").json["events"]
    ((_, about),) = heard
    assert about == {"machine_id": "PC-1", "event": {**shown, "machine_id": "PC-1"}}


# Not sent


def test_what_is_refused_is_not_told(operator, heard):
    operator.enroll("PC-1", hostname="A")
    operator.uninstall("PC-1")
    operator.enroll("PC-2")
    heard.clear()

    again = operator.post("/enroll", {"machine_id": "PC-2"})
    assert_problem(again, 409, "already_enrolled")
    forbidden = {"machine_id": "PC-1", "allow_reactivate": False}
    assert_problem(operator.post("/enroll", forbidden), 409, "reactivation_refused")
    assert_invalid(operator.post("/enroll", {"machine_id": "."}), "machine_id")
    assert_problem(operator.uninstall("nobody"), 404, "unknown_agent")
    gone = operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": "B"})
    assert_problem(gone, 409, "machine_uninstalled")
    release = operator.request("POST", "/machines/PC-1/release")
    assert_problem(release, 409, "machine_uninstalled")
    rotation = operator.post("/machines/PC-1/token", {})
    assert_problem(rotation, 409, "machine_uninstalled")
    assert operator.uninstall("PC-1").status_code == 200  # changes nothing

    assert heard == []


def test_an_enrollment_that_found_no_use_left_is_not_told(operator, heard):
    installer = operator.installer(max_uses=1)
    installer.enroll("PC-1")
    heard.clear()

    response = installer.post("/enroll", {"machine_id": "PC-2"})

    assert_problem(response, 403, "enrollment_token_exhausted")
    assert heard == []


@pytest.mark.parametrize("when", ["before the commit", "by the commit"])
def test_what_is_rolled_back_is_not_told(operator, engine, heard, monkeypatch, when):
    def fail(*args, **options):
        raise engine.fault

    operator.get("/fleet")
    by_commit = when == "by the commit"
    kind, method = (engine.session, "commit") if by_commit else (AgentTokens, "add")
    with monkeypatch.context() as failing:
        failing.setattr(kind, method, fail)
        response = operator.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 503, "database_unavailable")
    assert heard == []
    operator.enroll("PC-2")
    assert machines(heard) == [("agent-enrolled", "PC-2")]


def test_an_answer_that_is_given_again_is_no_second_enrollment(operator, heard):
    for _ in range(2):
        response = operator.post(
            "/enroll", {"machine_id": "PC-1"}, headers={"Idempotency-Key": "key"}
        )
        assert response.status_code == 201

    assert machines(heard) == [("agent-enrolled", "PC-1")]


# Receivers that fail


@pytest.fixture
def fault(caplog):
    """A receiver that raises; the log must have the error afterwards."""

    def raise_it(sender, **about):
        raise ValueError("the receiver's own fault")

    with caplog.at_level(logging.ERROR, "lea_fleet"):
        yield raise_it
    (record,) = caplog.get_records("call")
    assert record.name == "lea_fleet"
    assert str(record.exc_info[1]) == "the receiver's own fault"


def test_a_receiver_that_raises_neither_undoes_nor_hides_an_enrollment(
    operator, engine, on, fault
):
    on(agent_enrolled, fault)

    agent = operator.enroll("PC-1")

    assert committed(engine, "PC-1")[0]["status"] == "active"
    assert agent.heartbeat().status_code == 200


def test_a_receiver_that_raises_keeps_it_from_no_other(operator, on, caplog):
    """In any order, since all of them raise."""
    called = []

    def receiver(name):
        def receive(sender, **about):
            called.append(name)
            raise ValueError(name)

        return receive

    for name in "abc":
        on(agent_enrolled, receiver(name))
    operator.enroll("PC-1")

    logged = [str(record.exc_info[1]) for record in caplog.records]
    assert sorted(called) == sorted(logged) == ["a", "b", "c"]


@every_signal
def test_no_change_is_hidden_by_a_receiver_that_raises(operator, on, signal, fault):
    prepare, happen, kind, _ = CASES[signal]
    prepare(operator)
    on(signal, fault)

    happen(operator)

    newest = operator.get("/machines/PC-1/events").json["events"][0]
    assert newest["event"] == kind


def test_a_receiver_that_raises_fails_no_heartbeat(operator, on, fault):
    agent = operator.enroll("PC-1")
    on(agent_seen, fault)

    assert agent.heartbeat().status_code == 200


def test_a_receiver_that_raises_fails_no_command(app, operator, on, fault):
    agent = operator.enroll("PC-1")
    on(agent_token_rotated, fault)

    result = app.test_cli_runner().invoke(args=["fleet", "rotate", "PC-1"])

    assert result.exit_code == 0
    answer = {"machine_id": "PC-1", "api_token": result.stdout.strip()}
    assert Agent(agent.client, answer).heartbeat().status_code == 200


def test_a_receiver_may_change_the_fleet_itself(operator, on, heard):
    def release(sender, machine_id, event):
        LeaFleet().repository.release(machine_id)

    on(agent_enrolled, release)
    operator.enroll("PC-1")

    assert sorted(machines(heard)) == [
        ("agent-enrolled", "PC-1"),
        ("agent-released", "PC-1"),
    ]
    page = operator.get("/machines/PC-1/events").json["events"]
    assert [event["event"] for event in page] == ["released", "enrolled"]


# Which receivers are called


def test_an_application_is_heard_by_those_who_listen_to_it(make_app, engine, on):
    one, other = make_app(), make_app(**engine.beside().settings)
    heard = []
    for name, app in (("one", one), ("other", other)):
        for signal in (agent_enrolled, agent_seen):
            on(signal, told(heard, name, signal), sender=app)

    Api(one.test_client(), OPERATOR_TOKEN).enroll("PC-1").heartbeat()
    Api(other.test_client(), OPERATOR_TOKEN).enroll("PC-2")

    assert heard == [
        ("one", "agent-enrolled", "PC-1"),
        ("one", "agent-seen", "PC-1"),
        ("other", "agent-enrolled", "PC-2"),
    ]


def told(heard, name, signal):
    return lambda sender, machine_id, **about: heard.append(
        (name, signal.name, machine_id)
    )


# Commands, and the host's own code


def test_what_a_command_changes_is_told(app, operator, heard):
    operator.enroll("PC-1")
    heard.clear()

    for words in (["release", "PC-1"], ["rotate", "PC-1"], ["rotate", "PC-1", "--now"]):
        result = app.test_cli_runner().invoke(args=["fleet", *words])
        assert result.exit_code == 0, result.output

    assert machines(heard) == [
        ("agent-released", "PC-1"),
        ("agent-token-rotated", "PC-1"),
        ("agent-token-rotated", "PC-1"),
    ]
    assert {about["event"]["actor"]["role"] for _, about in heard} == {"cli"}


def test_what_the_host_changes_is_told(app, engine, heard, on):
    stored = []
    on(
        agent_enrolled,
        lambda sender, machine_id, event: stored.append(
            (sender, committed(engine, machine_id)[0]["status"])
        ),
    )
    with app.app_context():
        repository = LeaFleet().repository
        repository.enroll("PC-1")
        repository.uninstall("PC-1")

    assert stored == [(app, "active")]
    assert machines(heard) == [
        ("agent-enrolled", "PC-1"),
        ("agent-uninstalled", "PC-1"),
    ]
    assert heard[0][1]["event"]["actor"] == {"role": "host"}


@pytest.mark.parametrize("same_object", [True, False])
def test_calls_that_are_one_transaction_are_told_at_its_end(app, heard, same_object):
    with app.app_context():
        fleet = LeaFleet()
        outer = fleet.repository
        with outer.transaction():
            for machine_id in ("PC-1", "PC-2"):
                repository = outer if same_object else fleet.repository
                repository.enroll(machine_id)
            assert heard == []

    assert machines(heard) == [("agent-enrolled", "PC-1"), ("agent-enrolled", "PC-2")]


def test_a_transaction_is_told_whole_though_a_receiver_makes_another(app, on, heard):
    def release(sender, machine_id, event):
        LeaFleet().repository.release(machine_id)

    on(agent_enrolled, release)
    with app.app_context():
        repository = LeaFleet().repository
        with repository.transaction():
            repository.enroll("PC-1")
            repository.enroll("PC-2")

    assert sorted(machines(heard)) == [
        ("agent-enrolled", "PC-1"),
        ("agent-enrolled", "PC-2"),
        ("agent-released", "PC-1"),
        ("agent-released", "PC-2"),
    ]


def test_what_the_host_rolls_back_itself_is_never_told(app, engine, heard):
    """In a transaction that the host began, the host commits, or does not."""
    with app.app_context():
        repository = LeaFleet().repository
        repository.connection.execute(engine.begin)
        repository.enroll("PC-1")
        repository.connection.execute("ROLLBACK")
        repository.enroll("PC-2")

    assert machines(heard) == [("agent-enrolled", "PC-2")]


def test_what_the_host_takes_back_is_never_told(app, heard):
    with app.app_context():
        repository = LeaFleet().repository
        with pytest.raises(ValueError), repository.transaction():
            repository.enroll("PC-1")
            raise ValueError
        repository.enroll("PC-2")
        with pytest.raises(AlreadyEnrolled):
            repository.enroll("PC-2")

    assert machines(heard) == [("agent-enrolled", "PC-2")]


# Heartbeats


def test_a_heartbeat_is_told_whether_or_not_it_is_written(
    app, operator, engine, the_clock, on
):
    agent = operator.enroll("PC-1")
    seen = []

    def receive(sender, **about):
        seen.append((sender, about, committed(engine, "PC-1")[0]["last_seen_at"]))

    on(agent_seen, receive)
    written_at = the_clock.iso()
    the_clock.advance(seconds=14)
    assert agent.heartbeat().status_code == 200
    the_clock.advance(seconds=1)
    assert agent.heartbeat().status_code == 200
    beat(operator, "A")

    about = {"machine_id": "PC-1"}
    assert seen == [
        (app, about, written_at),
        (app, about, the_clock.iso()),
        (app, about, the_clock.iso()),
    ]


def test_a_heartbeat_that_is_refused_is_not_told(operator, heard):
    agent, other = operator.enroll("PC-1"), operator.enroll("PC-2")
    operator.uninstall("PC-2")
    heard.clear()

    unknown = operator.post("/heartbeat", {"machine_id": "nobody"})
    assert_problem(unknown, 404, "unknown_agent")
    gone = operator.post("/heartbeat", {"machine_id": "PC-2"})
    assert_problem(gone, 409, "machine_uninstalled")
    assert_problem(other.heartbeat(), 401, "agent_uninstalled")
    assert_problem(agent.heartbeat(machine_id="PC-2"), 403, "wrong_machine")
    assert_invalid(agent.heartbeat(version=5), "version")

    assert heard == []
