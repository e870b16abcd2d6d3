"""Wait until the events of a fleet are shown to those who follow them."""

from __future__ import annotations

import time

from lea_fleet.app.database import get_host_repository
from lea_fleet.storage.events import Events


def await_followers(app):
    """Wait until every event is shown to followers.

    PostgreSQL shows none while an older transaction of any database is open, as those
    of other tests are.
    """
    query = "SELECT coalesce(max(id), 0) FROM lea_fleet_events"
    with app.app_context():
        unit = get_host_repository().unit
        while True:
            (newest,) = unit.session.execute(query, {}).fetchone()
            shown = Events(unit).end().rpartition("-")[2] or 0
            if int(shown) == newest:
                return
            time.sleep(0.05)
