"""The fleet in the database: all SQL stands here and in the schema.

Knows no Flask. One module for each kind of row.
"""

from .agents import AgentRepository, Enrolment
from .enrollment_tokens import EnrollmentToken
from .events import Event
from .imports import CHANGES, Outcome
from .reading import Agent
from .heartbeats import news

__all__ = [
    "CHANGES",
    "Agent",
    "AgentRepository",
    "EnrollmentToken",
    "Enrolment",
    "Event",
    "Outcome",
    "news",
]
