"""In which hours machines were seen: kept for some days, for operators only."""

from __future__ import annotations

import json

import pytest

from lea_fleet import create_app
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.older_server import OlderServer

DAY = "2026-03-02"  # the clock stands at 08:00


@pytest.fixture
def agent(operator, the_clock):
    """An agent that has used its token, at 08:00."""
    enrolled = operator.enroll("PC-1", user_email="zoe@example.com")
    enrolled.heartbeat()
    return enrolled


@pytest.fixture
def rows(engine):
    """Return the rows of the table."""
    return lambda: engine.contents()["lea_fleet_presence"]


@pytest.fixture
def with_days(engine, make_app):
    """Return an operator at a server that keeps that many days."""

    def with_days(days):
        return Api(make_app(LEA_FLEET_PRESENCE_DAYS=days).test_client(), OPERATOR_TOKEN)

    return with_days


def seen(operator, machine_id="PC-1"):
    """Return the hours by day."""
    shown = operator.get(f"/machines/{machine_id}/presence")
    assert shown.status_code == 200
    return {each["day"]: each["hours"] for each in shown.json["days"]}


def test_the_hours_of_each_day_are_shown_oldest_first(agent, operator, the_clock):
    for hours in (1, 2, 20):
        the_clock.advance(hours=hours)
        agent.heartbeat()

    assert operator.get("/machines/PC-1/presence").json == {
        "machine_id": "PC-1",
        "presence_days": 30,
        "days": [
            {"day": DAY, "hours": [8, 9, 11]},
            {"day": "2026-03-03", "hours": [7]},
        ],
    }


def test_a_heartbeat_of_an_hour_that_is_known_writes_nothing_of_it(
    agent, engine, operator, the_clock, monkeypatch
):
    the_clock.advance(hours=1)
    agent.heartbeat()
    written = []
    monkeypatch.setattr(
        "lea_fleet.storage.presence.Presence.note", lambda *about: written.append(about)
    )

    for _ in range(5):
        the_clock.advance(minutes=9)
        agent.heartbeat(version="2.0")
        agent.heartbeat()
        agent.post("/heartbeat", {"version": f"2.{the_clock.now().minute}"})

    assert written == []


def test_a_fresh_heartbeat_writes_nothing_when_an_hour_begins(
    agent, engine, operator, the_clock
):
    the_clock.advance(minutes=59, seconds=55)
    agent.heartbeat()
    before = engine.contents()
    the_clock.advance(seconds=10)

    assert agent.heartbeat().status_code == 200

    assert engine.contents() == before
    the_clock.advance(seconds=10)
    agent.heartbeat()
    assert seen(operator) == {DAY: [8, 9]}


def test_a_machine_that_never_came_has_no_hours(operator, the_clock):
    operator.enroll("PC-1")

    assert seen(operator) == {}


def test_the_first_use_of_a_token_counts_also_for_another_route(operator, the_clock):
    operator.enroll("PC-1").get("/machines/PC-1")

    assert seen(operator) == {DAY: [8]}


def test_an_operators_heartbeat_for_a_machine_counts(operator, the_clock):
    operator.enroll("PC-1")
    the_clock.advance(hours=1)
    operator.post("/heartbeat", {"machine_id": "PC-1"})

    assert seen(operator) == {DAY: [9]}


def test_a_day_is_kept_for_as_long_as_the_setting_says(with_days, rows, the_clock):
    operator = with_days(2)
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    the_clock.advance(days=1)
    agent.heartbeat()

    assert [*seen(operator)] == [DAY, "2026-03-03"]
    the_clock.advance(days=1)
    assert [*seen(operator)] == ["2026-03-03"]
    agent.heartbeat()
    assert [day for day, *_ in rows()] == ["2026-03-03", "2026-03-04"]


def test_days_of_a_silent_machine_are_deleted_by_the_others(
    agent, operator, rows, the_clock
):
    other = operator.enroll("PC-2")
    other.heartbeat()
    the_clock.advance(days=30)
    assert seen(operator) == {}

    other.heartbeat()

    assert rows() == [("2026-04-01", "PC-2", 1 << 8)]


def test_no_heartbeat_deletes_more_than_a_few_days(agent, engine, rows, the_clock):
    for number in range(25):
        expired = {"day": "2025-01-01", "machine_id": f"OLD-{number:02}"}
        engine.insert("lea_fleet_presence", hours=1, **expired)

    the_clock.advance(hours=1)
    agent.heartbeat()

    assert [name for _, name, _ in rows()][0] == "OLD-10"


def test_with_zero_days_nothing_is_kept_shown_or_left(
    agent, operator, with_days, rows, the_clock
):
    assert rows()
    off = with_days(0)
    shown = off.get("/machines/PC-1/presence").json
    assert (shown["presence_days"], shown["days"]) == (0, [])

    the_clock.advance(hours=1)
    Agent(off.client, agent.answer).heartbeat()

    assert rows() == []


def test_a_fresh_token_writes_no_hour_with_zero_days(with_days, rows, the_clock):
    with_days(0).enroll("PC-1").heartbeat(user_name="Zoe")

    assert rows() == []


# Whose hours they are


@pytest.mark.parametrize("caller", ["viewer", "agent", "installer", "monitor"])
def test_nobody_else_sees_them(agent, operator, monitor, client, caller):
    wanted = {"name": "Auditor", "role": "viewer"}
    viewer = Api(client, operator.post("/operators", wanted).json["token"])
    callers = {"viewer": viewer, "agent": agent, "monitor": monitor}
    callers["installer"] = operator.installer()

    refused = callers[caller].get("/machines/PC-1/presence")

    assert_problem(refused, 403, "insufficient_scope")


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_operators_of_each_rank_see_them(agent, operator, client, role):
    wanted = {"name": "Nadia", "role": role}
    named = Api(client, operator.post("/operators", wanted).json["token"])

    assert seen(named) == {DAY: [8]}


def test_an_unknown_machine_is_404(operator):
    assert_problem(operator.get("/machines/PC-9/presence"), 404, "unknown_agent")


@pytest.mark.parametrize("name", ["user_name", "user_email", "user_id"])
def test_another_user_begins_with_the_present_hour(agent, operator, the_clock, name):
    the_clock.advance(hours=1)
    agent.heartbeat(**{name: "Ana"})
    assert seen(operator) == {DAY: [9]}

    the_clock.advance(minutes=10)
    agent.heartbeat(**{name: "ANA"})  # the same one

    assert seen(operator) == {DAY: [9]}
    the_clock.advance(hours=1)
    agent.heartbeat(**{name: "Bob"})
    assert seen(operator) == {DAY: [10]}


def test_another_hostname_or_version_is_no_other_user(agent, operator, the_clock):
    the_clock.advance(hours=1)
    agent.heartbeat(hostname="B", version="2")

    assert seen(operator) == {DAY: [8, 9]}


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "PC-1", "--user-email", "ana@example.com", "--yes"),
        ("uninstall", "PC-1", "--yes"),
        ("enroll", "PC-1", "--force"),
        ("erase", "PC-1", "--yes"),
        ("erase", "--user", "zoe@example.com", "--yes"),
    ],
)
def test_what_ends_with_the_user_or_the_enrollment_leaves_no_row(
    agent, run, rows, words
):
    assert rows()

    result = run(*words)

    assert result.exit_code == 0, result.output
    assert rows() == []


def test_an_erasure_of_another_person_leaves_them(agent, operator, run, the_clock):
    agent.heartbeat(user_email="ana@example.com")

    assert run("erase", "--user", "zoe@example.com", "--yes").exit_code == 0

    assert seen(operator) == {DAY: [8]}


def test_an_erasure_says_what_it_has_deleted(agent, operator, run, the_clock):
    the_clock.advance(days=1)
    agent.heartbeat()

    told = json.loads(run("erase", "PC-1", "--yes", "--json").stdout)

    (machine,) = told["machines"]
    assert "presence" in machine["fields"]
    assert machine["rows"]["lea_fleet_presence"] == 2


@pytest.mark.parametrize("column", ["user_name", "user_id"])
def test_a_person_who_is_only_named_by_another_column_is_the_user(
    operator, run, rows, the_clock, column
):
    operator.enroll("PC-1", **{column: "zoe@example.com"}).heartbeat()

    exported = json.loads(run("export", "--user", "zoe@example.com").stdout)
    (machine,) = exported["machines"]
    assert machine["presence"] == [{"day": DAY, "hours": [8]}]
    assert run("erase", "--user", "zoe@example.com", "--yes").exit_code == 0
    assert rows() == []


def test_an_export_of_a_former_user_has_no_hours_of_the_next_one(
    agent, operator, run, the_clock
):
    agent.heartbeat(user_email="ana@example.com")

    exported = json.loads(run("export", "--user", "zoe@example.com").stdout)

    assert [machine["presence"] for machine in exported["machines"]] == [[]]


def test_they_follow_an_edited_id_and_nothing_of_a_deleted_machine_is_added(
    agent, engine, operator, run, rows
):
    engine.insert("lea_fleet_presence", day=DAY, machine_id="PC-2", hours=1)

    assert run("edit", "PC-1", "--id", "PC-2", "--yes").exit_code == 0

    assert rows() == [(DAY, "PC-2", 1 << 8)]
    assert seen(operator, "PC-2") == {DAY: [8]}


def test_show_counts_the_days(agent, run, the_clock):
    the_clock.advance(days=1)
    agent.heartbeat()

    assert "SEEN ON      2 of the last 30 days\n" in run("show", "PC-1").stdout
    shown = json.loads(run("show", "PC-1", "--json").stdout)
    assert (shown["presence_days"], len(shown["days"])) == (30, 2)


def test_what_an_older_server_enrolled_anew_has_no_hours_from_before(
    database, the_clock
):
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
    operator = Api(create_app(settings).test_client(), OPERATOR_TOKEN)
    operator.enroll("PC-1").heartbeat()
    older = OlderServer(database)
    older.uninstall("PC-1")
    older.enroll("PC-1")  # by the real clock, months later

    assert seen(operator) == {}
