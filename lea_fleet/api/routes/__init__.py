"""The routes: importing them registers them on the blueprint."""

from .. import errors
from ..blueprint import blueprint
from . import (
    alerts,
    annotations,
    attention,
    duplicates,
    enrollment,
    enrollment_tokens,
    events,
    fleet,
    installer_kit,
    machines,
    metrics,
    openapi_document,
    operators,
    refusals,
    selections,
    states,
    unmatched,
    views,
)

__all__ = ["blueprint", "errors", "alerts", "annotations", "attention", "duplicates"]
__all__ += [
    "enrollment",
    "enrollment_tokens",
    "events",
    "fleet",
    "installer_kit",
    "machines",
    "metrics",
    "openapi_document",
    "operators",
    "refusals",
]
__all__ += ["selections", "states", "unmatched", "views"]
