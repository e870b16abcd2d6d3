"""The routes: what comes in, which part of the fleet it is for, what goes out."""

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
