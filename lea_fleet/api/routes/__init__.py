"""The routes: what comes in, which part of the fleet it is for, what goes out."""

from . import (
    enrollment,
    enrollment_tokens,
    fleet,
    machines,
    metrics,
    openapi_document as openapi,
)
from .. import errors as problems
from ..blueprint import blueprint

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
