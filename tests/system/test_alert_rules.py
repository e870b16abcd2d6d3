"""The alert rules of the guide, over two weeks of an office.

Prometheus is not needed: what the rules say in PromQL is read as Python.
"""

from __future__ import annotations

import re

import pytest

from tests.support import docs

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 7 * 86400
UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
STEP = 5 * MINUTE
MACHINES = 12

RULE = r"- alert: (\w+)\n +expr: (?:>-\n)?(.+?)\n +for: (\w+)\n"
SERIES = r"(lea_fleet_\w+)(?:\{[^}]*\})?(?:\[(\w+)\])?(?: offset (\w+))?"


def rules():
    """Return each rule's expression and for how many seconds it has to be true."""
    text = docs.OPERATIONS.read_text("utf-8")
    return {
        name: (" ".join(expression.split()), seconds(lasting))
        for name, expression, lasting in re.findall(RULE, text, re.DOTALL)
    }


def seconds(duration):
    return int(duration[:-1]) * UNITS[duration[-1]]


class Office:
    """PCs that are switched on at work, from Monday to Friday, at about 8 to 18.

    *out* are the seconds, from one to another, in which no heartbeat arrives, and
    *always_on* PCs are never switched off.
    """

    def __init__(self, out=(0, 0), always_on=0, reached=0):
        self.out = out
        self.always_on = always_on
        self.reached = reached

    def online(self, now):
        # A machine is online for three intervals after its last heartbeat.
        return self._sending(now - 3 * MINUTE)

    def _sending(self, now):
        if self.out[0] <= now < self.out[1]:
            return self.reached
        return sum(self._is_on(machine, now) for machine in range(MACHINES))

    def _is_on(self, machine, now):
        if machine < self.always_on:
            return True
        day, time = divmod(now, DAY)
        # Up to 40 minutes earlier or later, each day and machine another time.
        shift = (day * 7 + machine * 11) % 17 * 5 - 40
        return day % 7 < 5 and 8 * HOUR < time - shift * MINUTE < 18 * HOUR


def firing(rule, office, days):
    """Return when *rule* fires in *days* of *office*, as (day, hour)."""
    expression, lasting = rules()[rule]
    python = re.sub(SERIES, lambda found: f"read{found.groups()!r}", expression)
    python = python.replace(" and on() ", " and ")
    online = {t: office.online(t) for t in range(-3 * DAY, 15 * DAY, STEP)}
    beats, counted = {}, 0
    for time in online:
        beats[time] = counted = counted + online[time]
    sources = {
        "lea_fleet_agents_by_presence": online,
        "lea_fleet_heartbeats_total": beats,
    }
    fired, since = [], None
    for now in range(days[0] * DAY, days[1] * DAY, STEP):

        def read(name, window, offset):
            end = now - seconds(offset or "0m")
            source = sources[name]
            if window is None:
                return source[end]
            return [source[t] for t in range(end - seconds(window), end + 1, STEP)]

        known = {
            "read": read,
            "max": lambda value: value,
            "sum": lambda value: value,
            "min_over_time": min,
            "rate": lambda values: values[-1] - values[0],
        }
        since = (now if since is None else since) if eval(python, known) else None
        if since is not None and now - since >= lasting:
            fired.append((now // DAY, now % DAY // HOUR))
    return fired


SILENCE = ["FleetOffline", "FleetSilent"]


@pytest.mark.parametrize("always_on", [0, 1, 5])
@pytest.mark.parametrize("rule", SILENCE)
def test_no_rule_fires_when_an_office_opens_or_closes(rule, always_on):
    assert firing(rule, Office(always_on=always_on), (7, 14)) == []


@pytest.mark.parametrize("rule", SILENCE)
def test_each_rule_fires_when_machines_cannot_reach_the_server(rule):
    out = Office(out=(WEEK + DAY + 11 * HOUR, WEEK + DAY + 14 * HOUR))

    fired = firing(rule, out, (7, 14))

    assert set(fired) == {(8, 11), (8, 12), (8, 13), (8, 14)}


def test_a_rule_fires_when_more_than_half_of_them_cannot():
    times = (WEEK + DAY + 11 * HOUR, WEEK + DAY + 12 * HOUR)

    assert set(firing("FleetOffline", Office(times, reached=5), (7, 14))) >= {(8, 11)}
    assert firing("FleetOffline", Office(times, reached=6), (7, 14)) == []
