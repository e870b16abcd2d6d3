"""The blueprint that every route hangs on, and the guard before them all."""

from __future__ import annotations

from ..auth import guard
from ..cli import register_commands
from ..registration import FleetBlueprint

blueprint = FleetBlueprint("lea_fleet", __name__, cli_group="fleet")
blueprint.before_request(guard)
register_commands(blueprint.cli)
