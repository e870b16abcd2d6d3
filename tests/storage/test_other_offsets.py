"""A timestamp with the offset of another program is compared by its value."""

from __future__ import annotations

import pytest

from lea_fleet import AgentRepository
from lea_fleet.app.database import get_host_repository
from lea_fleet.core import clock
from tests.support.fleets import ask, fill

# It is 08:00 now, UTC; a machine is offline after three minutes or so, stale after 14
# days. By the text alone, each would have another presence.
PRESENCE = {
    "2026-03-02T08:00:00+00:00": "online",
    "2026-03-02T03:00:00-05:00": "online",
    "2026-03-02T07:59:59Z": "online",
    "2026-03-02T09:30:00.000001+02:00": "offline",
    "2026-02-16T06:00:00-05:30": "offline",
    "2026-02-16T11:00:00+05:30": "stale",
}


#: Timestamps of other programs, and what they are in UTC.
IN_UTC = {
    "2026-03-02T08:00:00+00:00": "2026-03-02T08:00:00+00:00",
    "2026-03-02T08:00:00Z": "2026-03-02T08:00:00+00:00",
    "2026-03-02T08:00:00.120000z": "2026-03-02T08:00:00.120000+00:00",
    "2026-03-02T00:30:00.5+01:00": "2026-03-01T23:30:00.500000+00:00",
    "2026-02-28 23:30:00.123456-05:30": "2026-03-01T05:00:00.123456+00:00",
    "2026-03-02T09:00:00.9999999+01:00": "2026-03-02T08:00:00.999999+00:00",
    "2024-02-29T08:00-00:00": "2024-02-29T08:00:00+00:00",
    # What is no timestamp, or has no offset, or is out of Python's reach.
    **dict.fromkeys(
        [
            "2026-02-29T08:00:00+01:00",
            "2026-04-31T08:00:00+01:00",
            "2026-13-01T08:00:00+01:00",
            "0000-01-01T08:00:00+01:00",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2026-03-02T08:00:60+01:00",
            "2026-03-02T08:00:00+99:00",
            "2026-03-02T08:00:00",
            "+01:00",
            "",
        ]
    ),
}


@pytest.fixture
def seen(app, operator, engine):
    """Fill the fleet with machines that are named by when they were last seen."""

    def seen(*timestamps):
        operator.get("/fleet")
        rows = [{"machine_id": at, "last_seen_at": at} for at in timestamps]
        fill(engine, rows)

    return seen


def test_presence(seen, operator, the_clock):
    seen(*PRESENCE)
    listed = ask(operator)

    assert {a["machine_id"]: a["presence"] for a in listed["active"]} == PRESENCE
    assert {name: operator.machine(name)["presence"] for name in PRESENCE} == PRESENCE
    totals = listed["totals"]
    assert [totals[name] for name in ("online", "offline", "stale")] == [3, 2, 1]
    offline = ask(operator, presence="offline")["active"]
    assert len(offline) == 2


def test_it_is_shown_as_it_is_stored(seen, operator):
    seen(*PRESENCE)

    for name in PRESENCE:
        assert operator.machine(name)["last_seen_at"] == name


def test_a_silence_and_the_order_of_a_list(seen, operator, the_clock):
    seen(*PRESENCE)
    half_an_hour = ask(operator, silent_for="30m", sort="last_seen_at")["active"]

    assert [agent["machine_id"] for agent in half_an_hour] == [
        "2026-02-16T11:00:00+05:30",
        "2026-02-16T06:00:00-05:30",
        "2026-03-02T09:30:00.000001+02:00",
    ]


@pytest.mark.parametrize(
    ("enrolled_at", "counted"),
    [("2026-03-02T00:30:00+01:00", [1, 0]), ("2026-03-01T20:00:00-05:00", [0, 1])],
)
def test_the_days_of_a_summary_are_those_of_utc(
    operator, engine, the_clock, enrolled_at, counted
):
    operator.get("/fleet")
    row = {"machine_id": "A", "status": "uninstalled", "enrolled_at": enrolled_at}
    fill(engine, [{**row, "uninstalled_at": enrolled_at}])
    days = ask(operator, "/fleet/summary", days=2)["by_day"]

    assert [day["date"] for day in days] == ["2026-03-01", "2026-03-02"]
    assert [day["enrollments"] for day in days] == counted
    assert [day["uninstalls"] for day in days] == counted


def test_what_is_pruned_after_an_uninstall(run, operator, engine, the_clock):
    operator.get("/fleet")
    uninstalls = {
        "due": "2026-01-31T05:00:00-03:00",
        "later": "2026-01-31T04:00:00-05:00",
    }
    departed = {"user_name": "Z", "status": "uninstalled"}
    rows = [
        {**departed, "machine_id": name, "uninstalled_at": at}
        for name, at in uninstalls.items()
    ]
    fill(engine, rows)
    listed = run("prune", "--uninstalled-for", "30d").output

    assert "due" in listed and "later" not in listed


def test_what_the_doctor_calls_the_future(run, operator, engine, the_clock):
    operator.get("/fleet")
    fill(engine, [{"machine_id": "A", "last_seen_at": "2026-03-02T09:30:00+02:00"}])
    assert "no timestamp is in the future" in run("doctor").output

    fill(engine, [{"machine_id": "B", "last_seen_at": "2026-03-02T07:30:00-02:00"}])
    assert "1 of enrolled_agents.last_seen_at in the future" in run("doctor").output


def test_on_a_connection_that_the_host_has_opened(seen, engine):
    seen(*PRESENCE)
    with engine.opened_by_host() as connection:
        agents = AgentRepository(connection).list_by_status("active")

    assert len(agents) == len(PRESENCE)


@pytest.mark.parametrize("stored", IN_UTC)
def test_it_is_brought_to_utc_alike_on_both_engines(app, stored):
    with app.app_context():
        session = get_host_repository().unit.session
        found = session.execute("SELECT lea_fleet_in_utc(:at)", {"at": stored})

        assert found.fetchone()[0] == clock.in_utc(stored) == (IN_UTC[stored] or stored)


@pytest.mark.parametrize(
    "stored",
    [
        "yesterday",
        "2026-03-02T07:59:59",
        "",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_no_timestamp_is_still_listed(run, seen, operator, stored):
    seen(stored)

    assert len(ask(operator, sort="last_seen_at")["active"]) == 1
    assert run("list").exit_code == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("stored", [b"\xff", 5])
def test_what_is_no_text_is_still_listed(seen, operator, stored):
    seen(stored)

    assert len(ask(operator, sort="last_seen_at")["active"]) == 1
