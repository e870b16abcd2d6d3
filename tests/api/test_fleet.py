"""GET /fleet and GET /machines/<machine_id>: complete, ordered, from one snapshot."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from lea_fleet import LeaFleet
from lea_fleet.api import documents as spool
from lea_fleet.core.temporary import TemporaryFile
from lea_fleet.storage.listing import Listing
from tests.support.api import OPERATOR_TOKEN, Api, assert_invalid, assert_problem
from tests.support.fleets import fill


def test_the_lists_are_newest_first_and_the_totals_agree(operator, the_clock):
    for number in range(4):
        operator.enroll(f"PC-{number}")
        the_clock.advance(minutes=2)
    operator.uninstall("PC-0")
    operator.uninstall("PC-2")

    response = operator.get("/fleet")

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    fleet = response.json
    assert [agent["machine_id"] for agent in fleet["active"]] == ["PC-3", "PC-1"]
    assert [agent["machine_id"] for agent in fleet["uninstalled"]] == ["PC-2", "PC-0"]
    assert fleet["totals"] == {
        "active": 2,
        "uninstalled": 2,
        "total": 4,
        "online": 1,
        "offline": 1,
        "stale": 0,
        "pending": 0,
    }
    written = {"tags": [], "note": None}
    assert fleet["active"][0] == {**operator.machine("PC-3"), **written}
    assert fleet["uninstalled"][0] == {**operator.machine("PC-2"), **written}


def test_machines_of_one_instant_are_listed_by_id_descending(operator, the_clock):
    for name in ("PC-b", "PC-c", "PC-a"):
        operator.enroll(name)

    listed = operator.get("/fleet").json["active"]

    assert [agent["machine_id"] for agent in listed] == ["PC-a", "PC-c", "PC-b"]


def test_a_machine_that_comes_back_is_the_newest(operator, the_clock):
    for name in ("PC-1", "PC-2"):
        operator.enroll(name)
        the_clock.advance(minutes=1)
    operator.uninstall("PC-1")
    operator.enroll("PC-1")

    listed = operator.get("/fleet").json["active"]

    assert [agent["machine_id"] for agent in listed] == ["PC-1", "PC-2"]


def test_an_empty_fleet(operator):
    assert operator.get("/fleet").json == {
        "active": [],
        "uninstalled": [],
        "totals": dict.fromkeys(
            ("active", "uninstalled", "total", "online", "offline", "stale", "pending"),
            0,
        ),
    }


def test_the_list_is_utf_8_and_not_cached(operator):
    name = 'O\'Connor "Zoé" \\ 100% 李 😀 \x01\n'
    operator.enroll("PC-1", user_name=name)

    response = operator.get("/fleet")

    assert "Zoé" in response.data.decode("utf-8")
    assert json.loads(response.data)["active"][0]["user_name"] == name.strip()
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_length == len(response.data)


def test_a_list_beyond_the_memory_it_may_use_is_whole(operator, monkeypatch):
    monkeypatch.setattr(spool, "_IN_MEMORY", 100)
    for number in range(20):
        operator.enroll(f"PC-{number}", user_name="é" * 255)

    response = operator.get("/fleet")

    assert len(response.json["active"]) == 20
    assert response.content_length == len(response.data)


def test_a_list_that_finds_no_room_is_a_503(operator, monkeypatch):
    class FullDisk(TemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "TemporaryFile", FullDisk)

    body = assert_problem(operator.get("/fleet"), 503, "database_unavailable", "retry")
    assert "No space left" in body["detail"]


def test_head_gives_the_length_and_no_body(operator):
    operator.enroll("PC-1")

    response = operator.request("HEAD", "/fleet")

    assert response.status_code == 200
    assert response.data == b""
    assert response.content_length == len(operator.get("/fleet").data)


def test_one_machine_of_any_id_is_found_by_query(operator, engine):
    odd = "a/b\n. \u2028"
    fill(engine, [{"machine_id": odd}, {"machine_id": "PC-2"}])

    fleet = operator.get("/fleet", query_string={"machine_id": odd}).json
    assert [agent["machine_id"] for agent in fleet["active"]] == [odd]
    assert fleet["totals"]["total"] == 1
    nobody = operator.get("/fleet", query_string={"machine_id": "nobody"}).json
    assert nobody["totals"]["total"] == 0


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("machine=PC-1", ["machine"]),
        ("a=1&machine_id=x&b=2", ["a", "b"]),
        ("machine_id=x&machine_id=y", ["machine_id"]),
        ("%FF=%FF", ["%FF"]),
    ],
)
def test_a_parameter_that_means_nothing_is_named(operator, query, fields):
    assert_invalid(operator.get("/fleet", query_string=query), *fields)


def test_lists_and_totals_are_of_one_moment(operator, elsewhere, monkeypatch):
    """A machine that enrolls while the list is being read is in neither."""
    operator.enroll("PC-1")
    totals = Listing.totals

    def enroll_first(self, wanted):
        monkeypatch.setattr(Listing, "totals", totals)
        elsewhere.enroll("PC-2")
        return totals(self, wanted)

    monkeypatch.setattr(Listing, "totals", enroll_first)

    fleet = operator.get("/fleet").json
    assert (len(fleet["active"]), fleet["totals"]["active"]) == (1, 1)
    assert operator.get("/fleet").json["totals"]["active"] == 2


def test_one_machine(operator, the_clock):
    agent = operator.enroll("{9F2C 4é}")

    response = operator.get("/machines/{9F2C 4é}")

    shown = {"agent": agent.answer["agent"]}
    states = {"block": None, "muted_until": None, "retirement": None}
    written = {"tags": [], "note": None}
    issued = {"issued_at": the_clock.iso(), "first_used_at": None, "rotated_at": None}
    assert response.json == {**shown, **states, **written, "token": issued}
    assert agent.get("/machines/{9F2C 4é}").json == shown
    assert response.data.isascii()


def test_an_agent_sees_itself_only(operator):
    operator.enroll("PC-2")
    agent = operator.enroll("PC-1")

    assert_problem(agent.get("/machines/PC-2"), 403, "wrong_machine")
    assert_problem(agent.get("/machines/nobody"), 403, "wrong_machine")
    assert_problem(agent.get("/fleet"), 403, "insufficient_scope", "ask_operator")


def test_an_unknown_machine_is_a_404_that_names_it(operator):
    body = assert_problem(operator.get("/machines/nobody"), 404, "unknown_agent")
    assert body["machine_id"] == "nobody"


@pytest.mark.parametrize(
    "path", ["/fleet/", "//fleet", "/machines//PC-1", "/machines/PC-1/", "/machines/"]
)
def test_no_slash_is_ever_redirected(operator, path):
    operator.enroll("PC-1")

    assert operator.get(path).status_code == 404


def test_a_host_that_is_lenient_with_slashes_does_not_make_us_so(engine):
    app = Flask("lenient")
    app.url_map.strict_slashes = False
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
    LeaFleet(app)

    assert Api(app.test_client(), OPERATOR_TOKEN).get("/fleet/").status_code == 404
