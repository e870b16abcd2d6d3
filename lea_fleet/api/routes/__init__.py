"""The routes: importing them registers them on the blueprint."""

from .. import errors
from ..blueprint import blueprint
from . import enrollment, enrollment_tokens, fleet, machines, metrics, openapi_document

__all__ = ["MODULES", "blueprint"]

MODULES = (enrollment, enrollment_tokens, fleet, machines, metrics, openapi_document)
MODULES += (errors,)
