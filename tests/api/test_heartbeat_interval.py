"""Heartbeat intervals: they follow the fleet's size, and no change turns it offline."""

from __future__ import annotations


import pytest

from lea_fleet.core import heartbeat_interval as pace
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem


@pytest.fixture
def worker(make_app):
    """Make a worker for which four machines send a heartbeat every two minutes each."""

    def make(**settings):
        settings = {"LEA_FLEET_HEARTBEAT_RATE": 1 / 30, **settings}
        return Api(make_app(**settings).test_client(), OPERATOR_TOKEN)

    return make


@pytest.fixture
def operator(worker, the_clock):
    return worker()


def enroll(operator, *numbers):
    return [operator.enroll(f"PC-{number}") for number in numbers]


def told(agent):
    return agent.heartbeat().json["heartbeat_interval"]


def presence(operator):
    totals = operator.get("/fleet").json["totals"]
    return {name: totals[name] for name in ("online", "offline")}


@pytest.mark.parametrize(
    ("machines", "seconds"), [(0, 60), (12_000, 60), (12_001, 75), (100_000, 568)]
)
def test_the_whole_fleet_stays_under_the_rate(machines, seconds):
    interval = pace.interval_for(machines, shortest=60, rate=200)

    assert interval == seconds
    assert machines / interval <= 200


def test_an_interval_grows_from_any_start_and_ends_at_a_day():
    assert pace.interval_for(10, shortest=1, rate=1) >= 10
    assert pace.interval_for(10**9, shortest=60, rate=0.01) <= 1.25 * 86400
    assert pace.interval_for(10**9, shortest=5 * 86400, rate=0.01) == 5 * 86400


@pytest.mark.parametrize("seconds", [1, 60, 573])
def test_no_two_machines_keep_in_step(seconds):
    spread = {pace.spread(seconds) for _ in range(1000)}

    assert len(spread) > 1
    assert min(spread) >= seconds
    assert max(spread) <= pace.longest(seconds)


def test_each_answer_names_another_interval(operator):
    (agent,) = enroll(operator, 1)

    assert len({told(agent) for _ in range(100)}) > 1


def test_a_larger_fleet_is_told_to_beat_less_often(operator, the_clock):
    first, *_ = enroll(operator, 1, 2, 3, 4, 5)
    assert told(first) <= 66  # counted at the first enrollment

    the_clock.advance(seconds=60)

    assert told(first) >= 5 * 30


def test_every_worker_tells_the_same(operator, worker, the_clock):
    first, *_ = enroll(operator, 1, 2, 3, 4, 5)
    the_clock.advance(seconds=60)
    first.heartbeat()

    beat = worker().post("/heartbeat", {"machine_id": "PC-2"})

    assert beat.json["heartbeat_interval"] >= 5 * 30


def test_who_has_left_is_not_counted(operator, the_clock):
    first, *others = enroll(operator, 1, 2, 3, 4, 5)
    for other in others:
        other.post("/uninstall")
    the_clock.advance(seconds=60)

    assert told(first) <= 66


def test_a_growing_fleet_does_not_turn_offline(operator, worker, the_clock):
    """Both those that were told the shorter interval and the others are online."""
    elsewhere = worker()
    shorter, *longer = enroll(operator, 1, 2, 3, 4, 5)
    assert told(shorter) <= 66
    the_clock.advance(seconds=60)
    assert min(told(agent) for agent in longer) >= 150
    the_clock.advance(seconds=3 * 150)

    for reader in (operator, elsewhere):
        assert presence(reader) == {"online": 5, "offline": 0}
    the_clock.advance(seconds=3 * 75)
    for reader in (operator, elsewhere):
        assert presence(reader) == {"online": 0, "offline": 5}


def test_a_shrinking_fleet_does_not_turn_offline(operator, the_clock):
    """A machine that was told the longer interval does not know the shorter one yet."""
    agents = enroll(operator, 1, 2, 3, 4, 5)
    the_clock.advance(seconds=60)
    waits = [told(agent) for agent in agents]
    assert min(waits) >= 150
    for agent in agents[2:]:
        agent.post("/uninstall")
    the_clock.advance(seconds=60)
    assert told(agents[0]) <= 66

    the_clock.advance(seconds=3 * 150 - 60)
    agents[0].heartbeat()

    assert presence(operator) == {"online": 2, "offline": 0}
    the_clock.advance(hours=1)
    agents[0].heartbeat()
    the_clock.advance(seconds=198)
    assert presence(operator) == {"online": 1, "offline": 1}
    the_clock.advance(seconds=1)
    assert presence(operator) == {"online": 0, "offline": 2}


def test_a_longer_setting_holds_at_once(operator, worker):
    enroll(operator, 1)

    beat = worker(LEA_FLEET_HEARTBEAT_INTERVAL="5m").post(
        "/heartbeat", {"machine_id": "PC-1"}
    )

    assert 300 <= beat.json["heartbeat_interval"] <= 330


def test_a_clock_set_back_does_not_stop_the_counting(operator, the_clock):
    first, *_ = enroll(operator, 1, 2, 3, 4, 5)
    the_clock.advance(days=-1)

    assert told(first) >= 5 * 30


def test_a_fresh_beat_is_answered_while_another_process_writes(
    begun, worker, the_clock, engine
):
    operator = worker(LEA_FLEET_BUSY_TIMEOUT="0s", LEA_FLEET_HEARTBEAT_RESOLUTION="60s")
    (agent,) = enroll(operator, 1)
    agent.heartbeat()
    the_clock.advance(seconds=59)
    assert agent.heartbeat().status_code == 200

    with engine.being_written():
        assert told(agent) >= 60
        the_clock.advance(seconds=1)
        assert_problem(agent.heartbeat(), 503, "database_busy", "retry")


def test_what_no_machine_waits_for_any_longer_is_forgotten(operator, the_clock, engine):
    enroll(operator, 1, 2, 3, 4, 5)
    for _ in range(3):
        the_clock.advance(days=1)
        operator.post("/heartbeat", {"machine_id": "PC-1"})

    assert len(engine.execute("SELECT seconds FROM lea_fleet_intervals")) == 1
