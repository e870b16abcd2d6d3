"""Many machines at once: a selection, and what is done with it step by step."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from lea_fleet.core import clock
from lea_fleet.core.limits import BULK_STEP, MOST_SELECTIONS
from lea_fleet.storage.lookalikes import Lookalikes
from tests.support.api import Api, assert_invalid, assert_problem
from tests.support.fleets import fill


def select(operator, **members):
    response = operator.post("/selections", members)
    assert response.status_code == 201, response.text
    return response.json


def act(operator, selection, action, **members):
    """Act on all of a selection; return the answers to its steps."""
    answers, step = [], 0
    while step is not None:
        body = {"action": action, "step": step, **members}
        response = operator.post(f"/selections/{selection['id']}", body)
        assert response.status_code == 200, response.text
        answers.append(response.json)
        step = response.json["next_step"]
    return answers


def done(answers):
    return [name for answer in answers for name in answer["done"]]


def named(operator, role="operator"):
    wanted = {"name": f"A {role}", "role": role}
    token = operator.post("/operators", wanted).json["token"]
    return Api(operator.client, token)


@pytest.fixture
def machines(operator):
    for number in range(1, 5):
        operator.enroll(f"PC-{number}")


def test_a_selection_tells_how_many_and_names_some(operator, machines, the_clock):
    selection = select(operator, filter={"q": "pc-", "status": "active"})

    assert (selection["machines"], selection["steps"]) == (4, 1)
    sample = [each["machine_id"] for each in selection["sample"]]
    assert sorted(sample) == ["PC-1", "PC-2", "PC-3", "PC-4"]
    assert selection["expires_at"] == "2026-03-02T08:15:00.123456+00:00"


@pytest.mark.parametrize(
    ("action", "members", "event"),
    [
        ("release", {}, "released"),
        ("uninstall", {"reason": "moved"}, "uninstalled"),
        ("retire", {}, "retire_requested"),
        ("block", {"reason": "stolen"}, "blocked"),
        ("mute", {"for": "14d"}, "muted"),
        ("tag", {"add": ["site=lyon"]}, "tagged"),
        ("note", {"text": "Broken"}, "noted"),
    ],
)
def test_each_action_is_done_with_each_machine_and_is_one_event(
    operator, machines, action, members, event
):
    nadia = named(operator)
    (agent,) = operator.get("/fleet?machine_id=PC-4").json["active"]
    selection = select(nadia, ids=[agent["id"]])

    (answer,) = act(nadia, selection, action, **members)

    assert answer == {
        "action": action,
        "done": ["PC-4"],
        "failed": [],
        "unmatched": [],
        "next_step": None,
    }
    events = operator.get("/machines/PC-4/events").json["events"]
    (one,) = [each for each in events if each["event"] == event]
    assert one["actor"]["user"] == "A operator"
    for number in range(1, 4):
        others = operator.get(f"/machines/PC-{number}/events").json["events"]
        assert [each["event"] for each in others] == ["enrolled"]


def test_only_what_still_matches_is_acted_on_and_never_another(operator, machines):
    operator.post("/machines/PC-1/tags", {"add": ["site=lyon"]})
    operator.post("/machines/PC-2/tags", {"add": ["site=lyon"]})
    selection = select(operator, filter={"tag": ["site=lyon"]})
    operator.post("/machines/PC-2/tags", {"add": ["site=paris"]})
    operator.post("/machines/PC-3/tags", {"add": ["site=lyon"]})

    (answer,) = act(operator, selection, "mute", **{"for": "1d"})

    assert (answer["done"], answer["unmatched"]) == (["PC-1"], ["PC-2"])
    assert operator.get("/machines/PC-3").json["muted_until"] is None


def test_what_cannot_be_done_is_listed_with_its_reason(operator, machines):
    selection = select(operator, filter={"q": "PC-"})
    operator.uninstall("PC-2")

    (answer,) = act(operator, selection, "release")

    assert sorted(answer["done"]) == ["PC-1", "PC-3", "PC-4"]
    (failed,) = answer["failed"]
    assert (failed["machine_id"], failed["code"]) == ("PC-2", "machine_uninstalled")


def test_a_machine_that_is_edited_meanwhile_is_the_same_machine(
    operator, machines, run
):
    selection = select(operator, filter={"q": "pc-4"})
    assert run("edit", "PC-4", "--id", "PC-40").exit_code == 0

    assert done(act(operator, selection, "release")) == ["PC-40"]


def test_a_selection_is_its_makers_alone(operator, machines):
    nadia, omar = named(operator), named(operator)
    selection = select(nadia, all=True)
    path = f"/selections/{selection['id']}"

    for other in (omar, operator):
        response = other.post(path, {"action": "release"})
        assert_problem(response, 404, "unknown_selection")
        assert_problem(other.get(f"{path}/csv"), 404, "unknown_selection")
    assert len(done(act(nadia, selection, "release"))) == 4


def test_a_selection_ends_after_15_minutes(operator, machines, the_clock):
    selection = select(operator, all=True)
    path = f"/selections/{selection['id']}"
    the_clock.advance(minutes=15)

    assert_problem(operator.post(path, {"action": "release"}), 404, "unknown_selection")


def test_the_oldest_of_too_many_selections_is_forgotten(operator, engine, machines):
    first = select(operator, all=True)
    for _ in range(MOST_SELECTIONS):
        last = select(operator, all=True)

    path = f"/selections/{first['id']}"
    assert_problem(operator.post(path, {"action": "release"}), 404, "unknown_selection")
    assert len(done(act(operator, last, "release"))) == 4
    (count,) = engine.execute("SELECT count(*) FROM lea_fleet_selections")
    (steps,) = engine.execute("SELECT count(*) FROM lea_fleet_selected")
    assert (count[0], steps[0]) == (MOST_SELECTIONS, MOST_SELECTIONS)


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"filter": None}, {"filter": []}, {"filter": {"sort": "machine_id"}}),
        *(
            {"filter": {}},
            {"filter": {}, "ids": [1]},
            {"filter": {"tag": ""}},
            {"filter": {"tag": [",", ";"]}},
        ),
        *({"filter": {"q": "  "}}, {"filter": {"presence": ","}}, {"all": False}),
        *({"filter": {"status": ""}}, {"filter": {"q": "PC", "version": ""}}),
        *({"filters": {"q": "PC"}, "all": True}, {"all": True, "ids": [1]}),
        *({"filter": {"silent_for": ""}}, {"filter": {"machine_id": "\ud800"}}),
        *({"filter": {"limit": "1"}}, {"filter": {"presence": "asleep"}}),
        *({"filter": {"q": 1}}, {"filter": {"q": []}}, {"filter": {"q": ["a", "b"]}}),
        *({"ids": []}, {"ids": "1"}, {"ids": [0]}, {"ids": [True]}, {"ids": ["PC-1"]}),
    ],
    ids=str,
)
def test_what_selects_nothing_is_refused(operator, machines, body):
    assert_problem(operator.post("/selections", body), 400, "invalid_field")


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"action": "rotate"}, {"action": "erase"}, {"action": "enroll"}),
        *({"action": "release", "step": 1}, {"action": "release", "step": -1}),
        *({"action": "mute"}, {"action": "tag"}, {"action": "tag", "add": ["a b"]}),
        *({"action": "note"}, {"action": "uninstall", "reason": "x" * 501}),
        *(
            {"action": "release", "text": False},
            {"action": "mute", "for": "1d", "add": 1},
        ),
    ],
    ids=str,
)
def test_what_is_no_action_changes_nothing(operator, machines, engine, body):
    selection = select(operator, all=True)
    before = engine.contents()

    response = operator.post(f"/selections/{selection['id']}", body)

    assert_problem(response, 400, "invalid_field")
    assert engine.contents() == before


def test_a_block_holds_only_for_what_is_selected(operator, machines):
    """A block holds for ids that look alike; one that is active is not hit unseen."""
    operator.enroll("pc-1")
    selection = select(operator, filter={"machine_id": "PC-1"})
    (answer,) = act(operator, selection, "block")
    (failed,) = answer["failed"]
    assert (failed["machine_id"], failed["code"]) == ("PC-1", "looks_like_another")
    assert "pc-1 is active" in failed["detail"]
    assert operator.get("/blocks").json["blocks"] == []

    both = select(operator, filter={"q": "pc-1"})

    assert sorted(done(act(operator, both, "block"))) == ["PC-1", "pc-1"]
    assert operator.get("/fleet").json["totals"]["active"] == 3


def test_a_look_alike_that_no_longer_matches_is_not_blocked_unseen(operator, machines):
    operator.enroll("pc-1")
    for name in ("PC-1", "pc-1"):
        operator.post(f"/machines/{name}/tags", {"add": ["lost"]})
    selection = select(operator, filter={"tag": "lost"})
    operator.post("/machines/pc-1/tags", {"remove": ["lost"]})

    (answer,) = act(operator, selection, "block")

    assert (answer["done"], answer["unmatched"]) == ([], ["pc-1"])
    assert [each["machine_id"] for each in answer["failed"]] == ["PC-1"]


@pytest.mark.sqlite
def test_an_id_that_is_no_text_fails_no_step(operator, engine, machines):
    """Another program may have stored it; nothing finds such a machine by its id."""
    engine.execute(
        "INSERT INTO enrolled_agents (machine_id, enrolled_at)"
        " VALUES (CAST('pc-1' AS BLOB), '2026-03-02')"
    )
    selection = select(operator, filter={"machine_id": "PC-1"})

    assert done(act(operator, selection, "block")) == ["PC-1"]


def test_a_step_of_blocks_reads_the_ids_of_the_fleet_once(
    operator, engine, monkeypatch
):
    operator.get("/fleet")
    fill(engine, ({"machine_id": f"PC-{n}"} for n in range(BULK_STEP)))
    selection, read = select(operator, all=True), []
    ids = Lookalikes._ids
    monkeypatch.setattr(
        Lookalikes, "_ids", lambda *asked: read.append(asked) or ids(*asked)
    )

    assert len(done(act(operator, selection, "block"))) == BULK_STEP

    assert len(read) == 1


def test_a_selection_of_nothing_acts_on_nothing(operator, machines, engine):
    selection = select(operator, filter={"q": "no such machine"})
    assert (selection["machines"], selection["steps"]) == (0, 0)

    response = operator.post(f"/selections/{selection['id']}", {"action": "uninstall"})

    assert_problem(response, 400, "invalid_field")
    csv = operator.get(f"/selections/{selection['id']}/csv").text
    assert len(csv.splitlines()) == 1
    assert operator.get("/fleet").json["totals"]["active"] == 4


def test_a_selection_is_exported_as_csv(operator, machines):
    selection = select(operator, filter={"q": "pc-2"})

    response = operator.get(f"/selections/{selection['id']}/csv?delimiter=semicolon")

    assert response.mimetype == "text/csv"
    lines = response.text.splitlines()
    assert [line.split(";")[1] for line in lines] == ["machine_id", "PC-2"]


def test_an_export_for_people_is_in_their_language(operator, machines):
    selection = select(operator, filter={"q": "pc-2"})
    path = f"/selections/{selection['id']}/csv"

    assert operator.get(f"{path}?language=fr").text[1:].startswith("N°;Machine;")
    assert_invalid(operator.get(f"{path}?language=de"), "language")


def test_a_token_that_is_revoked_between_two_steps_changes_nothing_more(
    operator, engine
):
    operator.get("/fleet")
    fill(engine, ({"machine_id": f"PC-{n}"} for n in range(2 * BULK_STEP)))
    wanted = {"name": "Nadia", "role": "operator"}
    made = operator.post("/operators", wanted).json
    nadia = Api(operator.client, made["token"])
    selection = select(nadia, all=True)
    path = f"/selections/{selection['id']}"
    assert nadia.post(path, {"action": "uninstall"}).json["next_step"] == 1

    operator.request("DELETE", f"/operators/{made['id']}")

    response = nadia.post(path, {"action": "uninstall", "step": 1})
    assert_problem(response, 401, "token_revoked")
    assert operator.get("/fleet").json["totals"]["uninstalled"] == BULK_STEP


def test_5000_machines_are_released_while_they_send_heartbeats(operator, engine, app):
    operator.get("/fleet")
    now = clock.iso(clock.now())
    rows = ({"machine_id": f"M-{n}", "enrolled_at": now} for n in range(4990))
    fill(engine, rows)
    agents = [operator.enroll(f"PC-{n}") for n in range(10)]
    selection = select(operator, filter={"status": "active"})
    assert (selection["machines"], selection["steps"]) == (5000, 50)
    operator.uninstall("PC-9")
    ended, statuses = Event(), []

    def beat():
        mine = [Api(app.test_client(), agent.token) for agent in agents[:9]]
        number = 0
        while not ended.is_set():
            number += 1
            for agent in mine:
                body = {"version": f"1.{number}"}
                statuses.append(agent.post("/heartbeat", body).status_code)

    beating = Thread(target=beat)
    beating.start()
    try:
        answers = act(operator, selection, "release")
    finally:
        ended.set()
        beating.join()

    assert set(statuses) == {200}
    assert len(done(answers)) == 4999
    unmatched = [name for answer in answers for name in answer["unmatched"]]
    assert unmatched == ["PC-9"]
    (count,) = engine.execute("SELECT count(*) FROM lea_fleet_releases")
    assert count[0] == 4999
