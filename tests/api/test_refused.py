"""Machines whose enrollment is refused are kept, with what they said of themselves."""

from __future__ import annotations

import json

import pytest

from lea_fleet.core.limits import MOST_REFUSED
from lea_fleet.core.refused import CODES
from lea_fleet.core.tokens import new_operator_token
from tests.support.api import MONITOR_TOKEN, OPERATOR_TOKEN, PREFIX, Api, assert_invalid

WAVE = [f"PC-{number}" for number in range(1, 4)]


@pytest.fixture
def refusals(operator):
    """List the refused machines, by the API."""

    def listed(query=""):
        response = operator.get(f"/refusals{query}")
        assert response.status_code == 200, response.text
        return response.json["refusals"]

    return listed


@pytest.fixture
def flush(app):
    """Write what is still in memory, as a minute later."""
    return app.extensions["lea_fleet"].refused_machines.close


def enroll(caller, machine_id="PC-1", **members):
    return caller.post("/enroll", {"machine_id": machine_id, **members})


def told(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


# What is kept


def test_a_refused_machine_is_kept_with_all_that_it_says(operator, refusals, the_clock):
    installer = operator.installer()
    agent = operator.enroll("PC-1")
    enrolled_at = the_clock.iso()
    the_clock.advance(hours=1)

    response = enroll(installer, hostname=" PARIS-1 ", user_name="Zoé")
    assert response.status_code == 409

    assert refusals() == [
        {
            "machine_id": "PC-1",
            "hostname": "PARIS-1",
            "address": "127.0.0.1",
            "enrollment_token": 1,
            "code": "already_enrolled",
            "refused": 1,
            "first_at": the_clock.iso(),
            "last_at": the_clock.iso(),
            "agent_status": "active",
            "last_seen_at": enrolled_at,
            "still_alive": False,
            "released_until": None,
        }
    ]
    assert agent.heartbeat().status_code == 200


def refused_with(code, operator, the_clock):
    """Let an enrollment be refused with *code*; return the response."""
    if code == "insufficient_scope":
        return enroll(operator.installer(), force=True)
    if code == "invalid_field":
        return enroll(operator.installer(), "A/B")
    if code == "enrollment_token_exhausted":
        installer = operator.installer(max_uses=1)
        installer.enroll("PC-9")
        return enroll(installer)
    if code == "token_expired":
        installer = operator.installer(expires="1h")
        the_clock.advance(hours=2)
        return enroll(installer)
    if code == "token_revoked":
        installer = operator.installer()
        operator.request("DELETE", "/enrollment-tokens/1")
        return enroll(installer)
    operator.enroll("PC-1")
    if code == "machine_blocked":
        assert operator.post("/machines/PC-1/block").status_code == 200
        return enroll(operator.installer())
    if code == "already_enrolled":
        return enroll(operator.installer())
    operator.uninstall("PC-1")
    return enroll(operator.installer(), allow_reactivate=False)


@pytest.mark.parametrize("code", CODES)
def test_each_refusal_that_an_operator_can_act_on_is_kept(
    operator, refusals, the_clock, code
):
    assert refused_with(code, operator, the_clock).json["code"] == code

    (kept,) = refusals()
    machine_id = None if code == "invalid_field" else "PC-1"
    assert (kept["code"], kept["machine_id"]) == (code, machine_id)
    assert kept["enrollment_token"] == 1


def test_refusals_of_the_operators_token_have_no_enrollment_token(operator, refusals):
    operator.enroll("PC-1")
    assert enroll(operator).status_code == 409

    assert told(refusals(), "enrollment_token", "code") == [(None, "already_enrolled")]
    assert len(refusals("?enrollment_token=0")) == 1


def test_nothing_is_kept_for_a_token_that_was_never_issued(
    operator, anonymous, client, refusals
):
    agent = operator.enroll("PC-1")
    strangers = (
        anonymous,
        Api(client, "wrong"),
        Api(client, "lea_enroll_" + 43 * "A"),
        Api(client, "lea_agent_" + 43 * "A"),
        agent,
    )
    for stranger in strangers:
        assert enroll(stranger).status_code in (401, 403)

    assert refusals() == []


def test_other_faults_and_other_routes_are_not_kept(operator, refusals):
    installer = operator.installer()
    assert enroll(installer, hostname=5).status_code == 400
    assert installer.post("/enroll", data="{").status_code in (400, 415)
    assert installer.get("/fleet").status_code == 403
    assert operator.get("/machines/none").status_code == 404

    assert refusals() == []


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"[]", b'{"machine_id": 5}', b'{"machine_id": "\\u0000"}', b"\xff"],
)
def test_what_cannot_be_read_of_a_refused_request_is_left_out(operator, refusals, sent):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")

    response = installer.post("/enroll", data=sent, content_type="application/json")
    assert response.json["code"] == "token_revoked"

    assert told(refusals(), "machine_id", "hostname", "address") == [
        (None, None, "127.0.0.1")
    ]


def test_a_refused_body_that_is_too_large_is_not_read(operator, refusals):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")

    assert enroll(installer, hostname=70_000 * "x").json["code"] == "token_revoked"

    assert told(refusals(), "machine_id", "hostname") == [(None, None)]


def test_an_id_that_is_not_valid_is_not_kept_but_tells_machines_apart(
    operator, refusals, flush
):
    for machine_id in (9000 * "x", "A/B", "C/D", "A/B"):
        assert enroll(operator, machine_id, hostname=machine_id[:2]).status_code == 400
    flush()

    assert sorted(told(refusals(), "machine_id", "hostname", "refused")) == [
        (None, "A/", 2),
        (None, "C/", 1),
        (None, "xx", 1),
    ]


def test_an_id_or_hostname_that_is_too_long_is_not_kept_whole(operator, refusals):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    assert enroll(installer, 9000 * "x", hostname=9000 * "y").status_code == 401

    assert told(refusals(), "machine_id", "hostname") == [(128 * "x", None)]


@pytest.mark.parametrize("place", ["machine_id", "hostname"])
@pytest.mark.parametrize(
    "what", ["own token", "operator", "a named operator", "monitor", "agent", "key"]
)
def test_a_secret_in_the_wrong_place_is_not_kept(
    operator, refusals, engine, place, what
):
    agent, installer = operator.enroll("PC-0"), operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    secret = {
        "own token": installer.token,
        "operator": OPERATOR_TOKEN,
        "a named operator": new_operator_token(),
        "monitor": MONITOR_TOKEN,
        "agent": agent.token,
        "key": "the-key-of-this-request",
    }[what]
    members = {"machine_id": "PC-1", "hostname": "A", place: f"x {secret} x"}
    headers = {"Idempotency-Key": "the-key-of-this-request"}
    assert installer.post("/enroll", members, headers=headers).status_code == 401

    (row,) = refusals()
    assert (row["machine_id"], row["hostname"]) == (
        (None, "A") if place == "machine_id" else ("PC-1", None)
    )
    assert secret not in str(engine.execute("SELECT * FROM lea_fleet_refused"))


def test_ids_that_look_alike_are_one_machine(operator, refusals, flush):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    for machine_id in ("PC-1", " pc-1 ", "PC-1"):
        enroll(installer, machine_id)
    flush()

    assert told(refusals(), "machine_id", "refused") == [("PC-1", 3)]


# How much is kept


def test_repeats_are_counted_in_memory_and_written_a_minute_later(
    operator, refusals, flush, the_clock
):
    operator.enroll("PC-1")
    installer = operator.installer()
    first = the_clock.iso()
    for _ in range(50):
        enroll(installer)
        the_clock.advance(seconds=1)

    assert told(refusals(), "refused", "last_at") == [(1, first)]
    flush()
    ((times, since, last),) = told(refusals(), "refused", "first_at", "last_at")
    assert (times, since) == (50, first)
    assert last > first


def test_the_newest_hundred_of_each_enrollment_token_are_kept(
    operator, refusals, flush, the_clock
):
    first, second = operator.installer(), operator.installer()
    for token in (1, 2):
        operator.request("DELETE", f"/enrollment-tokens/{token}")
    enroll(first, "OTHER")
    for number in range(MOST_REFUSED + 50):
        the_clock.advance(seconds=1)
        enroll(second, f"PC-{number}")
    flush()

    kept = [row["machine_id"] for row in refusals("?limit=1000")]
    newest = reversed(range(50, MOST_REFUSED + 50))
    assert kept == [*(f"PC-{number}" for number in newest), "OTHER"]


def test_a_blocked_machine_is_never_pushed_out(operator, refusals, flush, the_clock):
    installer = operator.installer(max_uses=1)
    installer.enroll("PC-0")
    assert operator.post("/machines/STOLEN/block").status_code == 200
    for machine_id in ("STOLEN", "stolen"):
        assert enroll(installer, machine_id).json["code"] == "machine_blocked"
    for number in range(MOST_REFUSED + 1):
        the_clock.advance(seconds=1)
        assert enroll(installer, f"PC-{number + 1}").status_code == 403
    flush()

    kept = refusals("?limit=1000")
    assert len(kept) == MOST_REFUSED + 1
    assert told(kept[-1:], "code", "refused") == [("machine_blocked", 2)]


def test_a_blocked_id_is_kept_no_longer_than_an_id_may_be(operator, refusals):
    assert operator.post("/machines/STOLEN/block").status_code == 200
    sent = "STOLEN" + 9000 * "\u200b"
    assert enroll(operator, sent).json["code"] == "machine_blocked"

    ((machine_id,),) = told(refusals(), "machine_id")
    assert len(machine_id) == 128


def test_a_refusal_is_gone_after_thirty_days(operator, engine, refusals, the_clock):
    operator.enroll("PC-1")
    enroll(operator.installer())
    the_clock.advance(days=29)
    assert len(refusals()) == 1
    the_clock.advance(days=2)
    assert refusals() == []

    enroll(operator, "A/B")
    codes = engine.execute("SELECT code FROM lea_fleet_refused")
    assert codes == [("invalid_field",)]


def test_it_is_gone_when_the_machine_enrolls(operator, engine, refusals, the_clock):
    installer = operator.installer(max_uses=2)
    for machine_id in WAVE:
        enroll(installer, machine_id)
    assert told(refusals(), "machine_id") == [("PC-3",)]
    assert enroll(installer, "PC-1").status_code == 409
    the_clock.advance(minutes=5)

    operator.installer().enroll("PC-3")
    assert told(refusals(), "machine_id") == [("PC-1",)]
    operator.enroll("PC-1", force=True)
    assert refusals() == []

    enroll(installer, "PC-2")
    assert engine.execute("SELECT machine_id FROM lea_fleet_refused") == [("PC-2",)]


def test_repeats_from_before_an_enrollment_are_not_kept_after_it(
    operator, refusals, flush, the_clock
):
    operator.enroll("PC-1")
    installer = operator.installer()
    for _ in range(3):
        enroll(installer)
    the_clock.advance(seconds=10)
    operator.enroll("PC-1", force=True)
    flush()

    assert refusals() == []


def test_a_machine_that_is_refused_again_after_it_enrolled_begins_anew(
    operator, refusals, flush, the_clock
):
    operator.enroll("PC-1")
    installer = operator.installer()
    enroll(installer, hostname="A")
    flush()
    the_clock.advance(hours=1)
    operator.enroll("PC-1", force=True)
    the_clock.advance(hours=1)
    enroll(installer, hostname="A")
    flush()

    assert told(refusals(), "refused", "first_at", "hostname") == [
        (1, the_clock.iso(), "A")
    ]


@pytest.mark.sqlite
def test_it_is_gone_when_the_older_server_enrolls_the_machine(
    operator, engine, refusals
):
    installer = operator.installer(max_uses=1)
    installer.enroll("PC-9")
    enroll(installer, "PC-1")
    assert len(refusals()) == 1

    engine.older_server().enroll("PC-1")
    assert refusals() == []


def test_a_machine_that_was_given_another_id_has_no_refusals(operator, refusals, run):
    operator.enroll("PC-1")
    installer = operator.installer(max_uses=1)
    enroll(installer, "PC-1")
    installer.enroll("PC-9")
    enroll(installer, "PC-2")
    assert len(refusals()) == 2

    assert run("edit", "PC-1", "--id", "PC-2").exit_code == 0
    assert refusals() == []


# No answer depends on it


def test_a_busy_database_changes_no_answer_and_loses_nothing(
    make_app, engine, refusals, operator
):
    app = make_app(LEA_FLEET_BUSY_TIMEOUT="60s")
    installer = Api(app.test_client(), operator.installer().token)
    operator.request("DELETE", "/enrollment-tokens/1")
    enroll(installer, "PC-0")
    with engine.being_written():
        for _ in range(2):
            assert enroll(installer).json["code"] == "token_revoked"
    assert told(refusals(), "machine_id") == [("PC-0",)]

    app.extensions["lea_fleet"].refused_machines.flush()
    assert told(refusals("?code=token_revoked&limit=1"), "machine_id", "refused") == [
        ("PC-1", 2)
    ]


def test_a_fault_of_ours_changes_no_answer(operator, monkeypatch, refusals, caplog):
    def fail(*args):
        raise ZeroDivisionError

    operator.enroll("PC-1")
    monkeypatch.setattr("lea_fleet.api.refused.Refusal", fail)
    assert enroll(operator.installer()).json["code"] == "already_enrolled"

    assert refusals() == []
    assert "could not be kept" in caplog.text


def test_a_database_that_fails_changes_no_answer(
    operator, engine, monkeypatch, refusals, flush
):
    def failing(method):
        def fail(*args):
            raise engine.fault

        return fail

    operator.enroll("PC-1")
    installer = operator.installer()
    with monkeypatch.context() as patch:
        engine.wrap(patch, "take_turn", failing)
        assert enroll(installer).json["code"] == "already_enrolled"
        assert refusals() == []
    flush()

    assert len(refusals()) == 1


# The list


def test_the_list_is_paged_and_each_machine_is_on_one_page(
    operator, refusals, the_clock
):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    machines = {f"PC-{number}" for number in range(7)}
    for number, machine_id in enumerate(sorted(machines)):
        the_clock.advance(seconds=number % 2)  # some at the same time
        enroll(installer, machine_id)
    found, cursor = [], ""
    while cursor is not None:
        page = operator.get(f"/refusals?limit=2{cursor and f'&cursor={cursor}'}").json
        assert len(page["refusals"]) <= 2
        found += page["refusals"]
        cursor = page["next_cursor"]

    ids = [row["machine_id"] for row in found]
    assert len(ids) == len(machines) and set(ids) == machines
    times = [row["last_at"] for row in found]
    assert times == sorted(times, reverse=True)


def test_the_list_can_be_filtered(operator, refusals, the_clock):
    operator.enroll("PC-1")
    first, second = operator.installer(), operator.installer()
    enroll(first, "PC-1")
    the_clock.advance(days=1)
    noon = the_clock.iso()
    enroll(second, "PC-1")
    enroll(second, "A/B")

    def found(query):
        return sorted(told(refusals(query), "enrollment_token", "code"))

    assert found("?enrollment_token=1") == [(1, "already_enrolled")]
    assert found("?code=invalid_field") == [(2, "invalid_field")]
    for since in (noon.replace("+", "%2B"), "1h"):
        assert found(f"?since={since}") == [
            (2, "already_enrolled"),
            (2, "invalid_field"),
        ]
    assert found("?code=already_enrolled&since=1h") == [(2, "already_enrolled")]
    assert found("?since=1h&enrollment_token=1") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("code=none", "code"),
        ("enrollment_token=x", "enrollment_token"),
        ("since=x", "since"),
        ("since=-1h", "since"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=WzEsMiwzLDRd", "cursor"),  # [1,2,3,4]
        ("other=1", "other"),
    ],
)
def test_a_query_that_is_not_valid_is_refused(operator, query, field):
    assert_invalid(operator.get(f"/refusals?{query}"), field)


def test_only_operators_see_it(operator):
    agent, installer = operator.enroll("PC-1"), operator.installer()
    for caller in (agent, installer):
        assert caller.get("/refusals").status_code == 403


def test_a_machine_that_was_heard_since_is_still_alive(operator, refusals, the_clock):
    agents = [operator.enroll(machine_id) for machine_id in WAVE]
    the_clock.advance(minutes=5)
    for agent in agents:
        enroll(operator.installer(), agent.machine_id)
    the_clock.advance(minutes=5)
    agents[1].heartbeat()

    alive = dict(told(refusals(), "machine_id", "still_alive"))
    assert alive == {"PC-1": False, "PC-2": True, "PC-3": False}

    # Also if it is refused again, which whoever has a token can bring about.
    enroll(operator.installer(), "PC-2")
    operator_token = Api(operator.client, OPERATOR_TOKEN, PREFIX)
    assert enroll(operator_token, "PC-2").status_code == 409
    assert dict(told(refusals("?enrollment_token=2"), "machine_id", "still_alive")) == {
        "PC-2": True
    }


def test_no_token_and_no_user_is_in_it(operator, engine):
    operator.enroll("PC-1")
    installer = operator.installer()
    enroll(installer, user_name="Zoé", user_email="zoe@example.com")

    stored = json.dumps(engine.execute("SELECT * FROM lea_fleet_refused"))
    assert installer.token not in stored
    assert "zoe" not in stored.casefold()
