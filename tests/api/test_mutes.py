"""A muted machine: nobody is alerted about it until that ends, by itself or by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.core import clock
from tests.support.api import assert_invalid, assert_problem

PATH = "/machines/PC-1/mute"


def mute(operator, machine_id="PC-1", **members):
    response = operator.post(f"/machines/{machine_id}/mute", members)
    assert response.status_code == 200, response.text
    return response.json["muted_until"]


def muted_until(operator):
    return operator.get("/machines/PC-1").json["muted_until"]


def happened(operator):
    events = operator.get("/machines/PC-1/events").json["events"]
    return [(event["event"], event["detail"]) for event in events]


@pytest.mark.parametrize(
    ("members", "until"),
    [
        ({"for": "14d"}, "2026-03-16T08:00:00.123456+00:00"),
        ({"for": "1s", "until": ""}, "2026-03-02T08:00:01.123456+00:00"),
        ({"until": "2026-12-24"}, "2026-12-24T00:00:00+00:00"),
        ({"until": "2026-12-24T08:00+01:00"}, "2026-12-24T07:00:00+00:00"),
        ({"until": " 2026-12-24T08:00:00Z ", "for": None}, "2026-12-24T08:00:00+00:00"),
    ],
    ids=str,
)
def test_it_lasts_until_then_or_for_so_long(operator, the_clock, members, until):
    operator.enroll("PC-1")

    assert mute(operator, **members) == until
    assert muted_until(operator) == until
    assert happened(operator)[0] == ("muted", {"until": until})
    assert operator.machine()["presence"] == "online"
    assert operator.get("/machines/PC-1").json["agent"]["status"] == "active"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({}, "until"),
        ({"until": "2026-12-24", "for": "1d"}, "until"),
        ({"until": " "}, "until"),
        ({"until": "soon"}, "until"),
        ({"until": "14d"}, "until"),
        ({"until": 7}, "until"),
        ({"until": "2026-03-02"}, "until"),
        ({"until": "2026-03-02T08:00:00.123456Z"}, "until"),
        ({"until": "9999-12-31T23:59:59-12:00"}, "until"),
        ({"for": "2026-12-24"}, "for"),
        ({"for": "never"}, "for"),
        ({"for": "0s"}, "for"),
        ({"for": "36501d"}, "for"),
        ({"for": 7}, "for"),
    ],
    ids=str,
)
def test_what_is_no_time_to_come_is_refused(operator, the_clock, members, field):
    operator.enroll("PC-1")

    assert_invalid(operator.post(PATH, members), field)
    assert muted_until(operator) is None


def test_it_ends_by_itself_and_is_no_event_then(operator, the_clock):
    operator.enroll("PC-1")
    mute(operator, **{"for": "1h"})
    the_clock.advance(minutes=59)
    assert muted_until(operator) is not None
    the_clock.advance(minutes=1)

    assert muted_until(operator) is None
    count = len(happened(operator))
    assert operator.request("DELETE", PATH).status_code == 200
    assert len(happened(operator)) == count


def test_it_can_be_changed_and_ended(operator, the_clock):
    operator.enroll("PC-1")
    mute(operator, **{"for": "14d"})
    until = mute(operator, **{"for": "1d"})
    assert mute(operator, until=until) == until

    answer = operator.request("DELETE", PATH).json
    assert answer == {"machine_id": "PC-1", "muted_until": None}
    assert muted_until(operator) is None
    assert [event for event, _ in happened(operator)] == [
        "unmuted",
        "muted",
        "muted",
        "enrolled",
    ]


def test_it_outlasts_an_uninstall_and_an_enrollment(operator, the_clock):
    operator.enroll("PC-1")
    until = mute(operator, **{"for": "14d"})
    for change in (operator.uninstall, operator.enroll):
        change("PC-1")
        assert muted_until(operator) == until
    operator.uninstall("PC-1")
    assert operator.request("DELETE", PATH).status_code == 200
    assert mute(operator, **{"for": "1d"}) == clock.after(the_clock.time, 86400)


def test_a_block_ends_it_so_that_what_tries_to_come_back_is_told(operator):
    operator.enroll("PC-1")
    mute(operator, **{"for": "14d"})

    assert operator.post("/machines/PC-1/block", {}).status_code == 200
    assert muted_until(operator) is None
    assert ("unmuted", {}) in happened(operator)
    assert operator.post("/enroll", {"machine_id": "pc-1"}).status_code == 403
    told = operator.get("/alerts").json["alerts"]
    assert [(each["alert"], each["machine_id"]) for each in told] == [
        ("machine.refused", "pc-1")
    ]

    until = mute(operator, **{"for": "14d"})
    assert operator.post("/machines/PC-1/block", {"reason": "x"}).status_code == 200
    assert muted_until(operator) == until


def test_a_machine_that_is_not_known_is_not_muted(operator):
    operator.enroll("PC-1")
    for method in ("POST", "DELETE"):
        response = operator.request(method, "/machines/PC-2/mute", json={"for": "1d"})
        assert_problem(response, 404, "unknown_agent")


def test_an_agent_is_not_told_of_it(operator):
    agent = operator.enroll("PC-1")
    mute(operator, **{"for": "1d"})

    assert agent.get("/machines/PC-1").json.keys() == {"agent"}


def test_a_listing_can_be_of_the_muted_machines_or_of_the_others(operator, the_clock):
    for machine_id in ("PC-1", "PC-2", "PC-3"):
        operator.enroll(machine_id)
    mute(operator, "PC-1", **{"for": "2h"})
    mute(operator, "PC-2", **{"for": "1h"})
    the_clock.advance(hours=1)

    def listed(muted):
        fleet = operator.get("/fleet", query_string={"muted": muted}).json
        return sorted(agent["machine_id"] for agent in fleet["active"])

    assert (listed("true"), listed("false")) == (["PC-1"], ["PC-2", "PC-3"])
    assert_invalid(operator.get("/fleet?muted=yes"), "muted")


def test_the_metrics_count_the_muted_machines(operator, monitor):
    operator.enroll("PC-1")
    mute(operator, **{"for": "2h"})

    assert "\nlea_fleet_muted 1.0\n" in monitor.get("/metrics").text


def test_the_hosts_code_can_mute(app, the_clock):
    with app.app_context():
        repository = get_host_repository()
        repository.enroll("PC-1")
        states = repository.states
        assert states.mute("PC-1", "2026-12-24") == "2026-12-24T00:00:00+00:00"
        with pytest.raises(ValueError):
            states.mute("PC-1", "soon")
        assert states.mute("PC-1 ", clock.iso(the_clock.time - timedelta(days=1)))
        assert states.mutes.machines() == []
        assert states.unmute("PC-1") is None
