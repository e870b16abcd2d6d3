"""``flask fleet export``: what is known of one person, and nothing about others."""

from __future__ import annotations

import json

import pytest

from lea_fleet.app.database import get_repository
from tests.support.traces import BOB, ZOE

EMAIL = ZOE["user_email"]


@pytest.fixture
def export(run):
    """Return what is known of the person with this e-mail."""

    def known(email=EMAIL):
        result = run("export", "--user", email)
        assert result.exit_code == 0, result.output
        assert result.stdout.isascii()
        return json.loads(result.stdout)

    return known


def nothing_of(person, told):
    text = json.dumps(told, ensure_ascii=False).casefold()
    return not any(value.casefold() in text for value in person.values())


def test_what_is_known_of_a_person(export, operator, the_clock):
    agent = operator.enroll("PC-1", **ZOE)
    the_clock.advance(minutes=1)
    agent.heartbeat()
    operator.enroll("PC-2", **BOB)
    told = export("zoé@example.com")

    (machine,) = told.pop("machines")
    assert told == {
        "user_email": "zoé@example.com",
        "exported_at": the_clock.iso(),
        "acts": [],
        "mentions": [],
        "notes": [],
        "blocks": [],
        "refusals": [],
        "operators": [],
        "views": [],
    }
    assert machine.pop("agent") == operator.machine("PC-1")
    (event,) = machine.pop("events")
    assert (event["event"], event["actor"]) == ("enrolled", {"role": "operator"})
    assert machine == {
        "machine_id": "PC-1",
        "tags": [],
        "tokens": [
            {
                "issued_at": "2026-03-02T08:00:00.123456+00:00",
                "first_used_at": the_clock.iso(),
                "revoked_at": None,
            }
        ],
        "identities": [],
        "presence": [{"day": "2026-03-02", "hours": [8]}],
    }


def test_each_of_two_users_in_turn_gets_their_own_side(export, operator):
    agent = operator.enroll("PC-1", **ZOE)
    agent.heartbeat(**BOB)
    zoe, bob = export(), export(BOB["user_email"])

    assert nothing_of(BOB, zoe) and nothing_of(ZOE, bob)
    (machine,) = zoe["machines"]
    assert (machine["agent"], machine["tokens"]) == (None, [])
    assert [event["event"] for event in machine["events"]] == [
        "enrolled",
        "identity_changed",
    ]
    change = machine["events"][1]
    assert change["detail"] == {"before": ZOE, "after": dict.fromkeys(BOB)}
    assert change["actor"] == {"role": "agent"}
    assert {item["name"] for item in machine["identities"]} == set(ZOE)
    (machine,) = bob["machines"]
    assert machine["agent"] == operator.machine("PC-1")
    (event,) = machine["events"]
    assert event["detail"] == {"before": dict.fromkeys(ZOE), "after": BOB}
    assert event["actor"] == {"role": "agent", "address": "127.0.0.1"}


def test_a_longer_spelling_of_their_hostname_is_theirs_too(export, operator):
    agent = operator.enroll("PC-1", **{**ZOE, "hostname": "pc.zoe.example"})
    agent.heartbeat(hostname="pc")

    (machine,) = export()["machines"]
    (identity,) = machine["identities"]
    assert identity["value"] == "pc.zoe.example"


def test_what_came_before_an_enrollment_is_left_out(export, operator):
    operator.enroll("PC-1", **BOB)
    operator.uninstall("PC-1", reason="Bob Åkesson left")
    operator.enroll("PC-1", **ZOE)
    told = export()

    assert nothing_of(BOB, told)
    (machine,) = told["machines"]
    assert [event["event"] for event in machine["events"]] == ["reactivated"]


def test_a_persons_tokens_as_an_operator_are_theirs(export, operator):
    for name in (EMAIL, f"{EMAIL} {BOB['user_email']}", BOB["user_email"]):
        operator.post("/operators", {"name": name, "role": "viewer"})
    told = export()

    shared, own = told["operators"]
    listed = operator.get("/operators").json["operators"]
    assert own == listed[2] and own["name"] == EMAIL
    assert shared["id"] == 2 and nothing_of(BOB, told["operators"])


def test_what_a_person_did_and_where_they_are_mentioned(app, export, operator):
    operator.enroll("PC-1", **BOB)
    with app.app_context():
        actor = {"role": "operator", "user": EMAIL, "address": "10.9.8.7"}
        get_repository(actor).release("PC-1")
    operator.uninstall("PC-1", reason=f"now with {EMAIL}")
    told = export()

    assert told["machines"] == []
    (act,) = told["acts"]
    assert (act["event"], act["machine_id"]) == ("released", "PC-1")
    assert act["actor"] == actor
    assert [mention["text"] for mention in told["mentions"]] == [f"now with {EMAIL}"]
    assert nothing_of(BOB, told)


def test_after_an_erasure_nothing_is_known(run, export, operator):
    operator.enroll("PC-1", **ZOE).heartbeat(**BOB)
    assert export()["machines"]
    run("erase", "--user", EMAIL, "--yes")
    result = run("export", "--user", EMAIL)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: Nothing is known about a person with this e-mail address.\n"
    )


def test_nobody_is_exit_code_1_and_no_e_mail_2(run, operator):
    operator.enroll("PC-1", **ZOE)

    assert run("export", "--user", "zoe@example.com", "--json").exit_code == 1
    assert run("export").exit_code == run("export", "--user", " ").exit_code == 2


@pytest.mark.parametrize("column", ["user_name", "user_id"])
@pytest.mark.parametrize("others", [{}, {"user_email": "bob@example.com"}])
def test_an_address_in_another_column_is_told_without_what_may_be_anothers(
    export, operator, column, others
):
    reported = {"hostname": "PC-OF-BOB", **others, column: "<zoe@example.com>"}
    operator.enroll("PC-1", **reported)
    operator.uninstall("PC-1", reason="Bob has left")
    (machine,) = export("zoe@example.com")["machines"]

    names = ("user_name", "user_email", "user_id", "hostname", "uninstall_reason")
    told = {name: machine["agent"][name] for name in names}
    assert told == {**dict.fromkeys(names), column: "<zoe@example.com>"}
    assert (machine["tokens"], machine["events"]) == ([], [])


# Refused machines


def test_what_a_refused_machine_has_said_is_in_it(export, operator, the_clock):
    operator.enroll("PC-1", **ZOE)
    refused = {"machine_id": "PC-1", "hostname": "NEW"}
    assert operator.post("/enroll", refused).status_code == 409

    assert export()["refusals"] == [
        {
            "machine_id": "PC-1",
            "hostname": "NEW",
            "address": "127.0.0.1",
            "enrollment_token": 0,
            "code": "already_enrolled",
            "refused": 1,
            "first_at": the_clock.iso(),
            "last_at": the_clock.iso(),
        }
    ]


def test_what_another_users_refused_machine_has_said_is_not(export, operator):
    agent = operator.enroll("PC-1", **BOB)
    refused = {"machine_id": "PC-1", "hostname": BOB["hostname"]}
    assert operator.post("/enroll", refused).status_code == 409
    agent.heartbeat(**ZOE)

    assert nothing_of(BOB, export())
    (row,) = export(BOB["user_email"])["refusals"]
    assert row["hostname"] == BOB["hostname"]


@pytest.mark.parametrize("machine_id", ["PC-9", None])
def test_a_hostname_that_names_them_is_in_it_whoever_was_refused(
    export, operator, machine_id
):
    refused = {"machine_id": machine_id, "hostname": f"pc of {EMAIL}"}
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    assert installer.post("/enroll", refused).status_code == 401

    told = export()
    (row,) = told["refusals"]
    assert (row["machine_id"], row["hostname"]) == (machine_id, f"pc of {EMAIL}")
    assert told["machines"] == []
