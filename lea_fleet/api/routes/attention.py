"""The route for what needs an operator."""

from __future__ import annotations

from flask import Response

from ...alerts.delivery import waiting
from ...alerts.run import destinations
from ...app.database import get_unit
from ...app.settings import Settings
from ...app.state import current_state
from ...auth.guard import admits
from ...core import clock
from ...core.limits import MOST_WAITING, RUN_MISSED
from ...storage.attention import Attention
from ...storage.unit_of_work import UnitOfWork
from ..blueprint import blueprint
from ..responses import json_response


@blueprint.get("/attention")
@admits("operator", "viewer")
def attention() -> Response:
    """Count what needs an operator, by why."""
    state = current_state()
    unit = get_unit(state)
    return json_response(
        {
            **Attention(unit).counts(),
            "messages": _undelivered(unit, state.settings),
            "stale_after": state.settings.stale_after,
        }
    )


def _undelivered(unit: UnitOfWork, settings: Settings) -> int:
    """Return how many messages wait where the last delivery failed, or nobody runs."""
    missed = clock.before(unit.now, RUN_MISSED)
    return sum(
        waiting(unit, channel, row, most=MOST_WAITING)
        for channel, row in destinations(unit, settings)
        if row is not None and (row["failing_since"] or row["looked_at"] < missed)
    )
