"""Fleet management for a Flask server: enrollment, heartbeats and history of agents."""

from .api.routes import blueprint
from .app.host_extensions import include_name
from .app.repository import AgentRepository
from .app.settings import ConfigurationError
from .app.signals import (
    agent_clone_suspected,
    agent_edited,
    agent_enrolled,
    agent_identity_changed,
    agent_imported,
    agent_reactivated,
    agent_reenrolled,
    agent_released,
    agent_seen,
    agent_token_rotated,
    agent_uninstalled,
)
from .app.state import FleetUser
from .auth.host_routes import agent_required, current_agent, operator_required
from .auth.principals import Principal
from .core.listing import FleetFilter
from .core.problems import (
    AlreadyEnrolled,
    DatabaseBusy,
    DatabaseUnavailable,
    InvalidField,
    MachineBlocked,
    MachineUninstalled,
    Problem,
    ReactivationRefused,
    UnknownAgent,
)
from .core.rows import Enrollment
from .core.tokens import new_agent_token, new_enrollment_token
from .extension import LeaFleet, create_app
from .page import page_blueprint

#: The former spelling, kept for compatibility.
Enrolment = Enrollment

__all__ = [
    "AgentRepository",
    "AlreadyEnrolled",
    "ConfigurationError",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "Enrollment",
    "Enrolment",
    "FleetFilter",
    "FleetUser",
    "InvalidField",
    "LeaFleet",
    "MachineBlocked",
    "MachineUninstalled",
    "Principal",
    "Problem",
    "ReactivationRefused",
    "UnknownAgent",
    "agent_clone_suspected",
    "agent_edited",
    "agent_enrolled",
    "agent_identity_changed",
    "agent_imported",
    "agent_reactivated",
    "agent_reenrolled",
    "agent_released",
    "agent_required",
    "agent_seen",
    "agent_token_rotated",
    "agent_uninstalled",
    "blueprint",
    "create_app",
    "current_agent",
    "include_name",
    "new_agent_token",
    "new_enrollment_token",
    "operator_required",
    "page_blueprint",
]
