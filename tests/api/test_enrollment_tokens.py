"""Enrollment tokens: they only enroll, a limited number of times, until they expire."""

from __future__ import annotations

import json

import pytest

from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem


@pytest.fixture
def installer(operator, the_clock):
    return operator.installer(label="Paris, wave 1", max_uses=2, expires="12h")


def the_token(operator):
    return operator.get("/enrollment-tokens").json["enrollment_tokens"][0]


def test_it_is_shown_once_and_listed_without_itself(operator, the_clock):
    made = operator.post(
        "/enrollment-tokens", {"label": "Zoé", "expires": "12h", "max_uses": 5}
    )

    assert made.status_code == 201
    token = made.json.pop("token")
    assert token.startswith("lea_enroll_")
    created_at = the_clock.iso()
    the_clock.advance(hours=12)
    listed = {
        "id": 1,
        "label": "Zoé",
        "created_at": created_at,
        "expires_at": the_clock.iso(),
        "max_uses": 5,
        "uses": 0,
        "revoked_at": None,
        "tags": [],
    }
    assert {**made.json, "token": None} == {**listed, "state": "active", "token": None}
    assert the_token(operator) == {**listed, "state": "expired"}


def test_by_default_it_is_good_for_a_week_and_a_hundred_machines(operator, the_clock):
    operator.installer()

    the_clock.advance(days=7)
    token = the_token(operator)
    assert (token["expires_at"], token["max_uses"]) == (the_clock.iso(), 100)
    assert token["label"] == ""


def test_one_that_never_expires_has_to_be_asked_for(operator, the_clock):
    installer = operator.installer(expires="never")

    assert the_token(operator)["expires_at"] is None
    the_clock.advance(days=9999)
    installer.enroll("PC-1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", 5),
        ("label", "x" * 256),
        ("expires", "soon"),
        ("expires", "0s"),
        ("expires", 60),
        ("expires", "99999d"),
        ("max_uses", 0),
        ("max_uses", 1_000_001),
        ("max_uses", "5"),
        ("max_uses", True),
        ("max_uses", 1.5),
    ],
)
def test_what_it_may_not_be(operator, field, value):
    assert_invalid(operator.post("/enrollment-tokens", {field: value}), field)
    assert operator.get("/enrollment-tokens").json == {"enrollment_tokens": []}


def test_a_whole_number_may_be_written_with_a_point(operator):
    body = {"data": b'{"max_uses": 50.0}', "content_type": "application/json"}
    made = operator.post("/enrollment-tokens", **body)

    assert made.json["max_uses"] == 50
    assert b'"max_uses":50,' in made.data


def test_it_enrolls_and_counts(installer, operator):
    agent = installer.enroll("PC-1")

    assert agent.heartbeat().status_code == 200
    assert the_token(operator)["uses"] == 1
    agent.post("/uninstall")
    assert installer.enroll("PC-1").answer["status"] == "reactivated"
    token = the_token(operator)
    assert (token["uses"], token["state"]) == (2, "used_up")


def test_one_that_is_used_up_enrolls_nobody(installer, operator):
    installer.enroll("PC-1")
    installer.enroll("PC-2")

    response = installer.post("/enroll", {"machine_id": "PC-3"})

    assert_problem(response, 403, "enrollment_token_exhausted", "ask_operator")
    assert_problem(operator.get("/machines/PC-3"), 404, "unknown_agent")
    assert the_token(operator)["uses"] == 2


def test_a_refused_enrollment_takes_no_use(installer, operator):
    operator.enroll("PC-1")

    again = {"machine_id": "PC-1"}
    assert_problem(installer.post("/enroll", again), 409, "already_enrolled")
    operator.uninstall("PC-1")
    forbidden = {"machine_id": "PC-1", "allow_reactivate": False}
    assert_problem(installer.post("/enroll", forbidden), 409, "reactivation_refused")
    assert_invalid(installer.post("/enroll", {"machine_id": "."}), "machine_id")
    assert the_token(operator)["uses"] == 0


def test_a_conflict_is_told_before_a_lack_of_uses(installer):
    installer.enroll("PC-1")
    installer.enroll("PC-2")

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 409, "already_enrolled")


def test_an_expired_one_is_refused(installer, the_clock):
    the_clock.advance(hours=12)

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 401, "token_expired", "ask_operator")


def test_a_revoked_one_is_refused_and_machines_keep_their_tokens(installer, operator):
    agent = installer.enroll("PC-1")

    revoked = operator.request("DELETE", "/enrollment-tokens/1")

    assert revoked.status_code == 200
    assert revoked.json == the_token(operator)
    assert revoked.json["state"] == "revoked"
    response = installer.post("/enroll", {"machine_id": "PC-2"})
    assert_problem(response, 401, "token_revoked", "ask_operator")
    assert agent.heartbeat().status_code == 200


def test_revoking_again_changes_nothing(installer, operator, the_clock):
    first = operator.request("DELETE", "/enrollment-tokens/1")
    the_clock.advance(minutes=1)

    assert operator.request("DELETE", "/enrollment-tokens/1").json == first.json


def test_an_unknown_one_cannot_be_revoked(operator):
    body = assert_problem(
        operator.request("DELETE", "/enrollment-tokens/7"),
        404,
        "unknown_enrollment_token",
        "stop",
    )
    assert body["id"] == 7


@pytest.mark.parametrize("odd", [2**63, "9" * 5000, "x", "-1", "1.0", "\u0661", " 1"])
def test_what_is_no_id_is_not_found(operator, odd):
    response = operator.request("DELETE", f"/enrollment-tokens/{odd}")

    assert_problem(response, 404, "not_found", "ask_operator")


def test_one_revoked_between_the_guard_and_the_write_enrolls_nobody(
    installer, operator, elsewhere, before_writing
):
    before_writing(lambda: elsewhere.request("DELETE", "/enrollment-tokens/1"))

    response = installer.post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 401, "token_revoked")
    assert_problem(operator.get("/machines/PC-1"), 404, "unknown_agent")


def test_an_installer_may_not_force(installer):
    response = installer.post("/enroll", {"machine_id": "PC-1", "force": True})

    assert_problem(response, 403, "insufficient_scope")


def test_an_installer_learns_of_nobody_but_whom_it_named(installer, operator):
    operator.enroll(
        "PC-1", user_name="Zoé", user_email="zoe@exemple.fr", user_id="7", hostname="H"
    )
    operator.uninstall("PC-1")

    agent = installer.enroll("PC-1", user_name="Amélie", os_info="W").answer["agent"]

    personal = {name: agent[name] for name in ("user_name", "user_email", "user_id")}
    assert personal == {"user_name": "Amélie", "user_email": None, "user_id": None}
    assert (agent["hostname"], agent["os_info"]) == (None, "W")
    assert operator.machine("PC-1")["user_email"] == "zoe@exemple.fr"


def test_where_machines_share_a_token_only_an_operator_enrolls(make_app):
    client = make_app(LEA_FLEET_ISSUE="shared").test_client()
    operator = Api(client, OPERATOR_TOKEN)

    response = operator.installer().post("/enroll", {"machine_id": "PC-1"})

    assert_problem(response, 403, "insufficient_scope")
    assert operator.enroll("PC-1").token == OPERATOR_TOKEN


# Those in one state


@pytest.fixture
def in_each_state(operator, the_clock):
    """Return the ids of a token in each state."""
    operator.installer(expires="1h")
    the_clock.advance(hours=1)
    operator.installer(max_uses=1).enroll("PC-1")
    operator.installer()
    operator.request("DELETE", "/enrollment-tokens/3")
    operator.installer()
    return {"expired": 1, "used_up": 2, "revoked": 3, "active": 4}


def test_those_in_one_state_are_listed_alone(operator, in_each_state):
    for state, number in in_each_state.items():
        listed = operator.get(f"/enrollment-tokens?state={state}").json
        assert [each["id"] for each in listed["enrollment_tokens"]] == [number]
    for query in ("", "?state=", "?color=red"):
        listed = operator.get(f"/enrollment-tokens{query}").json["enrollment_tokens"]
        assert [each["id"] for each in listed] == [4, 3, 2, 1]


@pytest.mark.parametrize("query", ["state=valid", "state=active&state=expired"])
def test_a_state_that_there_is_not_is_refused(operator, query):
    assert_invalid(operator.get(f"/enrollment-tokens?{query}"), "state")


def test_the_command_lists_those_in_one_state(run, in_each_state):
    assert run("token", "list", "--state", "active").stdout.splitlines()[1][0] == "4"
    listed = json.loads(run("token", "list", "--state", "used_up", "--json").stdout)
    assert [each["id"] for each in listed["enrollment_tokens"]] == [2]
    assert run("token", "list", "--state", "valid").exit_code == 2


def test_the_command_says_that_none_is_in_that_state(run, operator):
    operator.installer()

    told = run("token", "list", "--state", "used_up").stdout
    assert told == "No used up enrollment tokens.\n"
