"""GET /fleet/summary: counts by presence, by version and by day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.core.listing import PRESENCES
from lea_fleet.storage.summary import Summary
from tests.support.api import assert_invalid, assert_problem
from tests.support.fleets import ask, fill


def summary(operator, **parameters):
    return ask(operator, "/fleet/summary", **parameters)


def happened(operator, **parameters):
    """Return the days that are not all zero, with their counts."""
    return {
        day["date"]: (day["enrollments"], day["uninstalls"])
        for day in summary(operator, **parameters)["by_day"]
        if day["enrollments"] or day["uninstalls"]
    }


def test_an_empty_fleet(operator, the_clock):
    answer = summary(operator, days=2)

    names = ("active", "uninstalled", "total", "online", "offline", "stale", "pending")
    assert answer == {
        "totals": dict.fromkeys(names, 0),
        "by_presence": dict.fromkeys(PRESENCES, 0),
        "suspected_clones": 0,
        "outdated": 0,
        "by_version": [],
        "by_day": [
            {"date": "2026-03-01", "enrollments": 0, "enrolments": 0, "uninstalls": 0},
            {"date": "2026-03-02", "enrollments": 0, "enrolments": 0, "uninstalls": 0},
        ],
    }


def test_its_totals_are_those_of_the_list(operator, the_clock):
    operator.enroll("PC-1")
    the_clock.advance(days=15)
    operator.enroll("PC-2")
    the_clock.advance(hours=1)
    for name in ("PC-3", "PC-4"):
        operator.enroll(name)
    operator.uninstall("PC-4")

    answer = summary(operator)

    assert answer["totals"] == ask(operator)["totals"]
    assert answer["by_presence"] == {
        "online": 1,
        "offline": 1,
        "stale": 1,
        "pending": 0,
        "uninstalled": 1,
    }


def test_active_machines_are_counted_by_version(operator, engine):
    """The most frequent first, and what is not known last of those that are as many."""
    versions = ["1.4.0", None, "1.3.1", "1.4.0", "2", "1.4.0"]
    rows = [{"machine_id": str(n), "version": v} for n, v in enumerate(versions)]
    gone = {"machine_id": "gone", "version": "0.9", "status": "uninstalled"}
    fill(engine, [*rows, gone])

    assert summary(operator)["by_version"] == [
        {"version": "1.4.0", "machines": 3},
        {"version": "2", "machines": 1},
        {"version": "1.3.1", "machines": 1},
        {"version": None, "machines": 1},
    ]


@pytest.mark.sqlite
def test_a_version_of_any_type_is_counted_as_its_text(operator, engine):
    versions = ["2", 2, b"2"]
    rows = [{"machine_id": str(n), "version": v} for n, v in enumerate(versions)]
    fill(engine, rows)

    assert summary(operator)["by_version"] == [{"version": "2", "machines": 3}]


@pytest.mark.parametrize(
    ("asked", "days"),
    [({}, 30), ({"days": ""}, 30), ({"days": 1}, 1), ({"days": 365}, 365)],
)
def test_every_day_is_there_and_today_is_the_last(operator, the_clock, asked, days):
    found = [day["date"] for day in summary(operator, **asked)["by_day"]]

    today = the_clock.now().date()
    assert found == [str(today - timedelta(days=n)) for n in range(days)][::-1]


def test_every_enrollment_and_uninstall_of_a_life_is_counted(operator, the_clock):
    operator.enroll("PC-1")  # 2 March
    operator.enroll("PC-2")
    the_clock.advance(days=1)
    operator.uninstall("PC-1")
    operator.uninstall("PC-1")  # changes nothing
    operator.enroll("PC-1")
    operator.uninstall("PC-1")
    the_clock.advance(days=1)
    operator.enroll("PC-2", force=True)
    operator.post("/heartbeat", {"machine_id": "PC-2"})

    assert happened(operator) == {
        "2026-03-02": (2, 0),
        "2026-03-03": (1, 2),
        "2026-03-04": (1, 0),
    }
    assert happened(operator, days=2) == {"2026-03-03": (1, 2), "2026-03-04": (1, 0)}
    the_clock.advance(days=30)
    assert happened(operator) == {}


def test_a_day_is_one_of_utc_from_its_first_to_its_last_instant(
    operator, engine, the_clock
):
    moments = [
        "2026-02-28T23:59:59.999999+00:00",
        "2026-03-01T00:00:00+00:00",
        "2026-03-01T23:59:59.999999+00:00",
        "2026-03-02T00:00:00+00:00",
        "2026-03-03T00:00:00+00:00",  # in the future, since the clock was set back
    ]
    fill(
        engine,
        [{"machine_id": moment, "enrolled_at": moment} for moment in moments],
    )

    assert happened(operator, days=2) == {"2026-03-01": (2, 0), "2026-03-02": (1, 0)}


def test_what_an_older_server_did_is_counted_as_far_as_the_row_tells(
    operator, engine, the_clock
):
    gone = {
        "machine_id": "older",
        "status": "uninstalled",
        "enrolled_at": "2026-02-20T08:00:00+00:00",
        "uninstalled_at": "2026-02-27T08:00:00+00:00",
    }
    fill(engine, [gone])
    assert happened(operator) == {"2026-02-20": (1, 0), "2026-02-27": (0, 1)}

    operator.enroll("older")  # the row has this uninstall now, and so has the event
    assert happened(operator) == {"2026-03-02": (1, 0)}


def test_what_an_older_server_does_after_us_is_counted_too(operator, engine, the_clock):
    operator.enroll("PC-1")
    the_clock.advance(days=2)
    engine.execute(
        "UPDATE enrolled_agents SET status = 'uninstalled',"
        " uninstalled_at = '2026-03-03T08:00:00+00:00'"
    )

    assert happened(operator) == {"2026-03-02": (1, 0), "2026-03-03": (0, 1)}


def test_all_of_it_is_of_one_moment(operator, elsewhere, monkeypatch):
    operator.enroll("PC-1", version="1")
    by_day = Summary._by_day

    def enroll_first(self, *days):
        elsewhere.enroll("PC-2", version="2")
        return by_day(self, *days)

    monkeypatch.setattr(Summary, "_by_day", enroll_first)
    answer = summary(operator, days=1)

    assert answer["totals"]["total"] == answer["by_day"][0]["enrolments"] == 1
    assert answer["by_version"] == [{"version": "1", "machines": 1}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("days=0", "days"),
        ("days=366", "days"),
        ("days=x", "days"),
        ("days=1&days=2", "days"),
        ("since=2026-01-01", "since"),
    ],
)
def test_what_cannot_be_is_a_400_that_names_it(operator, query, field):
    assert_invalid(operator.get("/fleet/summary", query_string=query), field)


def test_it_is_for_operators(operator):
    agent = operator.enroll("PC-1")

    assert_problem(agent.get("/fleet/summary"), 403, "insufficient_scope")


def test_it_answers_to_head_in_ascii_and_uncached(operator):
    operator.enroll("PC-1", version="é")

    response = operator.get("/fleet/summary")

    assert response.data.isascii()
    assert response.headers["Cache-Control"] == "no-store"
    assert operator.request("HEAD", "/fleet/summary").status_code == 200
