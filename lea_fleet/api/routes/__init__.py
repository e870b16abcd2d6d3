"""The routes: importing them registers them on the blueprint."""

from .. import errors
from ..blueprint import blueprint
from . import (
    enrollment,
    enrollment_tokens,
    fleet,
    machines,
    metrics,
    openapi_document,
    unmatched,
)

__all__ = ["blueprint", "errors", "enrollment", "enrollment_tokens", "fleet"]
__all__ += ["machines", "metrics", "openapi_document", "unmatched"]
