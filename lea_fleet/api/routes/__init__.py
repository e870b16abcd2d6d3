"""The routes of the API; importing this package registers them on the blueprint."""

from .. import errors as problems
from ..blueprint import blueprint
from . import (
    enrollment,
    enrollment_tokens,
    fleet,
    machines,
    metrics,
)
from . import openapi_document as openapi

__all__ = [
    "blueprint",
    "enrollment",
    "enrollment_tokens",
    "fleet",
    "machines",
    "metrics",
    "openapi",
    "problems",
]
