"""Prometheus counters of heartbeats, refusals and database errors, per process.

Needs prometheus-client: imported only if metrics are on. With
``PROMETHEUS_MULTIPROC_DIR`` each process counts in a file of its own in that folder,
which stays when the process ends; without it, in memory.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import Counter, values
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from ..core.problems import DatabaseProblem, Problem
from .settings import ConfigurationError

logger = logging.getLogger("lea_fleet")

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# One set for each process, as its files are: two applications in it share them. They
# are in no registry, so that no other metrics page shows them. Each has a label, so
# that no file is made before something is counted: a server may fork after loading.
_heartbeats = Counter(
    "lea_fleet_heartbeats",
    "Heartbeats that were answered: written, or fresh, with nothing to write.",
    ["outcome"],
    registry=None,
)
_refusals = Counter(
    "lea_fleet_refusals",
    "Requests that were refused, by the code of the answer.",
    ["code"],
    registry=None,
)
_database_errors = Counter(
    "lea_fleet_database_errors",
    "Requests that were answered 503, since the database was busy or unavailable.",
    ["code"],
    registry=None,
)


def codes(family: type[Problem]) -> list[str]:
    """Return the error codes of *family* and of all its subclasses."""
    own = [family.code] if hasattr(family, "code") else []
    return own + [code for child in family.__subclasses__() for code in codes(child)]


_DATABASE_CODES = codes(DatabaseProblem)
_REFUSAL_CODES = [code for code in codes(Problem) if code not in _DATABASE_CODES]

#: The label of each counter, and its possible values.
_LABELS = {
    _heartbeats: ("outcome", ["written", "fresh"]),
    _refusals: ("code", _REFUSAL_CODES),
    _database_errors: ("code", _DATABASE_CODES),
}


class ProcessCounters:
    """Count requests, and sum up what all processes of a server have counted.

    If the folder for several processes is not writable, nothing is counted, and a
    scrape logs a warning. This is no error, since commands need no access to the
    server's folder. Raises ConfigurationError if the folder was set too late.
    """

    def __init__(self) -> None:
        self._warned = False
        folder = os.environ.get(_FOLDER)
        self._folder = None if folder is None else Path(folder)
        self._is_usable = folder is None or _is_writable(folder)
        if folder is None:
            return
        if not values.ValueClass._multiprocess:
            raise ConfigurationError(
                f"{_FOLDER} must be set before Python starts: prometheus_client was"
                " imported without it and counts in memory."
            )

    def count_heartbeat(self, outcome: str) -> None:
        """Count an answered heartbeat; *outcome* is ``written`` or ``fresh``."""
        self._count(_heartbeats, outcome)

    def count_problem(self, problem: Problem) -> None:
        """Count a request that was answered with *problem*."""
        is_database = isinstance(problem, DatabaseProblem)
        self._count(_database_errors if is_database else _refusals, problem.code)

    def is_alone(self, *, several_processes: bool) -> bool:
        """Return whether no other process of the server knows what this one counts.

        With *several_processes* and no folder, refusals and database errors are added
        up in the database; heartbeats, which are many, are not.
        """
        return self._folder is None and several_processes

    def families(self) -> list[Metric]:
        """Return the counts since the server started, as metrics.

        Empty if the folder is not usable.
        """
        if not self._is_usable:
            self._warn(
                f"{_FOLDER} is {self._folder}, which was not a folder that this process"
                " may write to when it started: the metrics leave out heartbeats,"
                " refusals and database errors."
            )
            return []
        try:
            return self._collected()
        except Exception as error:  # such as another program's file in the folder
            self._warn(f"The counters in {self._folder} cannot be read: {error!r}")
            return []

    def saved_families(self, totals: Mapping[str, int]) -> list[Metric]:
        """Return the counts that all processes have saved, as metrics."""
        self._warn(
            f"{_FOLDER} is not set, and this server has several processes: the"
            " metrics leave out heartbeats."
        )
        saved = [counter for counter in _LABELS if counter is not _heartbeats]
        return [_family(counter, totals) for counter in saved]

    def _collected(self) -> list[Metric]:
        if self._folder is None:
            found = [metric for counter in _LABELS for metric in counter.collect()]
        else:
            # An empty file is about to be filled, and has no counts yet.
            files = [f for f in self._folder.glob("counter_*.db") if f.stat().st_size]
            found = list(MultiProcessCollector.merge(map(str, files)))
        named = {metric.name: metric for metric in found}
        return [_family(counter, _totals(counter, named)) for counter in _LABELS]

    def _warn(self, message: str) -> None:
        if not self._warned:  # once, not at each scrape
            logger.warning(message)
        self._warned = True

    def _count(self, counter: Counter, label: str) -> None:
        if not self._is_usable:
            return
        try:
            counter.labels(label).inc()
        except Exception:  # its folder is gone: answer the caller all the same
            logger.exception("A request could not be counted")


def _is_writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _totals(counter: Counter, found: dict[str, Metric]) -> dict[str, float]:
    """Return the totals of *counter* by label, without samples of other kinds."""
    (own,) = counter.describe()
    label, _ = _LABELS[counter]
    if own.name not in found:  # nothing has been counted yet
        return {}
    return {
        sample.labels[label]: sample.value
        for sample in found[own.name].samples
        if sample.name.endswith("_total")
    }


def _family(counter: Counter, totals: Mapping[str, float]) -> Metric:
    """Return *totals* as a metric; it begins at zero, so that an increase shows."""
    (own,) = counter.describe()
    label, possible = _LABELS[counter]
    family = CounterMetricFamily(own.name, own.documentation, labels=[label])
    for value in possible:
        family.add_metric([value], totals.get(value, 0))
    return family
