"""A program that follows the events sees each of them once."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_host_repository


@pytest.fixture
def repository(app):
    with app.app_context():
        yield get_host_repository()


@pytest.fixture
def enroll(repository, engine):
    def enroll(*machines):
        for machine in machines:
            repository.enroll(machine)
        engine.wait_for_others()

    return enroll


def machines(events):
    return [event["machine_id"] for event in events]


def test_each_event_is_seen_once_and_the_oldest_first(repository, enroll):
    enroll("PC-1", "PC-2", "PC-3")
    seen, position = [], ""
    while True:
        events, position = repository.events.after(position, limit=2)
        if not events:
            break
        seen += events

    assert machines(seen) == ["PC-1", "PC-2", "PC-3"]
    assert seen == repository.events.page(None, limit=9)[0][::-1]


def test_a_position_lasts_until_there_is_an_event(repository, enroll):
    enroll("PC-1")
    _, position = repository.events.after("", limit=9)
    assert repository.events.after(position, limit=9) == ([], position)

    enroll("PC-2")

    assert machines(repository.events.after(position, limit=9)[0]) == ["PC-2"]


@pytest.mark.parametrize("earlier", [[], ["PC-1", "PC-2"]])
def test_from_the_end_only_new_events_are_seen(repository, enroll, earlier):
    enroll(*earlier)
    position = repository.events.end()

    enroll("PC-9")

    assert machines(repository.events.after(position, limit=9)[0]) == ["PC-9"]


@pytest.mark.parametrize("wrong", ["1", "-", "a-1", "1-b", "1-2-3", " 1-2", "٣-1"])
def test_what_is_not_a_position_is_refused(repository, wrong):
    with pytest.raises(ValueError, match="not a position"):
        repository.events.after(wrong, limit=1)


def test_at_least_one_event_is_asked_for(repository):
    with pytest.raises(ValueError, match="limit"):
        repository.events.after("", limit=0)
