"""``flask fleet notify``: what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.api import OPERATOR_TOKEN
from tests.support.followers import await_followers
from tests.support.receiver import receiving, status


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def told(make_app, receiver, operator, monkeypatch):
    """Run the command on a fleet whose events are told to the *receiver*."""
    operator.enroll("PC-0")
    app = make_app(**receiver.settings)

    def run(*words):
        await_followers(app)
        return app.test_cli_runner().invoke(args=["fleet", "notify", *words])

    assert run().exit_code == 0
    return run


def test_it_prints_what_was_delivered_where(told, receiver, operator):
    operator.enroll("PC-1")

    result = told()

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "http://127.0.0.1: 1 delivered\n"
    assert receiver.types() == [("machine.enrolled", "PC-1")]


def test_as_json(told, operator):
    operator.enroll("PC-1")

    assert json.loads(told("--json").stdout) == {
        "destinations": [
            {
                "destination": "http://127.0.0.1",
                "delivered": 1,
                "dropped": 0,
                "fault": None,
            }
        ]
    }


def test_a_dry_run_tells_nothing_and_changes_nothing(told, receiver, operator):
    operator.enroll("PC-1")

    shown = told("--dry-run")
    as_json = json.loads(told("--dry-run", "--json").stdout)

    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == "http://127.0.0.1: 1 to deliver"
    assert shown.stdout.splitlines()[-1].split()[1:] == ["machine.enrolled", "PC-1"]
    (found,) = as_json["destinations"]
    assert [each["type"] for each in found["messages"]] == ["machine.enrolled"]
    assert receiver.messages == []
    assert told().stdout == "http://127.0.0.1: 1 delivered\n"


def test_a_test_sends_one_message_and_takes_nothing_from_what_waits(
    told, receiver, operator
):
    operator.enroll("PC-1")

    assert told("--test").exit_code == 0
    assert told().stdout == "http://127.0.0.1: 1 delivered\n"
    assert receiver.types() == [("test", None), ("machine.enrolled", "PC-1")]


def test_what_failed_is_one_line_without_the_path_and_then_waits(
    told, receiver, operator
):
    operator.enroll("PC-1")
    receiver.answers = [status(500)]

    failed, waiting = told(), told()

    assert (failed.exit_code, failed.stdout) == (1, "")
    fault = "http://127.0.0.1: 0 delivered, the receiver answered 500"
    assert failed.stderr == f"Error: {fault}\n"
    assert waiting.exit_code == 0
    assert waiting.stdout.startswith(f"{fault}; tried again at ")


def test_a_failed_test_is_one_line(told, receiver):
    receiver.answers = [status(404)]

    result = told("--test")

    assert result.exit_code == 1
    assert result.stderr.endswith("the receiver answered 404\n")


def test_without_anybody_to_tell_it_names_the_settings(run, operator):
    operator.enroll("PC-1")

    result = run("notify")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "LEA_FLEET_WEBHOOK_URL or LEA_FLEET_MAIL_TO" in result.stderr


@pytest.mark.parametrize("words", [("--watch", "--test"), ("--test", "--dry-run")])
def test_one_thing_at_a_time(run, words):
    assert run("notify", *words).exit_code == 2


def test_a_service_goes_on_until_it_is_stopped(receiver, operator, engine):
    operator.enroll("PC-0")
    words = ["-m", "flask", "--app", "lea_fleet", "fleet", "notify"]
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, **receiver.settings}
    receiver.answers = [status(500)]
    service = subprocess.Popen(
        [sys.executable, *words, "--watch", "--every", "1s"],
        env={**os.environ, **engine.environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        number = 0
        while receiver.requests < 1:
            number += 1
            operator.enroll(f"PC-{number}")
            time.sleep(0.5)
        service.send_signal(signal.SIGTERM)
        out, err = service.communicate(timeout=60)
    finally:
        service.kill()
        service.wait()

    assert service.returncode == 0
    assert "the receiver answered 500" in err
    assert "Traceback" not in err


def test_a_dry_run_says_that_silence_is_not_told_unless_it_is(
    told, make_app, receiver, operator
):
    assert "set LEA_FLEET_ALERT_AFTER" in told("--dry-run").stderr

    app = make_app(**receiver.settings, LEA_FLEET_ALERT_AFTER="3d")
    shown = app.test_cli_runner().invoke(args=["fleet", "notify", "--dry-run"])
    assert (shown.exit_code, shown.stderr) == (0, "")


# The doctor


def verdict(app):
    result = app.test_cli_runner().invoke(args=["fleet", "doctor", "--json"])
    checks = json.loads(result.stdout)["checks"]
    (found,) = [each for each in checks if each["check"] == "alerts"]
    return found["level"], found["detail"]


def test_the_doctor_says_what_was_delivered_and_what_waits(
    make_app, receiver, operator, the_clock
):
    operator.enroll("PC-0")
    app = make_app(**receiver.settings)

    def notify():
        await_followers(app)
        app.test_cli_runner().invoke(args=["fleet", "notify"])

    level, detail = verdict(app)
    assert (level, detail) == ("warning", "never run for http://127.0.0.1")
    notify()
    operator.enroll("PC-1")
    await_followers(app)
    level, detail = verdict(app)
    assert level == "ok"
    assert "nothing was delivered yet, 1 wait" in detail
    assert "LEA_FLEET_ALERT_AFTER is not set" in detail

    receiver.answers = [status(500)]
    notify()
    level, detail = verdict(app)
    assert level == "warning"
    assert "has failed since 2026-03-02 08:00 UTC: the receiver answered 500" in detail

    the_clock.advance(minutes=10)
    notify()
    assert "last delivered at 2026-03-02 08:10 UTC, 0 wait" in verdict(app)[1]

    the_clock.advance(hours=2)
    assert "last ran at 2026-03-02 08:10 UTC" in verdict(app)[1]


def test_the_doctor_has_nothing_against_a_fleet_without_alerts(app, operator):
    operator.enroll("PC-1")

    assert verdict(app)[0] == "ok"
