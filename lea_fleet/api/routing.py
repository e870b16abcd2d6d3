"""The blueprint that every route hangs on."""

from __future__ import annotations

from ..cli import register_commands
from .blueprint import FleetBlueprint

blueprint = FleetBlueprint("lea_fleet", __name__, cli_group="fleet")
register_commands(blueprint.cli)
