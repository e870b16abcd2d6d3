"""Erasures and prunes that rewrite the same events at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lea_fleet.app.database import get_repository
from lea_fleet.core import clock
from lea_fleet.core.privacy.addresses import person
from lea_fleet.storage.erasure import Erasure
from lea_fleet.storage.events import Events
from lea_fleet.storage.pruned_events import PrunedEvents
from tests.support.fleets import fill

pytestmark = pytest.mark.postgresql

LONG_AGO = "2025-01-02T03:04:05.000000+00:00"


@pytest.fixture
def kept(engine):
    """Make events of a machine that has left; return what is stored of them.

    The one that is not deleted has the address of a machine, and names two people.
    """
    fill(engine, [{"machine_id": "PC-1", "status": "uninstalled"}])
    actor = '{"role": "agent", "address": "10.0.0.7"}'
    detail = '{"reason": "zoe@example.com follows paul@example.com"}'
    with engine.connected() as connection:
        dates = "enrolled_at = ?, uninstalled_at = ?"
        connection.execute(f"UPDATE enrolled_agents SET {dates}", [LONG_AGO] * 2)
        for event in ("released", "uninstalled"):
            connection.execute(
                "INSERT INTO lea_fleet_events (machine_id, event, at, actor, detail)"
                " VALUES ('PC-1', ?, ?, ?, ?)",
                [event, LONG_AGO, actor, detail if event == "uninstalled" else "{}"],
            )

    def read():
        stored = (
            "SELECT actor, detail FROM lea_fleet_events WHERE event = 'uninstalled'"
        )
        with engine.connected() as connection:
            return connection.execute(stored).fetchone()

    return read


def prune(app):
    with app.app_context():
        pruned = PrunedEvents(get_repository().unit)
        assert pruned.prune(clock.before(clock.now(), 86400)) == 1


def erase(app):
    who = person("zoe@example.com")
    with app.app_context():
        erasure = Erasure(get_repository().unit)
        erasure.erase(["PC-1"], lambda named: erasure.of_person(who, named))


@pytest.mark.parametrize("first, then", [(prune, erase), (erase, prune)])
def test_neither_brings_back_what_the_other_one_removes(
    make_app, engine, kept, monkeypatch, first, then
):
    """The later one begins right before the first one writes what it has read."""
    rewrite, later = Events.rewrite, []

    def rewrite_while_the_other_waits(events, rows):
        if not later:
            later.append(pool.submit(then, make_app()))
            engine.wait_until_it_blocks(events._unit.session)
        rewrite(events, rows)

    monkeypatch.setattr(Events, "rewrite", rewrite_while_the_other_waits)
    with ThreadPoolExecutor() as pool:
        first(make_app())
        later[0].result(60)

    assert kept() == ('{"role": "agent"}', '{"reason": null}')
