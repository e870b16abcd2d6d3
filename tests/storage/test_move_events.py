"""A program that follows the events goes on where it was, on the other side."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from lea_fleet.app.database import get_host_repository
from tests.support.moves import application, moved


@contextmanager
def repository_of(engine):
    with application(engine) as app, app.app_context():
        yield get_host_repository()


def enroll(engine, *machines):
    with repository_of(engine) as repository:
        for machine in machines:
            repository.enroll(machine)


def follow(engine, position, number):
    """Return the machines of the next *number* events, and where these end.

    PostgreSQL shows one only when no transaction is open that began before its commit,
    in any database of the server.
    """
    seen, deadline = [], time.monotonic() + 60
    with repository_of(engine) as repository:
        while len(seen) < number:
            events, position = repository.events.after(position, limit=1)
            seen += [event["machine_id"] for event in events]
            assert time.monotonic() < deadline, seen
    return seen, position


@pytest.mark.parametrize("read", [0, 1, 3, 5])
def test_no_event_is_missed_or_seen_twice(sides, read):
    here, there = sides
    before = [f"PC-{number}" for number in range(5)]
    after = ["PC-5", "PC-6"]
    enroll(here, *before)
    seen, position = follow(here, "", read)
    assert seen == before[:read]

    moved(here, there)
    enroll(there, after[0])
    more, position = follow(there, position, 6 - read)
    enroll(there, after[1])
    last, position = follow(there, position, 1)

    assert seen + more + last == before + after
    with repository_of(there) as repository:
        assert repository.events.after(position, limit=9) == ([], position)


def test_from_the_end_only_events_of_the_new_side_are_seen(sides):
    here, there = sides
    enroll(here, "PC-1", "PC-2")
    follow(here, "", 2)  # which are shown now
    with repository_of(here) as repository:
        position = repository.events.end()

    moved(here, there)
    enroll(there, "PC-3")

    assert follow(there, position, 1)[0] == ["PC-3"]


def test_also_where_the_newest_events_were_deleted(sides):
    here, there = sides
    enroll(here, "PC-1", "PC-2", "PC-3")
    _, position = follow(here, "", 3)
    here.execute("DELETE FROM lea_fleet_events")

    moved(here, there)
    enroll(there, "PC-4")

    assert follow(there, position, 1)[0] == ["PC-4"]
