"""Fleet management for a Flask server whose agents are in the field."""

from .config import ConfigurationError
from .extension import LeaFleet
from .principal import Principal
from .problems import (
    AlreadyEnrolled,
    DatabaseBusy,
    DatabaseUnavailable,
    InvalidField,
    MachineUninstalled,
    Problem,
    ReactivationRefused,
    UnknownAgent,
)
from .repository import AgentRepository, Enrolment
from .standalone import create_app
from .views import blueprint

__all__ = [
    "AgentRepository",
    "AlreadyEnrolled",
    "ConfigurationError",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "Enrolment",
    "InvalidField",
    "LeaFleet",
    "MachineUninstalled",
    "Principal",
    "Problem",
    "ReactivationRefused",
    "UnknownAgent",
    "blueprint",
    "create_app",
]
