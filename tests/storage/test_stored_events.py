"""How events are stored: as JSON in UTF-8, which takes the least space."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_repository
from tests.support.traces import BOB, ZOE


def stored(engine):
    """Return actor and detail of each event, as they are in the database."""
    rows = engine.execute("SELECT actor, detail FROM lea_fleet_events ORDER BY id")
    return [tuple(text.encode() for text in row) for row in rows]


@pytest.mark.parametrize("letter", ["a", "é", "語", "\U0001f98a"])
def test_a_text_takes_as_much_space_as_in_utf_8(operator, engine, letter):
    agent = operator.enroll("PC-1")
    agent.heartbeat(hostname=letter * 255)

    _, (_, detail) = stored(engine)
    assert len(detail) < 100 + len((letter * 255).encode())
    changed, _ = operator.get("/machines/PC-1/events").json["events"]
    assert changed["detail"]["after"] == {"hostname": letter * 255}


def test_what_an_erasure_rewrites_is_utf_8_too(run, operator, engine):
    agent = operator.enroll("PC-1", **BOB)
    agent.heartbeat(**ZOE)
    assert run("erase", "--user", BOB["user_email"], "--yes").exit_code == 0

    _, (_, detail), _ = stored(engine)
    assert ZOE["user_name"].encode() in detail
    assert BOB["user_name"].encode() not in detail


def test_half_a_surrogate_pair_in_an_account_is_kept_as_an_escape(app, engine):
    actor = {"role": "cli", "os_user": "am\udce9lie"}
    with app.app_context():
        repository = get_repository(actor)
        repository.enroll("PC-1")
        (event,), _ = repository.events.page("PC-1", limit=1)

    assert event["actor"] == actor
    ((stored_actor, _),) = stored(engine)
    assert rb"am\udce9lie" in stored_actor
