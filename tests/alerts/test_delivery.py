"""Webhooks: what is sent, in which order, and what a bad receiver can do."""

from __future__ import annotations

import json
import socket
import ssl
import threading

import pytest
import trustme

from lea_fleet.alerts import deadline as deadlines
from lea_fleet.alerts import webhook
from tests.alerts.conftest import Fleet
from tests.support.receiver import (
    byte_by_byte,
    endless,
    hang_up,
    receiving,
    silence,
    status,
)


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def short(monkeypatch):
    """Give up a receiver after a second."""
    for module in (deadlines, webhook):
        monkeypatch.setattr(module, "LONGEST_DELIVERY", 1)


@pytest.fixture
def told(make_app, the_clock, receiver, monkeypatch):
    """A fleet whose events are told to the *receiver*; that has begun."""
    # What is signed, and verified, is the real time.
    fleet = Fleet(make_app(**receiver.settings, LEA_FLEET_ALERT_AFTER="1h"), the_clock)
    fleet.operator.enroll("PC-0")
    assert fleet.notify() == (0, 0)
    return fleet


def test_every_event_is_told_once_in_its_order(told, receiver):
    for number in range(150):
        told.operator.enroll(f"PC-{number + 1}")
    told.operator.uninstall("PC-1")

    told.notify()
    told.notify()

    machines = [f"PC-{number + 1}" for number in range(150)]
    enrolled = [("machine.enrolled", machine) for machine in machines]
    assert receiver.types() == [*enrolled, ("machine.uninstalled", "PC-1")]
    assert len(set(receiver.ids)) == 151


def test_alerts_and_events_are_told_by_their_time(told, receiver):
    told.enroll("PC-1", "PC-2")
    told.beat("PC-1", "PC-2", minutes=10)
    told.beat("PC-1", minutes=70)
    told.operator.uninstall("PC-2")

    told.notify()

    kinds = [kind for kind, machine in receiver.types() if machine == "PC-2"]
    assert kinds == ["machine.enrolled", "machine.silent", "machine.uninstalled"]


def test_a_message_names_nobody_unless_that_is_set(told, receiver, make_app):
    details = {"user_name": "Zoe", "user_email": "zoe@a.example", "hostname": "HOST-Z"}
    told.operator.enroll("PC-1", **details)
    told.operator.uninstall("PC-1", reason="Zoe left")

    told.notify()
    assert "oe" not in json.dumps(receiver.messages)
    assert receiver.messages[0]["data"] == {
        "machine_id": "PC-1",
        "version": None,
        "actor": {"role": "operator"},
    }

    personal = {**receiver.settings, "LEA_FLEET_WEBHOOK_PERSONAL": True}
    told = Fleet(make_app(**personal), told.clock)
    told.operator.enroll("PC-1")
    told.notify()
    data = receiver.messages[-1]["data"]
    assert {**details, **data} == data
    assert data["actor"]["address"] == "127.0.0.1"


def test_a_message_has_the_tags_that_a_setting_names(receiver, make_app, the_clock):
    settings = {**receiver.settings, "LEA_FLEET_REPORTED_TAGS": "site"}
    told = Fleet(make_app(**settings), the_clock)
    told.operator.enroll("PC-0")
    assert told.notify() == (0, 0)
    told.operator.enroll("PC-1")
    told.operator.post("/machines/PC-1/tags", {"add": ["site=lyon", "of=zoe"]})
    told.operator.uninstall("PC-0")

    told.notify()

    data = {each["data"]["machine_id"]: each["data"] for each in receiver.messages}
    assert data["PC-1"]["machine_tags"] == ["site=lyon"]
    assert "machine_tags" not in data["PC-0"]
    assert "zoe" not in json.dumps(receiver.messages)


def test_what_was_erased_meanwhile_is_not_told(receiver, make_app, the_clock):
    settings = {**receiver.settings, "LEA_FLEET_WEBHOOK_PERSONAL": True}
    told = Fleet(make_app(**settings), the_clock)
    told.operator.enroll("PC-0")
    told.notify()
    told.operator.enroll("PC-1", user_email="zoe@a.example")
    told.operator.uninstall("PC-1", reason="zoe@a.example left")
    runner = told.app.test_cli_runner()
    words = ["fleet", "erase", "PC-1", "--yes"]
    assert runner.invoke(args=words).exit_code == 0

    told.notify()

    assert ("machine.uninstalled", "PC-1") in receiver.types()
    assert "zoe" not in json.dumps(receiver.messages)


def test_both_secrets_sign_while_one_is_changed(make_app, the_clock):
    old = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    with receiving(old) as receiver:
        settings = receiver.settings
        settings["LEA_FLEET_WEBHOOK_SECRET"] += f" {old}"
        told = Fleet(make_app(**settings), the_clock)
        told.operator.enroll("PC-0")
        told.notify()
        told.operator.enroll("PC-1")

        assert told.notify() == (1, 0)


# A receiver that fails


@pytest.mark.parametrize("code", [500, 503, 404, 401, 302, 307, 308, 410])
def test_what_is_not_accepted_is_sent_again_with_the_same_id(told, receiver, code):
    seen = []
    receiver.answers = [
        lambda handler: seen.append(handler.headers["webhook-id"])
        or status(code, Location="http://127.0.0.1:1/")(handler)
    ]
    told.operator.enroll("PC-1")
    assert told.notify() == (0, 1)
    assert receiver.requests == 1

    told.clock.advance(seconds=30)
    assert told.notify() == (0, 0)
    told.clock.advance(hours=1, minutes=10)
    assert told.notify() == (1, 0)

    assert receiver.ids == seen


@pytest.mark.parametrize(
    "answer", [hang_up, silence(3), byte_by_byte(3)], ids=["hangs up", "silent", "slow"]
)
def test_a_receiver_that_does_not_answer_is_given_up_and_asked_again(
    told, receiver, short, answer
):
    receiver.answers = [answer]
    told.operator.enroll("PC-1")

    assert told.notify() == (0, 1)
    told.clock.advance(minutes=2)
    assert told.notify() == (1, 0)


def test_the_body_of_an_answer_is_not_read(told, receiver, short):
    receiver.answers = [endless]
    told.operator.enroll("PC-1")

    assert told.notify() == (1, 0)


def test_a_receiver_that_is_down_gets_all_of_it_later(told, receiver):
    receiver.answers = [status(500)] * 6
    failures = 0
    for number in range(60):
        told.operator.enroll(f"PC-{number + 1}")
        failures += told.notify()[1]
        told.clock.advance(minutes=3)
    told.clock.advance(hours=1)
    told.notify()

    assert failures == 6
    enrolled = [("machine.enrolled", f"PC-{number + 1}") for number in range(60)]
    assert receiver.types("machine.enrolled") == enrolled


def test_a_retry_after_is_waited_for(told, receiver):
    receiver.answers = [status(503, Retry_After="1800")]
    told.operator.enroll("PC-1")
    told.notify()
    told.clock.advance(minutes=29)
    assert told.notify() == (0, 0)

    told.clock.advance(minutes=5)

    assert told.notify() == (1, 0)


def test_what_is_a_day_old_is_given_up_with_an_event(told, receiver):
    receiver.answers = [status(500)] * 1000
    told.operator.enroll("PC-1")
    told.operator.enroll("PC-2")
    for _ in range(25):
        told.notify()
        told.clock.advance(hours=1, minutes=10)
    receiver.answers = []
    told.operator.enroll("PC-3")
    told.notify()
    told.clock.advance(hours=2)
    told.notify()

    assert receiver.types("machine.enrolled") == [("machine.enrolled", "PC-3")]
    (dropped,) = [
        each["data"]
        for each in receiver.messages
        if each["type"] == "fleet.alerts_dropped"
    ]
    assert dropped["alerts"] == 2
    assert dropped["destination"].startswith("webhook-")


def test_a_message_that_is_not_taken_holds_up_the_others_for_three_attempts_only(
    told, receiver
):
    receiver.answers = [status(422)] * 3
    told.operator.enroll("PC-1")
    told.operator.enroll("PC-2")
    for _ in range(4):
        told.notify()
        told.clock.advance(minutes=10)

    assert receiver.types("machine.enrolled") == [("machine.enrolled", "PC-2")]


def test_one_destination_that_fails_does_not_hold_up_another(make_app, the_clock):
    with receiving() as bad, receiving() as good:
        bad.answers = [status(500)] * 9
        settings = {**good.settings, "LEA_FLEET_WEBHOOK_URL": f"{bad.url} {good.url}"}
        told = Fleet(make_app(**settings), the_clock)
        told.operator.enroll("PC-0")
        told.notify()
        told.operator.enroll("PC-1")

        assert told.notify() == (1, 1)
        assert good.types() == [("machine.enrolled", "PC-1")]


def test_two_runs_at_once_tell_once(told, receiver, make_app):
    for number in range(50):
        told.operator.enroll(f"PC-{number + 1}")
    others = [Fleet(make_app(**receiver.settings), told.clock) for _ in range(3)]
    threads = [threading.Thread(target=each.notify) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.notify()

    assert len(receiver.ids) == len(set(receiver.ids)) == 50


def test_servers_with_different_settings_do_not_forget_each_others_destinations(
    told, receiver, make_app
):
    with receiving() as another:
        other = Fleet(make_app(**another.settings), told.clock)
        other.notify()
        told.operator.enroll("PC-1")
        for fleet in (told, other, told, other):
            fleet.notify()

        expected = [("machine.enrolled", "PC-1")]
        assert receiver.types() == another.types() == expected


def test_a_clock_that_is_set_back_holds_nothing_up(told, receiver):
    receiver.answers = [status(500)]
    told.operator.enroll("PC-1")
    told.notify()
    told.clock.advance(days=-1)

    assert told.notify() == (1, 0)


def test_a_new_destination_is_told_what_happens_from_then_on(told, make_app):
    with receiving() as another:
        fleet = Fleet(make_app(**another.settings), told.clock)
        fleet.operator.enroll("PC-1")
        fleet.notify()
        fleet.operator.enroll("PC-2")
        fleet.notify()

        assert another.types() == [("machine.enrolled", "PC-2")]


# The way there


def test_a_certificate_must_be_trusted(make_app, the_clock, tmp_path, monkeypatch):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with receiving(context=context) as receiver:
        told = Fleet(make_app(**receiver.settings), the_clock)
        told.operator.enroll("PC-0")
        told.notify()
        told.operator.enroll("PC-1")
        assert told.notify() == (0, 1)
        assert receiver.messages == []

        file = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        told.clock.advance(minutes=10)
        assert told.notify() == (1, 0)


def test_a_proxy_is_used_but_for_this_computer(make_app, the_clock, monkeypatch):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        address = f"http://lea:pa55@127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("https_proxy", "http_proxy"):
            monkeypatch.setenv(name, address)
        monkeypatch.delenv("no_proxy", raising=False)
        with receiving() as receiver:
            settings = receiver.settings
            settings["LEA_FLEET_WEBHOOK_URL"] += " https://hooks.example.com/secret"
            told = Fleet(make_app(**settings), the_clock)
            told.operator.enroll("PC-0")
            told.notify()
            told.operator.enroll("PC-1")

            assert told.notify() == (1, 1)
        thread.join()

    assert asked[0].startswith(b"CONNECT hooks.example.com:443 ")
    assert b"secret" not in asked[0]
    (fault,) = told.faults()
    assert "pa55" not in fault and "hooks.example.com" not in fault
