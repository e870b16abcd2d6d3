"""The state that the plugin keeps for each application, in ``app.extensions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import current_app

from ..core.heartbeat_interval import KnownInterval
from ..core.presence import PresenceRule
from ..core.problems import Problem
from ..storage.interface import Store
from .settings import Settings

KEY = "lea_fleet"


#: Returns the signed-in operator's name, or True; anything else means no operator.
OperatorLoader = Callable[[], "str | bool | None"]


class Counters(Protocol):
    """Count requests if metrics are on.

    A Protocol, since counters.py needs a library that not every host has.
    """

    def count_heartbeat(self, outcome: str) -> None: ...

    def count_problem(self, problem: Problem) -> None: ...

    def families(self, *, several_processes: bool) -> list[Any]: ...


@dataclass
class FleetState:
    """The state of one application, in ``app.extensions["lea_fleet"]``.

    *config* is the application's own. *url_prefix* is the path prefix of the routes,
    without a slash at its end. *counters* is None if metrics are off.
    """

    config: Mapping[str, Any] = field(repr=False)  # it has secrets
    settings: Settings
    url_prefix: str
    store: Store
    rule: PresenceRule
    operator_loader: OperatorLoader = lambda: None
    interval: KnownInterval = field(default_factory=KnownInterval)
    counters: Counters | None = None


def current_state() -> FleetState:
    """Return the current application's state.

    Raises RuntimeError if the plugin is not registered on it.
    """
    # Not through the proxy, which costs a heartbeat 2 µs at each attribute.
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state = app.extensions.get(KEY)
    if not isinstance(state, FleetState):
        raise RuntimeError(
            "lea_fleet is not registered on this application: call LeaFleet(app)."
        )
    return state


def count_problem(problem: Problem) -> None:
    """Count a request that is answered with *problem*, if metrics are on."""
    counters = current_state().counters
    if counters is not None:
        counters.count_problem(problem)
