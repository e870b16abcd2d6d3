"""The routes: importing them registers them on the blueprint."""

from .. import errors
from ..blueprint import blueprint
from . import (
    enrollment,
    enrollment_tokens,
    events,
    fleet,
    machines,
    metrics,
    openapi_document,
    refusals,
    states,
    unmatched,
)

__all__ = ["blueprint", "errors", "enrollment", "enrollment_tokens", "events"]
__all__ += ["fleet", "machines", "metrics", "openapi_document", "states"]
__all__ += ["refusals", "unmatched"]
