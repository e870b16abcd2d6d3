"""What each process counts of its own, for whoever scrapes it.

Needs prometheus-client: imported only where metrics are on. With
``PROMETHEUS_MULTIPROC_DIR`` each process counts in a file of its own in that folder,
which stays when the process ends; without it, in memory.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from prometheus_client import Counter, values
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from ..core.problems import DatabaseProblem, Problem
from .settings import ConfigurationError

logger = logging.getLogger("lea_fleet")

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# Of the process, as its files are: two applications in it count together. In no
# registry, so that they show on no other page. Each has a label, so that no file is
# made before something is counted: a server that loads the application first forks.
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
    "Requests that were answered 503, since the database could not be asked.",
    ["code"],
    registry=None,
)


def codes(family: type[Problem]) -> list[str]:
    """Return the codes of all problems of a *family*."""
    own = [family.code] if hasattr(family, "code") else []
    return own + [code for child in family.__subclasses__() for code in codes(child)]


_DATABASE_CODES = codes(DatabaseProblem)
_REFUSAL_CODES = [code for code in codes(Problem) if code not in _DATABASE_CODES]

#: Each counter's one label, and what that may be.
_LABELS = {
    _heartbeats: ("outcome", ["written", "fresh"]),
    _refusals: ("code", _REFUSAL_CODES),
    _database_errors: ("code", _DATABASE_CODES),
}


class ProcessCounters:
    """Counts, and tells what was counted by all the processes of a server.

    Where the folder for several processes cannot be used, nothing is counted and a
    scrape says so: the folder may be the server's alone, and a command needs none.
    Raises ConfigurationError where it was named too late.
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
                f"{_FOLDER} has to be set before Python starts: prometheus_client was"
                " imported without it and counts in memory."
            )

    def count_heartbeat(self, outcome: str) -> None:
        """Count one that was answered: ``written``, or ``fresh``."""
        self._count(_heartbeats, outcome)

    def count_problem(self, problem: Problem) -> None:
        """Count a request that was answered with *problem*."""
        is_database = isinstance(problem, DatabaseProblem)
        self._count(_database_errors if is_database else _refusals, problem.code)

    def families(self, *, several_processes: bool) -> list[Metric]:
        """Return what was counted since the server started.

        Nothing where that is not known: where there are *several_processes* and no
        folder, each knows its own part alone, and numbers would go up and down.
        """
        if not self._is_usable:
            self._warn(
                f"{_FOLDER} is {self._folder}, which was no folder that this process"
                " may write to when it started: the metrics leave out heartbeats,"
                " refusals and database errors."
            )
            return []
        if self._folder is None and several_processes:
            self._warn(
                f"{_FOLDER} is not set, and this server has several processes: the"
                " metrics leave out heartbeats, refusals and database errors."
            )
            return []
        try:
            return self._collected()
        except Exception as error:  # such as another program's file in the folder
            self._warn(f"What was counted in {self._folder} cannot be read: {error!r}")
            return []

    def _collected(self) -> list[Metric]:
        for counter, (_, possible) in _LABELS.items():
            for value in possible:
                counter.labels(value)  # a zero, so that it can be seen to rise
        if self._folder is None:
            found = [metric for counter in _LABELS for metric in counter.collect()]
        else:
            # An empty one is about to be filled: it has nothing to tell yet.
            files = [f for f in self._folder.glob("counter_*.db") if f.stat().st_size]
            found = list(MultiProcessCollector.merge(map(str, files)))
        named = {metric.name: metric for metric in found}
        return [_family(counter, named) for counter in _LABELS]

    def _warn(self, message: str) -> None:
        if not self._warned:  # not with each scrape
            logger.warning(message)
        self._warned = True

    def _count(self, counter: Counter, label: str) -> None:
        if not self._is_usable:
            return
        try:
            counter.labels(label).inc()
        except Exception:  # its folder is gone: that is not the caller's fault
            logger.exception("A request could not be counted")


def _is_writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _family(counter: Counter, found: dict[str, Metric]) -> Metric:
    """Return the totals of *counter*, without what others leave beside them."""
    (own,) = counter.describe()
    label, _ = _LABELS[counter]
    family = CounterMetricFamily(own.name, own.documentation, labels=[label])
    for sample in found[own.name].samples:
        if sample.name.endswith("_total"):
            family.add_metric([sample.labels[label]], sample.value)
    return family
