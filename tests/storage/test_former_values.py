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
def change(repository, the_clock):
    """Report a new value of every name; return what SQLite had to do, in its steps."""

    def report(number):
        the_clock.advance(seconds=1)
        steps = []
        repository.connection.set_progress_handler(lambda: steps.append(1), 10)
        with repository.transaction(about="PC-1"):
            machine = repository.require("PC-1")
            Heartbeats(repository.unit).see(machine, dict.fromkeys(NAMES, f"v{number}"))
        repository.connection.set_progress_handler(None, 0)
        return len(steps)

    return report


def former(repository):
    """Return the former values of each name, the newest first."""
    rows = repository.connection.execute(
        "SELECT name, value FROM lea_fleet_identities ORDER BY left_at DESC"
    ).fetchall()
    return {name: [v for n, v in rows if n == name] for name in NAMES}


def leave(repository, count, at):
    """Leave former hostnames behind, as a version without a bound has done."""
    repository.connection.executemany(
        "INSERT INTO lea_fleet_identities VALUES ('PC-1', 'hostname', ?, 'then', ?)",
        [(f"old{number}", at) for number in range(count)],
    )


def test_the_newest_16_values_of_each_name_are_kept(repository, change):
    for number in range(50):
        change(number)

    newest = [f"v{number}" for number in range(48, 32, -1)]
    assert len(newest) == 16
    assert former(repository) == dict.fromkeys(NAMES, newest)


def test_a_value_that_is_older_than_a_day_goes_with_any_change(
    repository, change, the_clock
):
    change(1)
    the_clock.advance(days=1)
    change(2)

    assert former(repository) == dict.fromkeys(NAMES, ["v1"])


def test_a_change_is_as_much_work_after_a_hundred_others(repository, change):
    for number in range(30):
        few = change(number)
    for number in range(30, 130):
        many = change(number)

    assert many < 1.2 * few


def test_what_was_left_without_a_bound_goes_bit_by_bit(repository, change, the_clock):
    few = change(0)
    leave(repository, 3_000, the_clock.iso())
    works = [change(number) for number in range(1, 41)]

    assert max(works) < 60 * few  # 3,000 rows are more than a thousandfold
    newest = [f"v{number}" for number in range(39, 23, -1)]
    assert former(repository) == dict.fromkeys(NAMES, newest)


def test_what_is_dated_later_does_not_take_the_place_of_what_is_newer(
    repository, change, the_clock
):
    leave(repository, 20, clock.after(the_clock.time, 3600))
    change(1)
    change(2)

    assert former(repository) == dict.fromkeys(NAMES, ["v1", "first"])
