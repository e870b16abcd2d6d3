"""A blocked machine is uninstalled, and nothing brings it back until it is let in."""

from __future__ import annotations

import pytest

from lea_fleet import Problem
from lea_fleet.app.database import get_host_repository
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem

GUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
ALIKE = [
    ("PC-1", "PC-1"),
    ("PC-1", "pc-1"),
    ("pc-1", " PC-1 "),
    ("PC 1", "PC\u00a01"),
    (GUID, GUID.upper()),
    (GUID, f"{{{GUID}}}"),
    (f"{{{GUID.upper()}}}", GUID.replace("-", "")),
    ("Zoé", "ZOE\u0301"),
    ("PC-1", "{pc-1}"),
    ("{PC-1}", "PC-1"),
]


def block(operator, machine_id="PC-1", **members):
    response = operator.post(f"/machines/{machine_id}/block", members)
    assert response.status_code == 200, response.text
    return response.json


def unblock(operator, machine_id="PC-1"):
    response = operator.request("DELETE", f"/machines/{machine_id}/block")
    assert response.status_code == 200, response.text
    return response.json


def blocks(operator, **parameters):
    return operator.get("/blocks", query_string=parameters).json["blocks"]


def happened(operator, machine_id="PC-1"):
    page = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [(event["event"], event["detail"]) for event in page]


def refused(response):
    body = assert_problem(response, 403, "machine_blocked", "stop")
    assert "stolen" not in response.text
    return body


def test_a_block_uninstalls_the_machine_and_says_so_in_its_history(operator, the_clock):
    agent = operator.enroll("PC-1")
    at = the_clock.iso()

    answer = block(operator, reason="stolen")

    shown = {"machine_id": "PC-1", "blocked_at": at, "reason": "stolen"}
    assert answer == {**shown, "in_fleet": True, "uninstalled": ["PC-1"]}
    machine = operator.machine()
    assert (machine["status"], machine["uninstall_reason"]) == ("uninstalled", "stolen")
    assert happened(operator)[:2] == [
        ("uninstalled", {"reason": "stolen"}),
        ("blocked", {"reason": "stolen"}),
    ]
    told = operator.get("/machines/PC-1").json["block"]
    assert told == {"blocked_at": at, "reason": "stolen"}
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled")


@pytest.mark.parametrize(("blocked", "sent"), ALIKE)
def test_no_way_of_enrolling_brings_it_back(operator, blocked, sent):
    agent = operator.installer().enroll(blocked)
    block(operator, blocked, reason="stolen")
    installer = operator.installer()

    body = refused(installer.post("/enroll", {"machine_id": sent}))
    assert body["machine_id"] == sent
    for caller in (installer, operator):
        key = {"Idempotency-Key": "again"}
        refused(caller.post("/enroll", {"machine_id": sent}, headers=key))
    refused(operator.post("/enroll", {"machine_id": sent, "force": True}))
    assert operator.machine(blocked)["status"] == "uninstalled"
    assert agent.post("/uninstall").status_code == 200  # it may still say that it left


def test_the_response_that_was_lost_is_not_repeated(operator):
    installer, key = operator.installer(), {"Idempotency-Key": "lost"}
    enrolling = {"machine_id": "PC-1"}
    assert installer.post("/enroll", enrolling, headers=key).status_code == 201
    block(operator)

    refused(installer.post("/enroll", enrolling, headers=key))


def test_a_refused_enrollment_takes_no_use_of_its_token_and_no_row(operator):
    installer = operator.installer(max_uses=1)
    block(operator, "PC-9")

    refused(installer.post("/enroll", {"machine_id": "PC-9"}))

    assert installer.enroll("PC-1").answer["status"] == "enrolled"
    assert operator.get("/fleet").json["totals"]["total"] == 1


@pytest.mark.parametrize("path", ["release", "token"])
def test_it_is_neither_released_nor_given_another_token(operator, path):
    operator.enroll("PC-1")
    block(operator, reason="stolen")

    refused(operator.post(f"/machines/PC-1/{path}"))


def test_a_release_from_before_is_worth_nothing(operator):
    operator.enroll("PC-1")
    assert operator.post("/machines/PC-1/release").status_code == 200
    block(operator)

    refused(operator.installer().post("/enroll", {"machine_id": "PC-1"}))


def test_all_that_look_alike_are_uninstalled_and_named(operator):
    for machine_id in ("PC-1", "pc-1", "PC-2"):
        operator.enroll(machine_id)
    operator.enroll("Pc-1")
    operator.uninstall("Pc-1", reason="sold")

    answer = block(operator, "PC-1", reason="stolen")

    assert answer["uninstalled"] == ["PC-1", "pc-1"]
    reasons = {each: operator.machine(each)["uninstall_reason"] for each in ALIKE_IDS}
    assert reasons == {"PC-1": "stolen", "pc-1": "stolen", "Pc-1": "sold"}
    for each in ALIKE_IDS:
        assert operator.get(f"/machines/{each}").json["block"]["reason"] == "stolen"
        assert ("blocked", {"reason": "stolen"}) in happened(operator, each)
    assert operator.machine("PC-2")["status"] == "active"


ALIKE_IDS = ("PC-1", "pc-1", "Pc-1")


def test_an_id_that_was_never_seen_is_kept_without_a_row(operator):
    answer = block(operator, "PC-9", reason="stolen")

    assert (answer["in_fleet"], answer["uninstalled"]) == (False, [])
    assert_problem(operator.get("/machines/PC-9"), 404, "unknown_agent")
    assert operator.get("/fleet").json["totals"]["total"] == 0
    (told,) = blocks(operator)
    assert (told["machine_id"], told["in_fleet"]) == ("PC-9", False)
    refused(operator.installer().post("/enroll", {"machine_id": "pc-9"}))


def test_the_block_has_the_id_of_the_machine_that_is_known(operator):
    operator.enroll("PC-1")

    assert block(operator, "pc-1")["machine_id"] == "PC-1"
    assert [each["machine_id"] for each in blocks(operator)] == ["PC-1"]
    assert unblock(operator, " Pc-1 ")["machine_id"] == "PC-1"


@pytest.mark.parametrize("machine_id", ["a%1Bb", "a%00b", "PC%E2%80%8B1", "x" * 129])
def test_what_is_no_id_of_a_machine_is_refused_and_not_blocked(operator, machine_id):
    path = f"/machines/{machine_id}/block"

    assert_invalid(operator.post(path, {}), "machine_id")
    assert operator.request("DELETE", path).status_code == 200
    assert blocks(operator) == []


def test_blocking_again_changes_nothing_but_a_given_reason(operator, the_clock):
    operator.enroll("PC-1")
    first = block(operator, reason="lost")
    the_clock.advance(hours=1)

    assert block(operator) == {**first, "uninstalled": []}
    assert block(operator, reason="lost") == {**first, "uninstalled": []}
    count = len(happened(operator))
    again = block(operator, "pc-1", reason="stolen")

    assert again == {**first, "reason": "stolen", "uninstalled": []}
    assert happened(operator)[:-count] == [("blocked", {"reason": "stolen"})]
    assert operator.machine()["uninstall_reason"] == "lost"


def test_once_unblocked_it_can_be_enrolled_as_before(operator):
    operator.enroll("PC-1")
    block(operator)
    answer = unblock(operator)

    assert answer == {"machine_id": "PC-1", "blocked_at": None}
    assert happened(operator)[0] == ("unblocked", {})
    assert operator.get("/machines/PC-1").json["block"] is None
    enrolled = operator.installer().enroll("PC-1").answer
    assert enrolled["status"] == "reactivated"


@pytest.mark.parametrize("machine_id", ["PC-1", "PC-9"])
def test_unblocking_what_is_not_blocked_changes_nothing(operator, engine, machine_id):
    operator.enroll("PC-1")
    before = engine.contents()

    answer = unblock(operator, machine_id)

    assert answer == {"machine_id": machine_id, "blocked_at": None}
    assert engine.contents() == before


def test_an_agent_is_not_told_whether_its_machine_is_blocked(operator):
    agent = operator.enroll("PC-1")

    assert agent.get("/machines/PC-1").json.keys() == {"agent"}


# An older server


@pytest.mark.parametrize("machine_id", ["PC-1", "pc-1"])
def test_what_an_older_server_brings_back_stays_without_a_token(
    app, operator, engine, run, machine_id
):
    agent = operator.enroll(machine_id)
    agent.heartbeat()
    block(operator, "PC-1", reason="stolen")
    engine.older_server().enroll(machine_id)

    assert_problem(agent.heartbeat(), 401, "token_revoked")
    refused(operator.post(f"/machines/{machine_id}/token"))
    refused(operator.post(f"/machines/{machine_id}/release"))
    refused(operator.post("/enroll", {"machine_id": machine_id, "force": True}))
    result = run("release", "--without-token", "--yes")
    assert (result.exit_code, result.stdout) == (
        0,
        "Every active machine has a token.\n",
    )
    with app.app_context(), pytest.raises(Problem):
        get_host_repository().replace_token(machine_id, "lea_agent_" + 43 * "x")
    assert block(operator, "PC-1")["uninstalled"] == [machine_id]
    assert operator.machine(machine_id)["uninstall_reason"] == "stolen"


def test_a_token_that_an_older_lea_fleet_gives_it_is_dead(operator, engine, client):
    """0.1.0 shares the table of tokens, and knows no blocks."""
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    block(operator)
    engine.execute(
        "UPDATE enrolled_agents SET status = 'active', uninstalled_at = NULL"
    )
    engine.execute("UPDATE lea_fleet_tokens SET revoked_at = NULL")

    assert_problem(agent.heartbeat(), 401, "token_revoked")
    assert_problem(agent.post("/machines/PC-1/token"), 401, "token_revoked")
    unblock(operator)
    assert agent.heartbeat().status_code == 200


# The list


def test_the_list_is_paged_newest_first(operator, the_clock):
    named = [f"PC-{number}" for number in range(5)]
    for machine_id in named:
        block(operator, machine_id)
        the_clock.advance(seconds=int(machine_id == "PC-2"))

    pages, cursor = [], ""
    while cursor is not None:
        page = operator.get("/blocks", query_string={"limit": 2, "cursor": cursor}).json
        pages.append([each["machine_id"] for each in page["blocks"]])
        cursor = page["next_cursor"]
        unblock(operator, "PC-4")  # what goes meanwhile moves nothing

    assert pages == [["PC-4", "PC-3"], ["PC-2", "PC-1"], ["PC-0"]]


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WyJhIiwgIlx1MDAwMCJd", "bnVsbA", "é", "W10=", "1"]
)
def test_a_cursor_that_is_not_one_is_refused(operator, cursor):
    response = operator.get("/blocks", query_string={"cursor": cursor})

    assert_invalid(response, "cursor")


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_limit_that_is_not_one_is_refused(operator, limit):
    response = operator.get("/blocks", query_string={"limit": limit})

    assert_invalid(response, "limit")


def test_a_listing_can_be_of_the_blocked_machines_or_of_the_others(operator):
    for machine_id in ("PC-1", "pc-1", "PC-2", GUID):
        operator.enroll(machine_id)
    block(operator, "PC-1")
    block(operator, f"{{{GUID}}}")
    block(operator, "PC-9")

    def listed(blocked):
        fleet = operator.get("/fleet", query_string={"blocked": blocked}).json
        both = fleet["active"] + fleet["uninstalled"]
        assert fleet["totals"]["total"] == len(both)
        return {agent["machine_id"] for agent in both}

    assert listed("true") == {"PC-1", "pc-1", GUID}
    assert listed("false") == {"PC-2"}
    assert len(listed("")) == 4
    assert_invalid(operator.get("/fleet?blocked=1"), "blocked")


# At the same time


def test_an_enrollment_that_came_first_is_uninstalled(
    operator, elsewhere, before_writing
):
    operator.get("/fleet")
    before_writing(lambda: elsewhere.enroll("pc-1"))

    answer = block(operator, "PC-1")

    assert answer["uninstalled"] == ["pc-1"]


def test_an_enrollment_that_came_later_is_refused(operator, elsewhere, before_writing):
    operator.get("/fleet")
    before_writing(lambda: block(elsewhere, "pc-1"))

    refused(operator.post("/enroll", {"machine_id": "PC-1"}))


def test_the_hosts_code_can_block_and_is_refused(app):
    with app.app_context():
        repository = get_host_repository()
        repository.enroll("PC-1")
        done = repository.states.block("PC-1", "stolen")
        assert (done.block["reason"], done.uninstalled) == ("stolen", ["PC-1"])
        with pytest.raises(Problem) as refusal:
            repository.enroll("PC-1", force=True)
        assert refusal.value.code == "machine_blocked"
        assert repository.states.unblock("PC-1")["reason"] == "stolen"
        assert repository.states.unblock("PC-1") is None
        assert repository.enroll("PC-1").status == "reactivated"


def test_the_metrics_count_the_blocks(operator, monitor):
    block(operator, "PC-1")
    block(operator, "PC-2")

    assert "\nlea_fleet_blocks 2.0\n" in monitor.get("/metrics").text


def test_the_token_of_a_blocked_machine_is_no_operators(client, operator):
    assert_problem(
        Api(client, "wrong").post("/machines/PC-1/block"), 401, "invalid_token"
    )
    agent = operator.enroll("PC-1")
    for method in ("POST", "DELETE"):
        response = agent.request(method, "/machines/PC-1/block")
        assert_problem(response, 403, "insufficient_scope")
    assert OPERATOR_TOKEN == operator.token
