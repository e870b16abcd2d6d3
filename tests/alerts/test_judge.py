"""Who is told to be silent and to be back, and who never."""

from __future__ import annotations

import pytest


def test_a_machine_is_told_once_when_it_falls_silent_and_once_when_it_is_back(fleet):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    fleet.beat("PC-1", minutes=59)
    assert fleet.told() == []

    fleet.beat("PC-1", minutes=30)
    assert fleet.told() == [("machine.silent", "PC-2")]

    fleet.beat("PC-1", "PC-2", minutes=30)
    assert fleet.told() == [("machine.silent", "PC-2"), ("machine.returned", "PC-2")]


def test_it_is_off_unless_it_is_set(make_fleet):
    fleet = make_fleet()
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", hours=5, every=300)

    assert fleet.told() == []


def test_a_stop_of_the_server_is_no_silence(fleet, the_clock):
    fleet.enroll("PC-1", "PC-2", "PC-3")
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=10)
    the_clock.advance(hours=2)
    fleet.judge()

    # They come back one by one, within an interval.
    fleet.beat("PC-1", seconds=30, every=30)
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=30)

    assert fleet.told() == []


def test_who_does_not_come_back_after_a_stop_is_silent_from_then_on(fleet, the_clock):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    the_clock.advance(hours=2)
    fleet.beat("PC-1", minutes=60)
    assert fleet.told() == []

    fleet.beat("PC-1", minutes=10)

    assert fleet.told() == [("machine.silent", "PC-2")]


def test_a_machine_that_was_silent_before_a_stop_is_not_excused_by_it(fleet, the_clock):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    fleet.beat("PC-1", minutes=30)
    the_clock.advance(hours=2)

    fleet.beat("PC-1", minutes=5)

    assert fleet.told() == [("machine.silent", "PC-2")]


def test_a_fleet_that_is_off_every_night_does_not_hide_a_silent_machine(
    make_fleet, the_clock
):
    fleet = make_fleet(LEA_FLEET_ALERT_AFTER="3d")
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", hours=1, every=300)
    for _ in range(4):
        the_clock.advance(hours=14)
        fleet.beat("PC-1", hours=10, every=120)

    assert fleet.told() == [("machine.silent", "PC-2")]


def test_nobody_is_told_while_nobody_is_heard(fleet, the_clock):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    for _ in range(10):
        the_clock.advance(minutes=30)
        fleet.judge()

    assert fleet.told() == []


def test_a_machine_that_leaves_is_neither_silent_nor_back(fleet):
    fleet.enroll("PC-1", "PC-2", "PC-3")
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=10)
    fleet.operator.uninstall("PC-2")
    fleet.beat("PC-1", hours=2)
    assert fleet.told() == [("machine.silent", "PC-3")]

    fleet.operator.uninstall("PC-3")
    fleet.beat("PC-1", minutes=5)

    assert fleet.told() == [("machine.silent", "PC-3")]


def test_a_blocked_machine_is_neither_silent_nor_back(fleet):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    answer = fleet.operator.post("/machines/PC-2/block", {"reason": "stolen"})
    assert answer.status_code == 200, answer.text

    fleet.beat("PC-1", hours=2, every=120)

    assert fleet.told() == []


def test_an_imported_machine_that_has_not_come_yet_is_not_silent(fleet, tmp_path):
    file = tmp_path / "machines.csv"
    file.write_text("machine_id\nPC-9\n")
    fleet.enroll("PC-1")
    runner = fleet.app.test_cli_runner()
    assert runner.invoke(args=["fleet", "import", str(file)]).exit_code == 0

    fleet.beat("PC-1", hours=3)

    assert fleet.told() == []


def test_machines_that_are_told_a_longer_interval_are_silent_later(make_fleet):
    fleet = make_fleet(LEA_FLEET_ALERT_AFTER="10m", LEA_FLEET_HEARTBEAT_INTERVAL="10m")
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=20)
    fleet.beat("PC-1", minutes=50)
    assert fleet.told() == []

    fleet.beat("PC-1", minutes=30)

    assert fleet.told() == [("machine.silent", "PC-2")]


# The fleet as a whole


def many(number):
    return [f"PC-{each}" for each in range(number)]


def test_a_share_of_the_fleet_that_falls_silent_at_once_is_told(make_fleet, the_clock):
    fleet = make_fleet(LEA_FLEET_ALERT_SHARE="0.3")
    fleet.enroll(*many(10))
    fleet.beat(*many(10), minutes=30)
    the_clock.advance(days=7, minutes=-30)
    fleet.beat(*many(10), minutes=20)

    fleet.beat(*many(7), minutes=10)
    assert fleet.told() == []
    fleet.beat(*many(6), minutes=10)
    fleet.beat(*many(6), minutes=10)
    assert fleet.told() == [("fleet.silent", None)]

    fleet.beat(*many(8), minutes=5)
    assert fleet.told() == [("fleet.silent", None)]
    fleet.beat(*many(9), minutes=5)
    assert fleet.told() == [("fleet.silent", None), ("fleet.returned", None)]


def test_what_is_usual_at_that_hour_is_not_told(make_fleet, the_clock):
    """On two mornings most machines are off."""
    fleet = make_fleet(LEA_FLEET_ALERT_SHARE="0.3")
    fleet.enroll(*many(10))
    for _ in range(2):
        fleet.beat(*many(3), minutes=50, every=120)
        the_clock.advance(days=7, minutes=-50)

    assert fleet.told() == []


@pytest.mark.parametrize("week", [2, 3])
def test_people_who_leave_some_minutes_earlier_are_not_told(
    make_fleet, the_clock, week
):
    fleet = make_fleet(LEA_FLEET_ALERT_SHARE="0.3")
    fleet.enroll(*many(10))
    for _ in range(week - 1):  # they leave in the hour after
        fleet.beat(*many(10), minutes=66, every=120)
        fleet.beat(*many(3), minutes=20, every=120)
        the_clock.advance(days=7, minutes=-86)

    fleet.beat(*many(10), minutes=46, every=120)
    fleet.beat(*many(3), minutes=30, every=120)

    assert fleet.told() == []


# Enrollment tokens


def test_a_token_that_ends_soon_is_told_once(make_fleet, the_clock):
    fleet = make_fleet()
    fleet.enroll("PC-1")
    runner = fleet.app.test_cli_runner()
    words = ["fleet", "token", "create", "--label", "Lyon", "--expires", "10d"]
    assert runner.invoke(args=words).exit_code == 0
    fleet.judge()
    assert fleet.told() == []
    the_clock.advance(days=8, minutes=1)

    for _ in range(2):
        fleet.judge()

    assert fleet.told() == [("enrollment_token.expiring", None)]


def test_a_token_that_is_nearly_used_up_is_told_once(make_fleet):
    fleet = make_fleet()
    installer = fleet.operator.installer(max_uses=10)
    for number in range(8):
        installer.enroll(f"PC-{number}")
    fleet.judge()
    assert fleet.told() == []

    installer.enroll("PC-8")
    for _ in range(2):
        fleet.judge()

    assert fleet.told() == [("enrollment_token.used_up", None)]


def test_a_muted_machine_is_told_neither_to_be_silent_nor_to_be_back(fleet):
    fleet.enroll("PC-1", "PC-2", "PC-3")
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=10)
    fleet.operator.post("/machines/PC-2/mute", {"for": "3h"})
    fleet.beat("PC-1", minutes=90)
    assert fleet.told() == [("machine.silent", "PC-3")]

    fleet.operator.post("/machines/PC-3/mute", {"for": "3h"})
    fleet.beat("PC-1", "PC-2", "PC-3", minutes=30)

    assert fleet.told() == [("machine.silent", "PC-3")]


def test_a_machine_that_is_silent_when_its_mute_ends_is_told_then(fleet):
    fleet.enroll("PC-1", "PC-2")
    fleet.beat("PC-1", "PC-2", minutes=10)
    fleet.operator.post("/machines/PC-2/mute", {"for": "3h"})
    fleet.beat("PC-1", minutes=175)
    assert fleet.told() == []

    fleet.beat("PC-1", minutes=10)

    assert fleet.told() == [("machine.silent", "PC-2")]
