"""A detail that is too long takes no machine offline, and somebody learns of it."""

from __future__ import annotations

import json

import pytest

from lea_fleet.core.machine import DETAILS, PERSONAL
from lea_fleet.core.text import folded
from tests.support.api import assert_invalid, assert_problem

LONG = "x" * 256
CUT = [name for name in DETAILS if name not in PERSONAL]


@pytest.fixture
def agent(operator, the_clock):
    agent = operator.enroll("PC-1", **dict.fromkeys(DETAILS, "A"))
    agent.heartbeat()
    the_clock.advance(minutes=10)
    return agent


@pytest.fixture
def show(run):
    """Return the lines that ``flask fleet show`` has about ignored details."""

    def lines(machine="PC-1"):
        shown = run("show", machine).output.splitlines()
        return [line.split(None, 1)[1] for line in shown if line.startswith("IGNORED")]

    return lines


@pytest.fixture
def doctor(run):
    """Return what the doctor says about details."""

    def finding():
        report = json.loads(run("doctor", "--json").stdout)
        return next(each for each in report["checks"] if each["check"] == "details")

    return finding


def notes(engine):
    return engine.execute("SELECT * FROM lea_fleet_ignored")


@pytest.mark.parametrize("name", DETAILS)
def test_the_heartbeat_is_accepted_and_the_answer_says_what_was_ignored(
    agent, operator, the_clock, name
):
    others = {other: "B" for other in DETAILS if other != name}
    response = agent.heartbeat(**{name: LONG}, **others)

    assert response.status_code == 200
    (ignored,) = response.json["ignored"]
    assert ignored["field"] == name
    assert LONG[:20] not in response.text
    machine = operator.machine("PC-1")
    assert machine["last_seen_at"] == the_clock.iso()
    assert {other: machine[other] for other in others} == others


@pytest.mark.parametrize("name", CUT)
def test_a_description_is_cut(agent, operator, name):
    response = agent.heartbeat(**{name: "é" * 300})

    assert operator.machine("PC-1")[name] == "é" * 255
    message = response.json["ignored"][0]["message"]
    assert message == "has more than 255 characters; cut to 255"


@pytest.mark.parametrize("name", PERSONAL)
def test_a_name_is_left_out_and_never_cut(agent, operator, name):
    response = agent.heartbeat(**{name: LONG})

    assert operator.machine("PC-1")[name] == "A"
    message = response.json["ignored"][0]["message"]
    assert message == "has more than 255 characters; left out"


def test_what_fits_is_answered_as_before(agent):
    assert "ignored" not in agent.heartbeat(version="x" * 255).json


@pytest.mark.parametrize("sent", [7, True, [LONG], {}, LONG + "\0", "\ud800" + LONG])
def test_another_type_or_text_that_cannot_be_stored_is_still_refused(agent, sent):
    assert_invalid(agent.post("/heartbeat", {"hostname": sent}), "hostname")


def test_an_enrollment_and_a_machine_id_are_still_strict(agent, operator):
    too_long = {"machine_id": "PC-2", "version": LONG}
    assert_invalid(operator.post("/enroll", too_long), "version")
    assert_problem(
        operator.post("/heartbeat", {"machine_id": LONG}), 404, "unknown_agent"
    )


def test_show_and_the_doctor_name_it_and_not_its_value(
    agent, show, doctor, run, the_clock
):
    assert show() == [] and doctor()["level"] == "ok"
    agent.heartbeat(hostname=LONG, version=LONG)

    hostname, version = show()
    assert hostname == "hostname: more than 255 characters, last now"
    assert version.startswith("version: more than 255 characters")
    assert json.loads(run("show", "PC-1", "--json").stdout)["ignored"] == [
        {"field": name, "ignored_at": the_clock.iso()}
        for name in ("hostname", "version")
    ]
    assert doctor()["level"] == "warning"
    assert "PC-1" in doctor()["detail"]


def test_it_is_said_for_a_day(agent, show, doctor, the_clock):
    agent.heartbeat(hostname=LONG)
    the_clock.advance(days=1)

    assert show() == [] and doctor()["level"] == "ok"


def test_a_value_that_fits_ends_it_at_once(agent, show, doctor):
    agent.heartbeat(hostname=LONG, version=LONG)
    agent.heartbeat(hostname="B", version=LONG)

    assert [line.partition(":")[0] for line in show()] == ["version"]
    agent.heartbeat(version="B")
    assert show() == [] and doctor()["level"] == "ok"


def test_the_next_enrollment_ends_it(agent, operator, show, doctor):
    agent.heartbeat(hostname=LONG)
    operator.enroll("PC-1", force=True)

    assert show() == [] and doctor()["level"] == "ok"


def test_of_a_machine_that_is_uninstalled_the_doctor_says_nothing(
    agent, operator, doctor
):
    agent.heartbeat(hostname=LONG)
    operator.uninstall("PC-1")

    assert doctor()["level"] == "ok"


def test_it_is_noted_once_an_hour_however_often_it_is_reported(
    agent, operator, engine, the_clock
):
    agent.heartbeat(hostname=LONG)
    noted = notes(engine)
    for _ in range(5):
        the_clock.advance(minutes=10)
        agent.heartbeat(hostname=LONG)
        assert operator.machine("PC-1")["last_seen_at"] == the_clock.iso()
    assert notes(engine) == noted

    the_clock.advance(minutes=10)
    agent.heartbeat(hostname=LONG)
    ((machine, field, _, at),) = notes(engine)
    assert (machine, field, at) == ("PC-1", "hostname", the_clock.iso())


def test_one_that_comes_right_after_another_heartbeat_is_noted_too(agent, show):
    agent.heartbeat()
    agent.heartbeat(user_name=LONG)

    assert len(show()) == 1


def test_under_the_shared_token_it_is_noted_too(agent, operator, show):
    operator.post("/heartbeat", {"machine_id": "PC-1", "hostname": LONG})

    assert len(show()) == 1


def test_no_part_of_a_value_is_stored(agent, engine):
    agent.heartbeat(user_email="zoe@example.com," * 20)

    assert "zoe@" not in folded(repr(engine.contents()))
