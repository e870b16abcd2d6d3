"""What the plugin keeps for each application: nothing else has state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

from .settings import Settings
from ..storage.sqlite.connections import Connections
from ..core.heartbeat_interval import KnownInterval
from ..core.presence import PresenceRule

if TYPE_CHECKING:  # it takes a library that not every host has
    from .counters import ProcessCounters

KEY = "lea_fleet"


#: Says whether whoever is signed in to the host is an operator, and as whom.
OperatorLoader = Callable[[], "str | bool | None"]


@dataclass
class FleetState:
    """What ``app.extensions["lea_fleet"]`` holds.

    *url_prefix* is the path below which the routes stand, without a slash at its end.
    *counters* are there where metrics are on.
    """

    settings: Settings
    url_prefix: str
    connections: Connections
    rule: PresenceRule
    operator_loader: OperatorLoader = lambda: None
    interval: KnownInterval = field(default_factory=KnownInterval)
    counters: ProcessCounters | None = None


def current_state() -> FleetState:
    """Return the current application's state.

    Raises RuntimeError where the plugin is not registered on it.
    """
    state = current_app.extensions.get(KEY)
    if not isinstance(state, FleetState):
        raise RuntimeError(
            "lea_fleet is not registered on this application: call LeaFleet(app)."
        )
    return state
