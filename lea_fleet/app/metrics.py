"""Metrics of the fleet, in the Prometheus and OpenMetrics formats.

Needs prometheus-client: imported only if metrics are on. No label names a person or a
single machine; the number of versions, which machines report, is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from ..core.listing import ACTIVE_PRESENCES
from ..core.text import printable
from ..storage.measures import Measures

OPENMETRICS = "application/openmetrics-text"

#: The label of all versions that are not among the most frequent ones.
OTHER = "other"


def fleet_families(measured: Measures) -> list[Metric]:
    """Return the metrics that are read from the database."""
    totals = measured.totals
    return [
        _gauge(
            "lea_fleet_agents",
            "Machines that were ever enrolled, by status.",
            "status",
            {name: totals[name] for name in ("active", "uninstalled")},
        ),
        _gauge(
            "lea_fleet_agents_by_presence",
            "Active machines, by presence.",
            "presence",
            {name: totals[name] for name in ACTIVE_PRESENCES},
        ),
        _gauge(
            "lea_fleet_agents_by_version",
            "Active machines, by the version that they run.",
            "version",
            _by_version(measured),
        ),
        *_by_tag(measured),
        _gauge(
            "lea_fleet_suspected_clones",
            "Active machines whose identity two computers seem to share.",
            None,
            {"": measured.suspected_clones},
        ),
        _gauge(
            "lea_fleet_blocks",
            "Machine ids that are blocked.",
            None,
            {"": measured.blocks},
        ),
        _gauge(
            "lea_fleet_muted",
            "Machines that are muted.",
            None,
            {"": measured.muted},
        ),
        _gauge(
            "lea_fleet_retiring",
            "Active machines that are to be retired.",
            None,
            {"": measured.retiring},
        ),
        _gauge(
            "lea_fleet_refused_machines",
            "Machines whose enrollment was refused, and that have not enrolled since.",
            "code",
            measured.refused,
        ),
        _gauge(
            "lea_fleet_duplicates",
            "Active machines that another one seems to have replaced.",
            None,
            {"": measured.duplicates},
        ),
        _gauge(
            "lea_fleet_enrollment_tokens",
            "Enrollment tokens, by state.",
            "state",
            measured.enrollment_tokens,
        ),
        *(
            _counter(
                name,
                "Enrollments in the history, by kind.",
                "kind",
                measured.enrollments,
            )
            # The second is the former spelling.
            for name in ("lea_fleet_enrollments", "lea_fleet_enrolments")
        ),
        _counter(
            "lea_fleet_uninstalls",
            "Uninstalls in the history.",
            None,
            {"": measured.uninstalls},
        ),
        InfoMetricFamily(
            "lea_fleet_build", "The version in use.", value={"version": _version()}
        ),
    ]


def wal_families(size: int | None) -> list[Metric]:
    """Return the metrics of the write-ahead log, if its *size* is known."""
    if size is None:
        return []
    help_text = "Bytes of the database's write-ahead log."
    return [_gauge("lea_fleet_wal_bytes", help_text, None, {"": size})]


def expose(families: Iterable[Metric], *, openmetrics: bool) -> tuple[bytes, str]:
    """Return *families* as text, and its media type.

    The media type is one of two fixed ones: nothing of the Accept field goes into it.
    """
    registry = CollectorRegistry()
    registry.register(_Families(families))
    encode, media_type = choose_encoder(OPENMETRICS if openmetrics else "")
    return encode(registry), media_type


class _Families:
    """Collector for a registry, of metrics that are already collected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _by_version(measured: Measures) -> Mapping[str, int]:
    """Return the number of machines by version; each name is unique and one line."""
    counted: Counter[str] = Counter()
    for name, machines in measured.versions:
        counted[printable(name)] += machines
    counted[OTHER] += measured.totals["active"] - counted.total()
    return counted


def _by_tag(measured: Measures) -> list[Metric]:
    """Return the metric of tags, if any are to be shown; their number is bounded."""
    if not measured.tags:
        return []
    family = GaugeMetricFamily(
        "lea_fleet_agents_by_tag",
        "Active machines, by key and value of a tag.",
        labels=["key", "value"],
    )
    for key, tagged in measured.tags.items():
        counted = Counter(tagged.values)
        counted[OTHER] += tagged.machines - counted.total()
        for value, machines in counted.items():
            family.add_metric([key, printable(value)], machines)
    return [family]


def _filled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    text: str,
    label: str | None,
    values: Mapping[str, int],
) -> Metric:
    family = kind(name, text, labels=[label] if label else [])
    for value, number in values.items():
        family.add_metric([value] if label else [], number)
    return family


_gauge = partial(_filled, GaugeMetricFamily)
_counter = partial(_filled, CounterMetricFamily)


@cache
def _version() -> str:
    try:
        return version("lea-fleet")
    except PackageNotFoundError:  # a copy that was never installed
        return "unknown"
