"""Alerts: kept for a day, at most 10,000, in the order of their commits."""

from __future__ import annotations

from threading import Thread

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.core import limits
from lea_fleet.storage.alerts import Alerts


@pytest.fixture
def repository(app):
    with app.app_context():
        yield get_host_repository()


@pytest.fixture
def alerts(repository):
    return Alerts(repository.unit)


@pytest.fixture
def add(repository, alerts):
    def add(number=1):
        with repository.transaction():
            for _ in range(number):
                alerts.add("machine.silent", "PC-1", last_seen_at="2026-03-02")

    return add


def ids(alerts):
    return [each["id"] for each in alerts.after(0, limit=100_000)]


def dropped(repository):
    events, _ = repository.events.page(None, limit=10)
    return [each["detail"] for each in events if each["event"] == "alerts_dropped"]


def deliver_nothing_more(repository, alerts, looked_at):
    with repository.transaction():
        repository.unit.session.execute(
            "INSERT INTO lea_fleet_destinations"
            " (destination, position, alert_id, looked_at)"
            " VALUES ('mail', '', :alert_id, :looked_at)",
            {"alert_id": alerts.end(), "looked_at": looked_at},
        )


def test_alerts_are_read_in_their_order_after_the_last_one(alerts, add):
    add(3)

    first, second, third = alerts.after(0, limit=3)

    assert first["detail"] == {"last_seen_at": "2026-03-02"}
    assert alerts.after(first["id"], limit=1) == [second]
    assert alerts.end() == third["id"]


def test_those_of_a_day_ago_are_dropped_with_the_next_one(alerts, add, the_clock):
    add(2)
    the_clock.advance(hours=24, minutes=59)
    add()
    assert len(ids(alerts)) == 3
    the_clock.advance(minutes=2)

    add()

    assert len(ids(alerts)) == 2


def test_there_are_never_more_than_10_000(alerts, add, monkeypatch):
    assert limits.MOST_ALERTS == 10_000
    monkeypatch.setattr("lea_fleet.storage.alerts.MOST_ALERTS", 20)
    most = 0
    for _ in range(50):
        add()
        most = max(most, len(ids(alerts)))

    assert most == 20


def test_what_nobody_was_told_is_one_event(repository, alerts, add, the_clock):
    add()
    deliver_nothing_more(repository, alerts, repository.unit.timestamp)
    add(3)
    the_clock.advance(hours=26)

    add()
    add()

    assert dropped(repository) == [{"alerts": 3}]


def test_it_is_no_event_where_nothing_is_delivered_any_more(
    repository, alerts, add, the_clock
):
    deliver_nothing_more(repository, alerts, repository.unit.timestamp)
    add(3)
    the_clock.advance(days=8)

    add()

    assert dropped(repository) == []
    assert len(ids(alerts)) == 1


def test_ids_are_in_the_order_of_commits(app):
    """A follower that has seen an id never misses a lower one."""
    seen, missed = 0, []

    def write():
        with app.app_context():
            repository = get_host_repository()
            for _ in range(50):
                with repository.transaction():
                    Alerts(repository.unit).add("machine.silent", "PC-1")

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    with app.app_context():
        alerts = Alerts(get_host_repository().unit)
        known = set()
        while any(thread.is_alive() for thread in threads):
            for each in ids(alerts):
                if each not in known and each < seen:
                    missed.append(each)
                known.add(each)
            seen = max(known, default=0)
    for thread in threads:
        thread.join()
    assert missed == []
