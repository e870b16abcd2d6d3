"""The whole fleet."""

from __future__ import annotations

from flask import Response

from .. import payloads
from ..auth import acting_repository
from ..listing import fleet_listing
from .requests import parameters
from .responses import file_response
from .routing import blueprint


@blueprint.get("/fleet")
def fleet() -> Response:
    """List the machines, or the one that ``?machine_id=`` names."""
    machine_id = payloads.fleet_query(parameters())
    return file_response(fleet_listing(acting_repository(), machine_id))
