"""Following events on PostgreSQL, where ids are given before the commit."""

from __future__ import annotations

import time

import pytest

from lea_fleet.app.database import get_host_repository
from tests.support.postgresql import new_database

pytestmark = pytest.mark.postgresql


@pytest.fixture
def host(make_app):
    """Return the application context of another process each time."""
    return lambda: make_app().app_context()


def seen(repository, position, number):
    """Return the machines of *number* events after *position*, or of fewer too late.

    A transaction in another database of the server, another test's, delays them.
    """
    deadline = time.monotonic() + 30
    while True:
        events, _ = repository.events.after(position, limit=9)
        if len(events) >= number or time.monotonic() > deadline:
            return [event["machine_id"] for event in events]
        time.sleep(0.01)


def test_an_event_waits_for_an_earlier_one_that_is_not_committed_yet(host):
    with host():
        slow = get_host_repository()
        with slow.transaction():
            slow.enroll("SLOW")
            with host():
                fast = get_host_repository()
                fast.enroll("FAST")
                assert fast.events.after("", limit=9) == ([], "")
                assert fast.events.end() == ""

        assert seen(slow, "", 2) == ["SLOW", "FAST"]


def test_events_follow_the_number_of_their_transaction_and_not_its_text(host, engine):
    machines = ["PC-8", "PC-9", "PC-10", "PC-11"]
    with host():
        repository = get_host_repository()
        for machine in machines:
            repository.enroll(machine)
    number = "CAST(substr(machine_id, 4) AS xid8)"
    engine.execute(f"UPDATE lea_fleet_events SET xid = {number}")

    with host():
        events, position, found = get_host_repository().events, "", []
        for _ in machines:
            step, position = events.after(position, limit=1)
            found += [event["machine_id"] for event in step]
        together, _ = events.after("", limit=9)

        assert found == [event["machine_id"] for event in together] == machines
        assert events.end() == position


def test_a_restored_dump_hides_no_event_from_its_followers(host, engine):
    with host():
        repository = get_host_repository()
        for machine in ("PC-1", "PC-2"):
            repository.enroll(machine)
    # As on a server that has run many more transactions.
    engine.execute(
        "UPDATE lea_fleet_events"
        " SET xid = CAST(CAST(9000000000 + id AS text) AS xid8)"
    )
    ((first,),) = engine.execute("SELECT min(id) FROM lea_fleet_events")

    with host():
        repository = get_host_repository()
        repository.enroll("PC-3")

        assert seen(repository, "", 3) == ["PC-1", "PC-2", "PC-3"]
        position = f"{9000000000 + first}-{first}"
        assert seen(repository, position, 2) == ["PC-2", "PC-3"]


@pytest.fixture
def url(postgresql_server):
    with new_database(postgresql_server) as url:
        yield url


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_a_write_is_read_committed_whatever_an_administrator_has_set(
    make_app, postgresql_admin, url, level
):
    postgresql_admin.execute(
        f"ALTER DATABASE {url.rpartition('/')[2]}"
        f" SET default_transaction_isolation = '{level}'"
    )
    with make_app(LEA_FLEET_DATABASE_URL=url).app_context():
        repository = get_host_repository()
        with repository.transaction():
            (now,) = repository.unit.session.execute(
                "SELECT current_setting('transaction_isolation')"
            ).fetchone()

    assert now == "read committed"


def test_without_patience_a_statement_still_has_a_minute(begun, make_app):
    app = make_app(LEA_FLEET_BUSY_TIMEOUT="0s")
    with app.app_context():
        session = get_host_repository().unit.session
        limits = [
            session.execute(f"SELECT current_setting('{name}')").fetchone()[0]
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]

    assert limits == ["1min", "1min"]
