"""A fleet whose alerts are judged, and what was told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lea_fleet.app.database import get_host_repository
from lea_fleet.app.state import current_state
from lea_fleet.alerts.judge import judge
from lea_fleet.alerts.run import notify
from lea_fleet.storage.alerts import Alerts
from lea_fleet.storage.destinations import Destinations
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.followers import await_followers


class Fleet:
    """Machines that send heartbeats, or do not, while the clock is moved on."""

    def __init__(self, app, clock):
        self.app, self.clock = app, clock
        self.operator = Api(app.test_client(), OPERATOR_TOKEN)
        self._agents = {}

    def enroll(self, *names):
        installer = self.operator.installer(max_uses=1_000_000)
        for name in names:
            self._agents[name] = installer.enroll(name)

    def beat(self, *names, every=60, **duration):
        """Let these machines send heartbeats for as long as that, then judge."""
        end = self.clock.time + timedelta(**duration)
        while self.clock.time < end:
            for name in names:
                assert self._agents[name].heartbeat().status_code == 200
            self.judge()
            self.clock.advance(seconds=every)
        self.judge()

    def judge(self):
        with self.app.app_context():
            unit = get_host_repository().unit
            judge(unit, current_state().settings)

    def notify(self):
        """Notify; return how much was delivered, and how many attempts failed."""
        await_followers(self.app)
        with self.app.app_context():
            unit = get_host_repository().unit
            outcomes = [*notify(unit, current_state().settings)]
        failed = [each for each in outcomes if each.fault and not each.is_waiting]
        return sum(each.delivered for each in outcomes), len(failed)

    def faults(self):
        """Return what is stored of failed deliveries."""
        with self.app.app_context():
            found = Destinations(get_host_repository().unit).all()
        return [each["fault"] for each in found if each["fault"]]

    def told(self):
        """Return the alerts, each with its machine."""
        with self.app.app_context():
            alerts = Alerts(get_host_repository().unit).after(0, limit=100_000)
        return [(each["alert"], each["machine_id"]) for each in alerts]


@pytest.fixture
def make_fleet(make_app, the_clock):
    def make(**settings):
        return Fleet(make_app(**settings), the_clock)

    return make


@pytest.fixture
def fleet(make_fleet):
    """Machines are told to be silent after an hour."""
    return make_fleet(LEA_FLEET_ALERT_AFTER="1h")
