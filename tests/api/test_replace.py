"""GET /duplicates and POST /machines/<machine_id>/replace."""

from __future__ import annotations

import pytest

from tests.support.api import assert_invalid, assert_problem
from tests.support.fleets import ask, listed


@pytest.fixture
def fleet(operator, the_clock):
    """A PC that was set up anew, and one that was not."""
    agent = operator.enroll("OLD", hostname="COMPTA-3")
    operator.enroll("PC-9", hostname="COMPTA-9")
    the_clock.advance(days=1)
    operator.enroll("NEW", hostname="compta-3")
    operator.old = agent
    return operator


def events(operator, machine_id):
    page = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [(event["event"], event["detail"]) for event in page]


def test_it_is_listed_and_no_longer_once_it_is_replaced(fleet):
    pair = {"machine_id": "OLD", "by": "NEW", "because": "hostname"}
    assert fleet.get("/duplicates").json == {"duplicates": [pair], "next_cursor": None}
    found = ask(fleet, duplicate="true")
    assert listed(found) == ["OLD"]
    assert found["totals"]["total"] == 1
    assert listed(ask(fleet, duplicate="false", sort="enrolled_at")) == ["PC-9", "NEW"]
    assert listed(ask(fleet, duplicate="true", status="uninstalled")) == []

    response = fleet.post("/machines/OLD/replace", {"by": "NEW"})

    assert (response.status_code, response.json) == (
        200,
        {"machine_id": "OLD", "by": "NEW"},
    )
    assert fleet.get("/duplicates").json["duplicates"] == []
    assert listed(ask(fleet, duplicate="true")) == []


def test_the_history_of_each_names_the_other_and_the_token_is_dead(fleet):
    fleet.post("/machines/OLD/replace", {"by": "NEW"})

    gone = fleet.machine("OLD")
    assert (gone["status"], gone["uninstall_reason"]) == (
        "uninstalled",
        "replaced by NEW",
    )
    assert events(fleet, "OLD")[:2] == [
        ("replaced", {"other": "NEW", "because": "by"}),
        ("uninstalled", {"reason": "replaced by NEW"}),
    ]
    assert events(fleet, "NEW")[0] == ("replaced", {"other": "OLD", "because": "of"})
    assert_problem(fleet.old.heartbeat(), 401, "agent_uninstalled")


def test_to_repeat_it_changes_nothing(fleet, engine):
    fleet.post("/machines/OLD/replace", {"by": "NEW"})
    before = engine.contents()

    again = fleet.post("/machines/OLD/replace", {"by": "NEW"})

    assert again.status_code == 200
    assert engine.contents() == before


@pytest.mark.parametrize(
    ("machine", "body", "status", "code"),
    [
        ("NEW", {"by": "PC-9"}, 409, "machine_online"),
        ("OLD", {"by": "GONE"}, 409, "machine_uninstalled"),
        ("OLD", {"by": "nobody"}, 404, "unknown_agent"),
        ("nobody", {"by": "NEW"}, 404, "unknown_agent"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    fleet, engine, machine, body, status, code
):
    fleet.enroll("GONE")
    fleet.uninstall("GONE")
    before = engine.contents()

    refused = fleet.post(f"/machines/{machine}/replace", body)

    assert_problem(refused, status, code)
    assert engine.contents() == before


@pytest.mark.parametrize(
    "body", [{}, {"by": " "}, {"by": 7}, {"by": "OLD"}, {"by": "OLD "}]
)
def test_it_needs_another_machine(fleet, engine, body):
    before = engine.contents()

    assert_invalid(fleet.post("/machines/OLD/replace", body), "by")
    assert engine.contents() == before


def test_an_online_machine_is_replaced_by_force(fleet):
    refused = fleet.post("/machines/NEW/replace", {"by": "PC-9", "force": None})
    assert_problem(refused, 409, "machine_online", "fix_request")

    forced = fleet.post("/machines/NEW/replace", {"by": "PC-9", "force": True})

    assert forced.status_code == 200
    assert fleet.machine("NEW")["status"] == "uninstalled"


def test_a_reason_is_no_longer_than_any_other(operator, engine):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    long = 600 * "x"
    engine.execute("UPDATE enrolled_agents SET machine_id = ? WHERE id = 2", long)

    operator.post("/machines/PC-1/replace", {"by": long, "force": True})

    assert len(operator.machine("PC-1")["uninstall_reason"]) == 500


def test_pages_of_duplicates(operator, the_clock):
    for age in ("OLD", "NEW"):
        for number in range(5):
            operator.enroll(f"{age}-{number}", hostname=f"H-{number}")
        the_clock.advance(days=1)
        for number in range(5) if age == "NEW" else ():
            operator.post("/heartbeat", {"machine_id": f"NEW-{number}"})
    first = operator.get("/duplicates?limit=3")
    assert f"cursor={first.json['next_cursor']}" in first.headers["Link"]

    second = ask(operator, "/duplicates", limit=3, cursor=first.json["next_cursor"])

    found = first.json["duplicates"] + second["duplicates"]
    assert [pair["machine_id"] for pair in found] == [f"OLD-{n}" for n in range(5)]
    assert second["next_cursor"] is None
    for query in ({"limit": "0"}, {"limit": "1001"}, {"cursor": "\0"}, {"q": "x"}):
        (field,) = query
        assert_invalid(operator.get("/duplicates", query_string=query), field)


def test_the_metrics_count_them(fleet, monitor):
    assert "\nlea_fleet_duplicates 1.0\n" in monitor.get("/metrics").text
