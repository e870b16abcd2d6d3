"""Route for the metrics in Prometheus format."""

from __future__ import annotations

from flask import Response, request

from ...app.state import current_state
from ...auth.guard import acting_repository, admits
from ...storage.measures import measure
from ...storage.refusals import RefusalCounts
from ..blueprint import blueprint
from ..requests import prefers_openmetrics
from ..responses import text_response


@blueprint.get("/metrics", where="metrics")
@admits("operator", "viewer", "monitor")
def metrics() -> Response:
    """Return metrics for Prometheus."""
    from ...app.metrics import expose, fleet_families, wal_families  # optional

    unit, state = acting_repository().unit, current_state()
    counters = state.counters
    assert counters is not None  # this route exists only with metrics on
    measured = measure(unit, state.settings.reported_tags)
    families = fleet_families(measured) + wal_families(state.store.wal_size())
    if counters.is_alone(several_processes=bool(request.is_multiprocess)):
        families += counters.saved_families(RefusalCounts(unit).totals())
    else:
        families += counters.families()
    response = text_response(*expose(families, openmetrics=prefers_openmetrics()))
    response.vary.add("Accept")
    return response
