"""Refused machines in the database, and what is told of them."""

from __future__ import annotations

from collections import Counter

import pytest

from lea_fleet.core.refused import Refusal, look_of
from lea_fleet.storage.alerts import Alerts
from lea_fleet.core.limits import MOST_REFUSED
from lea_fleet.storage.refused import Refused
from lea_fleet.storage.refused_writing import RefusedWriting, Repeats


@pytest.fixture
def unit(app):
    """The unit of work of an application, in its context."""
    with app.app_context():
        from lea_fleet.app.database import get_host_repository

        yield get_host_repository().unit


@pytest.fixture
def refuse(unit, the_clock):
    """Write a refusal that was just now, as another process may."""

    def refuse(machine_id="PC-1", code="token_expired", token=3, times=1):
        at = the_clock.iso()
        look = look_of(machine_id)
        refusal = Refusal(token, look, code, machine_id, "A", "10.0.0.1", at)
        RefusedWriting(unit).write([Repeats(refusal, times)])

    return refuse


def told(unit):
    alerts = Alerts(unit).after(0, limit=1000)
    return [(each["alert"], each["machine_id"], each["detail"]) for each in alerts]


def test_a_machine_is_told_of_after_a_minute_and_then_ever_less(
    unit, refuse, the_clock
):
    begin, times = the_clock.time, []
    for _ in range(24 * 60 * 4):  # by several processes, four times a minute
        before = Alerts(unit).end()
        refuse()
        if Alerts(unit).end() > before:
            times.append((the_clock.time - begin).total_seconds() / 60)
        the_clock.advance(seconds=15)

    assert times == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


def test_one_that_comes_back_another_day_is_told_of_at_once(unit, refuse, the_clock):
    for _ in range(20):
        refuse()
        the_clock.advance(minutes=1)
    before = Alerts(unit).end()
    the_clock.advance(days=1)
    refuse()

    assert Alerts(unit).end() == before + 1


def test_an_enrollment_token_causes_as_many_alerts_a_day_as_machines_are_kept(
    unit, refuse, the_clock
):
    for token in (0, 3, 33):
        for number in range(MOST_REFUSED + 20):
            the_clock.advance(minutes=1)
            refuse(f"PC-{number}", token=token)
    refuse("STOLEN", code="machine_blocked")

    alerts = Alerts(unit).after(0, limit=1000)
    by_token = Counter(each["detail"]["enrollment_token"] for each in alerts)
    assert by_token == {None: MOST_REFUSED, 3: MOST_REFUSED + 1, 33: MOST_REFUSED}
    assert alerts[-1]["machine_id"] == "STOLEN"

    the_clock.advance(days=1)
    refuse("PC-NEXT")
    assert told(unit)[-1][1] == "PC-NEXT"


def test_each_machine_code_and_token_is_told_of(unit, refuse):
    refuse()
    refuse("PC-2")
    refuse(code="token_revoked")
    refuse(token=0)
    refuse("pc-2")

    assert [
        (machine_id, detail["code"], detail["enrollment_token"])
        for _, machine_id, detail in told(unit)
    ] == [
        ("PC-1", "token_expired", 3),
        ("PC-2", "token_expired", 3),
        ("PC-1", "token_revoked", 3),
        ("PC-1", "token_expired", None),
    ]


def test_a_refusal_that_came_late_changes_no_later_time(unit, refuse, the_clock):
    the_clock.advance(minutes=5)
    refuse()
    last = the_clock.iso()
    the_clock.advance(minutes=-1)
    refuse()

    (row,) = Refused(unit).of("PC-1")
    assert (row["refused"], row["first_at"], row["last_at"]) == (2, last, last)


def test_a_refusal_from_before_the_machine_enrolled_is_not_written(
    unit, refuse, operator, the_clock
):
    the_clock.advance(seconds=1)
    operator.enroll("PC-1")
    the_clock.advance(seconds=-1)
    refuse()

    assert Refused(unit).of("PC-1") == []
    assert told(unit) == []
