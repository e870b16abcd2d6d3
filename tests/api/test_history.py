"""GET /events: the history of all machines, and of what is about none."""

from __future__ import annotations

import csv
import io
import json

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.core.event_filter import EventFilter
from lea_fleet.core.events import EVENTS, ROLES
from tests.support.api import assert_invalid


@pytest.fixture
def fleet(operator, app, run, the_clock):
    """A history of several machines, callers and days."""
    installer = operator.installer(label="Paris")
    the_clock.advance(days=1)
    agent = installer.enroll("PC-1", hostname="A")
    agent.heartbeat(hostname="B")
    the_clock.advance(days=1)
    operator.enroll("PC-2")
    operator.uninstall("PC-2", reason="=1+1; \u202e\n")
    the_clock.advance(days=1)
    run("release", "PC-1")
    with app.app_context():
        get_host_repository().enroll("PC-3")
    return operator


def history(operator, **query):
    response = operator.get("/events", query_string=query)
    assert response.status_code == 200, response.text
    return response.json


def told(operator, **query):
    events = history(operator, **query)["events"]
    return [(event["event"], event["machine_id"]) for event in events]


def test_it_has_the_events_of_all_machines_and_of_none(fleet):
    assert told(fleet) == [
        ("enrolled", "PC-3"),
        ("released", "PC-1"),
        ("uninstalled", "PC-2"),
        ("enrolled", "PC-2"),
        ("identity_changed", "PC-1"),
        ("enrolled", "PC-1"),
        ("enrollment_token_created", None),
    ]
    of_one = fleet.get("/machines/PC-1/events").json["events"]
    for event in of_one:
        event["machine_id"] = "PC-1"
    assert history(fleet, machine_id="PC-1")["events"] == of_one


def test_each_filter_selects_and_all_of_them_together(fleet, the_clock):
    whole = told(fleet)
    started = the_clock.time.date()
    assert told(fleet, event="released") == [("released", "PC-1")]
    both = told(fleet, event=["enrolled", "uninstalled"])
    assert both == told(fleet, event="uninstalled,enrolled")
    assert len(both) == 4
    assert told(fleet, machine_id="PC-2") == whole[2:4]
    assert told(fleet, machine_id="nobody") == []
    assert told(fleet, since="36h") == told(fleet, since=f"{started}") + whole[2:4]
    assert told(fleet, until=f"{started}") == whole[2:]
    assert told(fleet, since="36h", until="12h") == whole[2:4]
    assert told(fleet, actor="cli") == told(fleet, actor="amelie") == whole[1:2]
    assert told(fleet, actor="installer", event="enrolled") == [whole[5]]
    assert told(fleet, actor="127.0.0.1") == whole[2:]
    assert told(fleet, event="", actor="", since="", until="") == whole


def test_a_role_and_a_name_are_matched_as_a_whole(fleet):
    for nobody in ("ame", "melie", "AMELIE", "role", '"', "%", "_____", 'x", "'):
        assert told(fleet, actor=nobody) == []
    assert sum(len(told(fleet, actor=role)) for role in ROLES) == len(told(fleet))


NAMES = ["zoe", 'z"oe', "z\\oe", "Zoé", "zoe%", "日本", "z'oe", ': "zoe"', "operator"]


@pytest.mark.parametrize("name", NAMES)
def test_whoever_is_named_is_found_whatever_the_name_is(app, operator, name, engine):
    operator.enroll("PC-0")  # begins the database
    with app.app_context():
        host = get_host_repository()
        for number, other in enumerate(NAMES):
            unit = host.unit.acting_as({"role": "host", "user": other})
            with unit.transaction():
                type(host).over(unit).enroll(f"PC-{number + 1}")
        with host.transaction():  # as version 0.1.0 stored it
            host.events.add("erased", "old")
    engine.execute(
        "UPDATE lea_fleet_events SET actor = ? WHERE machine_id = 'old'",
        json.dumps({"role": "operator", "user": name}),
    )

    found = told(operator, actor=name, event="enrolled,erased")

    own = [("erased", "old"), ("enrolled", f"PC-{NAMES.index(name) + 1}")]
    by_role = [("enrolled", "PC-0")] if name == "operator" else []
    assert found == own + by_role


def test_a_follower_selects_what_the_listing_selects(fleet, app):
    """One rule is in SQL, the other in Python."""
    whole = history(fleet)["events"]
    ends = {event["at"] for event in whole}
    wanted = [
        *(EventFilter(names=(name,)) for name in EVENTS),
        *(EventFilter(machine_id=name) for name in ("PC-1", "PC-2", "nobody", "")),
        *(EventFilter(actor=name) for name in (*ROLES, "amelie", "127.0.0.1", "1")),
        *(EventFilter(since=at) for at in ends),
        *(EventFilter(until=at) for at in ends),
    ]
    with app.app_context():
        events = get_host_repository().events
        for each in wanted:
            found, _ = events.find(each, limit=99)
            assert found == [*filter(each.matches, whole)], each
            assert found == [*events.each(each)]


def test_pages_follow_each_other_and_new_events_do_not_move_them(fleet):
    whole = history(fleet)["events"]
    response = fleet.get("/events?limit=4")
    first = response.json
    fleet.enroll("PC-9")

    second = history(fleet, limit=4, cursor=first["next_cursor"])

    assert first["events"] + second["events"] == whole
    assert second["next_cursor"] is None
    assert f"limit=4&cursor={first['next_cursor']}" in response.headers["Link"]
    assert "Link" not in fleet.get("/events").headers


@pytest.mark.parametrize(
    "query",
    [
        {"event": "enroled"},
        {"event": "enrolled,x"},
        {"actor": "\0"},
        {"actor": 256 * "x"},
        {"since": "yesterday"},
        {"since": "2026-03-02T08:00 01:00"},  # a plus that was not encoded
        {"until": "0d"},
        {"until": "2026-02-30"},
        {"limit": "501"},
        {"cursor": "x"},
        {"cursor": "0"},
        {"format": "xml"},
        {"delimiter": "tab"},
        {"language": "de"},
        {"before": "5"},
        {"actor": ["cli", "host"]},
    ],
)
def test_what_is_not_valid_is_named(operator, query):
    (field,) = query

    assert_invalid(operator.get("/events", query_string=query), field)


def table(response, delimiter=","):
    text = response.data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_as_csv_it_has_all_events_for_a_spreadsheet(fleet, monkeypatch):
    monkeypatch.setattr("lea_fleet.storage.events.BATCH", 2)
    whole = history(fleet)["events"]

    response = fleet.get("/events", headers={"Accept": "text/csv"})

    assert response.headers["Content-Disposition"] == (
        "attachment; filename=events-2026-03-05.csv"
    )
    lines = table(response)
    assert [int(line["id"]) for line in lines] == [event["id"] for event in whole]
    for line, event in zip(lines, whole):
        names = ("role", "user", "os_user", "enrollment_token", "address")
        actor = {name: line[name] for name in names if line[name]}
        assert actor == {name: str(value) for name, value in event["actor"].items()}
        assert json.loads(line["detail"] or "{}") == event["detail"]
        for name in ("at", "event"):
            assert line[name] == event[name]
        assert line["machine_id"] == (event["machine_id"] or "")
    again = fleet.get("/events?format=csv&delimiter=semicolon&limit=2")
    assert table(again, ";") == lines[:2]
    assert "cursor=" in again.headers["Link"]


def test_for_people_it_has_headings_and_dates(fleet):
    known, *_ = table(fleet.get("/events?format=csv"))

    line, *_ = table(fleet.get("/events?format=csv&language=fr"), ";")

    assert line["Date (UTC)"] == known["at"][:19].replace("T", " ")
    assert (line["Événement"], line["N°"]) == (known["event"], known["id"])


def test_no_cell_is_a_formula(app, operator):
    hostile = ("=1+1", "+1", "-1", "@x", "\t=1", "\uff1d1")
    with app.app_context():
        host = get_host_repository()
        for name in hostile:
            actor = {"role": name, "user": name, "address": name, "other": "\udc80"}
            unit = host.unit.acting_as(actor)
            with unit.transaction():
                type(host).over(unit).events.add("released", name, until="\udc80")

    lines = table(operator.get("/events?format=csv"))

    assert [line["machine_id"][1:] for line in lines] == [*reversed(hostile)]
    for line in lines:
        for cell in (line["machine_id"], line["role"], line["user"], line["address"]):
            assert cell.startswith("'")
        assert line["detail"].startswith("{")
