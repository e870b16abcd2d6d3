"""What needs an operator, counted by why."""

from __future__ import annotations

import pytest

from tests.api.test_openapi import assert_documented
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.followers import await_followers
from tests.support.receiver import receiving, status


@pytest.fixture
def counted(operator):
    def ask():
        response = operator.get("/attention")
        assert_documented(response, "GET", "/attention")
        counts = response.json
        assert counts.pop("stale_after") == 14 * 86400
        return {name: count for name, count in counts.items() if count}

    return ask


def test_nothing_needs_anybody_in_a_calm_fleet(operator, counted):
    operator.enroll("PC-1")

    assert counted() == {}


def test_a_stale_machine_is_counted_unless_it_is_muted(operator, counted, the_clock):
    operator.enroll("PC-1")
    the_clock.advance(days=15)
    assert counted() == {"stale": 1}

    operator.post("/machines/PC-1/mute", {"for": "1d"})
    assert counted() == {}


def test_a_refused_machine_is_counted_until_it_is_released(operator, counted):
    installer = operator.installer()
    installer.enroll("PC-1")
    assert installer.post("/enroll", {"machine_id": "PC-1"}).status_code == 409
    assert counted() == {"refused": 1}

    operator.post("/machines/PC-1/release")
    assert counted() == {"releases": 1}

    installer.enroll("PC-1")
    assert counted() == {}


def test_a_refused_machine_is_not_counted_while_it_is_blocked(operator, counted):
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    installer.post("/enroll", {"machine_id": "pc-1"})
    assert counted() == {"refused": 1}

    operator.post("/machines/PC-1/block")
    assert counted() == {}

    operator.request("DELETE", "/machines/PC-1/block")
    assert counted() == {"refused": 1}


def test_a_suspected_clone_is_counted(operator, counted):
    agent = operator.enroll("PC-1", hostname="PARIS-1")
    for name in ("PARIS-2", "PARIS-1", "PARIS-2"):
        agent.heartbeat(hostname=name)

    assert counted() == {"suspected_clones": 1}


def test_a_machine_that_another_one_has_replaced_is_counted(
    operator, counted, the_clock
):
    operator.enroll("PC-1", hostname="PARIS-1.example.com").heartbeat()
    the_clock.advance(days=3)
    operator.enroll("PC-2", hostname="PARIS-1.example.com").heartbeat()

    assert counted() == {"duplicates": 1}


@pytest.mark.parametrize("details", [{"expires": "47h"}, {"max_uses": 10}])
def test_a_token_that_is_about_to_end_is_counted_once(
    operator, counted, the_clock, details
):
    wanted = {"label": "Paris", "expires": "30d", "max_uses": 100, **details}
    installer = operator.installer(**wanted)
    for n in range(9 if "max_uses" in details else 0):
        installer.enroll(f"PC-{n}")
    the_clock.advance(hours=40)

    assert counted() == {"enrollment_tokens": 1}


def test_an_imported_machine_that_is_awaited_is_no_open_release(operator, engine):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    operator.post("/machines/PC-1/release")
    engine.execute(
        "INSERT INTO lea_fleet_releases (machine_id, enrolled_at, released_until)"
        " SELECT machine_id, enrolled_at, '9999-12-31T23:59:59+00:00'"
        " FROM enrolled_agents WHERE machine_id = 'PC-2'"
    )

    def names(released):
        listed = operator.get(f"/fleet?released={released}").json["active"]
        return [machine["machine_id"] for machine in listed]

    assert operator.get("/attention").json["releases"] == 1
    assert (names("true"), names("false")) == (["PC-1"], ["PC-2"])


def test_messages_that_nobody_delivers_are_counted(make_app, operator, the_clock):
    operator.enroll("PC-1")
    with receiving() as receiver:
        app = make_app(**receiver.settings)

        def notified():
            await_followers(app)
            app.test_cli_runner().invoke(args=["fleet", "notify"])
            asked = Api(app.test_client(), OPERATOR_TOKEN).get("/attention")
            return asked.json["messages"]

        assert notified() == 0
        operator.enroll("PC-2")
        receiver.answers = [status(500)]
        assert notified() == 1
        the_clock.advance(hours=1)
        assert notified() == 0

        operator.enroll("PC-3")
        waits = Api(app.test_client(), OPERATOR_TOKEN)
        assert waits.get("/attention").json["messages"] == 0
        the_clock.advance(hours=1, seconds=1)
        await_followers(app)
        assert waits.get("/attention").json["messages"] == 1
