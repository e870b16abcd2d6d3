"""The values that a machine gave up are bounded, and so is the work of a change."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_repository
from lea_fleet.core import clock
from lea_fleet.core.machine import IDENTITY
from lea_fleet.storage.heartbeats import Heartbeats

NAMES = sorted(IDENTITY)


@pytest.fixture
def repository(app, operator, the_clock):
    operator.enroll("PC-1", **dict.fromkeys(NAMES, "first"))
    with app.app_context():
        yield get_repository()


@pytest.fixture
def change(repository, engine, the_clock):
    """Report a new value of every name; return how much work that is."""

    def report(number):
        the_clock.advance(seconds=1)
        new = dict.fromkeys(NAMES, f"v{number}")
        with repository.transaction(about="PC-1"):
            machine = repository.require("PC-1")
            with engine.measured(repository.connection) as work:
                Heartbeats(repository.unit).see(machine, new)
        return len(work)

    return report


def former(engine):
    """Return the former values of each name, the newest first."""
    rows = engine.execute(
        "SELECT name, value FROM lea_fleet_identities ORDER BY left_at DESC"
    )
    return {name: [v for n, v in rows if n == name] for name in NAMES}


def leave(engine, count, at):
    """Leave former hostnames behind, as a version without a bound has done."""
    engine.execute(
        "WITH RECURSIVE old(n) AS"
        " (SELECT 1 UNION ALL SELECT n + 1 FROM old WHERE n < ?)"
        " INSERT INTO lea_fleet_identities"
        " SELECT 'PC-1', 'hostname', 'old' || n, 'then', ? FROM old",
        count,
        at,
    )


def test_the_newest_16_values_of_each_name_are_kept(engine, change):
    for number in range(50):
        change(number)

    newest = [f"v{number}" for number in range(48, 32, -1)]
    assert len(newest) == 16
    assert former(engine) == dict.fromkeys(NAMES, newest)


def test_a_value_that_is_older_than_a_day_goes_with_any_change(
    engine, change, the_clock
):
    change(1)
    the_clock.advance(days=1)
    change(2)

    assert former(engine) == dict.fromkeys(NAMES, ["v1"])


def test_a_change_is_as_much_work_after_a_hundred_others(change):
    for number in range(30):
        few = change(number)
    for number in range(30, 130):
        many = change(number)

    assert many < 1.2 * few


def test_what_was_left_without_a_bound_goes_bit_by_bit(engine, change, the_clock):
    leave(engine, 3_000, the_clock.iso())
    works = [change(number) for number in range(1, 41)]

    assert works[0] < 1.2 * works[8]  # with 3,000 rows, and with some thousand
    newest = [f"v{number}" for number in range(39, 23, -1)]
    assert former(engine) == dict.fromkeys(NAMES, newest)


def test_what_is_dated_later_does_not_take_the_place_of_what_is_newer(
    engine, change, the_clock
):
    leave(engine, 20, clock.after(the_clock.time, 3600))
    change(1)
    change(2)

    assert former(engine) == dict.fromkeys(NAMES, ["v1", "first"])
