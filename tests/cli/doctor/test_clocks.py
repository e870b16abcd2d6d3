"""What the doctor says of timestamps in the future."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.core import clock
from tests.cli.doctor.calling import call, only, troubles


@pytest.mark.parametrize(
    ("statement", "duration", "told"),
    [
        (
            "UPDATE enrolled_agents SET last_seen_at = '{}'",
            {"days": 3, "hours": 1},
            "1 of enrolled_agents.last_seen_at in the future, by 3 days",
        ),
        (
            "UPDATE enrolled_agents SET enrolled_at = '{}'",
            {"hours": 5, "minutes": 1},
            "1 of enrolled_agents.enrolled_at in the future, by 5 hours",
        ),
        (
            "UPDATE lea_fleet_events SET at = '{}'",
            {"minutes": 7, "seconds": 30},
            "1 of lea_fleet_events.at in the future, by 7 minutes",
        ),
    ],
    ids=["last_seen_at", "enrolled_at", "events"],
)
def test_an_instant_in_the_future(app, alter, statement, duration, told):
    alter(statement.format(clock.iso(clock.now() + timedelta(**duration))))

    found = call(app)["clock"]

    assert (found["level"], found["detail"]) == ("warning", told)


def test_clocks_differ_by_a_little_and_that_is_no_future(app, alter):
    soon = clock.iso(clock.now() + timedelta(seconds=50))
    alter(f"UPDATE enrolled_agents SET last_seen_at = '{soon}'")

    assert troubles(call(app)) == {}


def test_what_is_no_instant_is_shown_as_it_is(app, alter):
    alter("UPDATE enrolled_agents SET last_seen_at = 'soon'")

    assert "in the future (soon)" in only(call(app), "clock", "warning")["detail"]
