"""Counts what a request comes to, on applications where metrics are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import ConfigurationError, Settings
from ..core.problems import Problem
from .state import FleetState, current_state

if TYPE_CHECKING:
    from .counters import ProcessCounters


def make_counters(settings: Settings) -> ProcessCounters | None:
    """Return what counts, where *settings* switch metrics on; else None.

    Raises ConfigurationError where that takes what is not there.
    """
    if not settings.metrics:
        return None
    try:
        from .counters import ProcessCounters
    except ModuleNotFoundError:
        raise ConfigurationError(
            "LEA_FLEET_METRICS takes prometheus-client:"
            " pip install 'lea-fleet[metrics]'"
        ) from None
    return ProcessCounters()


def count_heartbeat(state: FleetState, outcome: str) -> None:
    """Count a heartbeat that is answered: ``written``, or ``fresh``."""
    if state.counters is not None:
        state.counters.count_heartbeat(outcome)


def count_problem(problem: Problem) -> None:
    """Count a request that is answered with *problem*."""
    counters = current_state().counters
    if counters is not None:
        counters.count_problem(problem)
