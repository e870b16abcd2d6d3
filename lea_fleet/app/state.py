"""The state that the plugin keeps for each application, in ``app.extensions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from flask import current_app, has_request_context, request

from ..core.heartbeat_interval import KnownInterval
from ..core.presence import PresenceRule
from ..core.problems import Problem
from ..core.rows import OPERATOR_ROLES
from ..storage.interface import Store
from .refusals import Refusals
from .refused_machines import RefusedMachines
from .settings import Settings

KEY = "lea_fleet"


@dataclass(frozen=True)
class FleetUser:
    """A user who is signed in to the host, as an ``operator_loader`` may return one.

    *role* is one of OPERATOR_ROLES, or None for a user who may not work with the fleet.
    Raises ValueError for another role, and for a *name* that is not a text or is empty.
    """

    name: str
    role: Literal["viewer", "operator", "admin"] | None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                "The name of a FleetUser must be a text that is not empty."
            )
        if self.role not in (*OPERATOR_ROLES, None):
            roles = ", ".join(map(repr, OPERATOR_ROLES))
            raise ValueError(f"The role of a FleetUser must be {roles} or None.")


#: Returns who is signed in: a FleetUser, an admin's name, or True for an admin without
#: a name; anything else means nobody.
OperatorLoader = Callable[[], "FleetUser | str | bool | None"]


class Counters(Protocol):
    """Count requests if metrics are on.

    A Protocol, since counters.py needs a library that not every host has.
    """

    def count_heartbeat(self, outcome: str) -> None: ...

    def count_problem(self, problem: Problem) -> None: ...

    def is_alone(self, *, several_processes: bool) -> bool: ...

    def families(self) -> list[Any]: ...

    def saved_families(self, totals: Mapping[str, int]) -> list[Any]: ...


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
    refusals: Refusals
    refused_machines: RefusedMachines
    operator_loader: OperatorLoader = lambda: None
    interval: KnownInterval = field(default_factory=KnownInterval)
    counters: Counters | None = None
    has_looked_for_csrf: bool = False


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
    """Count and log a request that is answered with *problem*."""
    state = current_state()
    is_request = has_request_context()  # a host may ask without one
    address = request.remote_addr if is_request else None
    is_alone = False
    if state.counters is not None:
        state.counters.count_problem(problem)
        several = is_request and bool(request.is_multiprocess)
        is_alone = state.counters.is_alone(several_processes=several)
    state.refusals.note(problem, address, save=is_alone)
