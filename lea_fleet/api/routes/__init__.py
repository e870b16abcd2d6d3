"""The routes: importing them registers them on the blueprint."""

from .. import errors
from ..blueprint import blueprint
from . import (
    duplicates,
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

__all__ = ["blueprint", "errors", "duplicates", "enrollment", "enrollment_tokens"]
__all__ += ["events", "fleet", "machines", "metrics", "openapi_document", "refusals"]
__all__ += ["states", "unmatched"]
