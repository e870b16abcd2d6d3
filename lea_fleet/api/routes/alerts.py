"""The route for the alerts, and for whether they are delivered."""

from __future__ import annotations

from flask import Response

from ...alerts.channel import Channel
from ...alerts.delivery import waiting
from ...alerts.run import destinations
from ...app.database import get_unit
from ...app.state import current_state
from ...auth.guard import admits
from ...core.limits import MOST_WAITING
from ...core.rows import Destination
from ...storage.alerts import Alerts
from ...storage.unit_of_work import UnitOfWork
from ..blueprint import blueprint
from ..payloads.queries import events_query
from ..requests import parameters
from ..responses import json_response

_SHOWN = ("looked_at", "delivered_at", "failing_since", "fault")


@blueprint.get("/alerts")
@admits("operator", "viewer")
def alerts() -> Response:
    """List the alerts of the last 24 hours, newest first, and who is told of them."""
    query = events_query(parameters())
    state = current_state()
    unit = get_unit(state)
    page, older = Alerts(unit).page(limit=query.limit, before=query.before)
    told = destinations(unit, state.settings)
    return json_response(
        {
            "alerts": page,
            "next_cursor": None if older is None else str(older),
            "destinations": [_destination(unit, each, row) for each, row in told],
        }
    )


def _destination(
    unit: UnitOfWork, channel: Channel, row: Destination | None
) -> dict[str, object]:
    """Return what operators are shown of a destination: nothing of its address."""
    if row is None:  # it is told what happens from its first run on
        return {
            "destination": channel.place,
            **dict.fromkeys(_SHOWN),
            "waiting": 0,
        }
    known: dict[str, object] = {**row}
    return {
        "destination": channel.place,
        **{name: known[name] for name in _SHOWN},
        "waiting": waiting(unit, channel, row, most=MOST_WAITING),
    }
