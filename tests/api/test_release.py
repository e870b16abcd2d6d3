"""An active machine without its token: force, release or long silence re-enroll it."""

from __future__ import annotations

import pytest

from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem
from tests.support.fleets import fill


@pytest.fixture
def installer(operator):
    return operator.installer()


@pytest.fixture
def agent(installer):
    enrolled = installer.enroll("PC-1", user_name="Zoé", version="1")
    enrolled.heartbeat()
    return enrolled


def release(operator, method="POST", **members):
    return operator.request(method, "/machines/PC-1/release", json=members)


def last_event(operator):
    event = operator.get("/machines/PC-1/events").json["events"][0]
    return event["event"], event["detail"]


def test_force_enrolls_an_active_machine_again(operator, agent, the_clock):
    the_clock.advance(hours=1)

    again = operator.enroll("PC-1", force=True, version="2")

    assert again.answer["status"] == "reenrolled"
    machine = operator.machine("PC-1")
    assert machine["enrolled_at"] == machine["last_seen_at"] == the_clock.iso()
    assert (machine["user_name"], machine["version"]) == ("Zoé", "2")
    assert_problem(agent.heartbeat(), 401, "token_revoked", "ask_operator")
    assert again.heartbeat().status_code == 200
    expected = {"version": "2", "because": "force"}
    assert last_event(operator) == ("reenrolled", expected)


def test_force_on_a_machine_that_is_not_active_changes_nothing_about_it(operator):
    assert operator.enroll("PC-1", force=True).answer["status"] == "enrolled"
    operator.uninstall("PC-1")
    assert operator.enroll("PC-1", force=True).answer["status"] == "reactivated"


def test_a_release_lets_one_enrollment_through(operator, installer, agent, the_clock):
    response = release(operator)

    assert response.status_code == 200
    the_clock.advance(hours=24)
    until = the_clock.iso()
    assert response.json == {"machine_id": "PC-1", "released_until": until}
    assert last_event(operator) == ("released", {"until": until})
    the_clock.advance(seconds=-1)
    assert agent.heartbeat().status_code == 200
    again = installer.enroll("PC-1")
    assert again.answer["status"] == "reenrolled"
    assert_problem(agent.heartbeat(), 401, "token_revoked")
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")


def test_a_release_ends_after_24_hours(operator, installer, agent, the_clock):
    release(operator)
    the_clock.advance(hours=24)

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 409, "already_enrolled")


def test_a_release_can_be_taken_back(operator, installer, agent):
    release(operator)

    for _ in range(2):
        response = release(operator, "DELETE")
        assert response.json == {"machine_id": "PC-1", "released_until": None}
    assert last_event(operator) == ("release_cancelled", {})
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")


def enrolls(caller):
    """Return the code of an enrollment of the machine, or its status in the fleet."""
    answer = caller.post("/enroll", {"machine_id": "PC-1"}).json
    return answer.get("code") or answer["status"]


def test_a_release_for_one_enrollment_token_holds_for_no_other(
    operator, installer, agent, the_clock
):
    other = operator.installer()
    the_clock.advance(hours=24)
    until = the_clock.iso()
    the_clock.advance(hours=-24)

    response = release(operator, enrollment_token=2)

    assert response.json == {"machine_id": "PC-1", "released_until": until}
    told = {"until": until, "enrollment_token": 2}
    assert last_event(operator) == ("released", told)
    assert enrolls(installer) == enrolls(operator) == "already_enrolled"
    assert enrolls(other) == "reenrolled"
    assert enrolls(other) == "already_enrolled"


def test_a_release_for_0_holds_for_the_operators_token_only(operator, installer, agent):
    assert release(operator, enrollment_token=0).status_code == 200

    assert last_event(operator)[1]["enrollment_token"] == 0
    assert enrolls(installer) == "already_enrolled"
    assert enrolls(operator) == "reenrolled"


@pytest.mark.parametrize("members", [{}, {"enrollment_token": None}, {"else": [1]}])
def test_a_release_without_an_enrollment_token_holds_for_any(
    operator, installer, agent, members
):
    assert release(operator, **members).status_code == 200

    assert "enrollment_token" not in last_event(operator)[1]
    assert enrolls(installer) == "reenrolled"


def test_a_release_for_one_token_replaces_that_for_another_but_not_that_for_any(
    operator, installer, agent
):
    other = operator.installer()
    release(operator, enrollment_token=1)
    release(operator, enrollment_token=2.0)  # the same number in JSON
    assert enrolls(installer) == "already_enrolled"
    release(operator)
    release(operator, enrollment_token=1)

    assert enrolls(other) == "reenrolled"


def test_the_history_says_which_token_a_release_holds_for(operator, agent):
    for body in ({"enrollment_token": 7}, {}, {"enrollment_token": 7}):
        operator.post("/machines/PC-1/release", body)

    events = operator.get("/machines/PC-1/events").json["events"]
    told = [event["detail"].get("enrollment_token") for event in events[:3]]
    assert told == [None, None, 7]


@pytest.mark.parametrize("token", ["1", "", True, -1, 1.5, 2**63, 1e300, [1], {}])
def test_a_release_for_what_cannot_be_a_token_is_refused(
    operator, installer, agent, token
):
    assert_invalid(release(operator, enrollment_token=token), "enrollment_token")

    assert last_event(operator)[0] == "enrolled"
    assert enrolls(installer) == "already_enrolled"


def test_a_release_may_be_for_the_largest_id(operator, installer, agent):
    assert release(operator, enrollment_token=2**63 - 1).status_code == 200

    assert enrolls(installer) == "already_enrolled"


@pytest.mark.parametrize("how", ["force", "reactivation"])
def test_any_enrollment_ends_a_release(operator, installer, agent, how):
    release(operator)
    if how == "force":
        operator.enroll("PC-1", force=True)
    else:
        operator.uninstall("PC-1")
        operator.enroll("PC-1")

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 409, "already_enrolled")


def test_an_enrollment_by_the_older_server_ends_a_release_too(
    operator, installer, agent, engine
):
    release(operator)
    engine.execute("UPDATE enrolled_agents SET enrolled_at = '2026-11-23T08:00:00'")

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 409, "already_enrolled")


def test_a_release_that_an_exhausted_token_met_is_still_there(operator, agent):
    release(operator)
    installer = operator.installer(max_uses=1)
    installer.enroll("PC-2")

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 403, "enrollment_token_exhausted")
    assert agent.heartbeat().status_code == 200
    assert operator.installer().enroll("PC-1").answer["status"] == "reenrolled"


def test_only_an_active_machine_is_released(operator, agent):
    nobody = operator.request("POST", "/machines/nobody/release")
    assert_problem(nobody, 404, "unknown_agent")
    operator.uninstall("PC-1")
    assert_problem(release(operator), 409, "machine_uninstalled")
    assert release(operator, "DELETE").status_code == 200
    nobody = operator.request("DELETE", "/machines/nobody/release")
    assert_problem(nobody, 404, "unknown_agent")


def test_a_silent_machine_may_be_enrolled_again_where_that_is_set(make_app, the_clock):
    app = make_app(LEA_FLEET_REENROLL_SILENT_AFTER="30d")
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    installer = operator.installer(expires="never")
    agent = installer.enroll("PC-1")
    agent.heartbeat()

    the_clock.advance(days=30, microseconds=-1)
    again = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(again, 409, "already_enrolled")
    the_clock.advance(microseconds=1)
    assert installer.enroll("PC-1").answer["status"] == "reenrolled"
    assert last_event(operator)[1]["because"] == "silence"
    assert_problem(agent.heartbeat(), 401, "token_revoked")


@pytest.mark.parametrize(
    "seen, released",
    [
        # By the text alone, each would be the other: it is 08:00 now, UTC.
        ("2026-03-02T09:30:00+02:00", True),
        ("2026-03-02T09:29:59-00:30", False),
        ("2026-03-02T07:30:00Z", True),
        ("2026-03-02T07:31:00Z", False),
        ("2026-03-02T07:30:00", True),
    ],
)
def test_a_silence_is_judged_in_any_offset(make_app, the_clock, engine, seen, released):
    app = make_app(LEA_FLEET_REENROLL_SILENT_AFTER="30m")
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    installer = operator.installer()
    fill(engine, [{"machine_id": "PC-1", "last_seen_at": seen}])

    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert response.status_code == (201 if released else 409)


def test_by_default_no_silence_is_long_enough(operator, the_clock):
    installer = operator.installer(expires="never")
    installer.enroll("PC-1")
    the_clock.advance(days=9999)

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 409, "already_enrolled")
