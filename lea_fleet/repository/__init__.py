"""The fleet in the database: all SQL stands here and in the schema.

Knows no Flask. One module for each kind of row.
"""

from .agents import Agent, AgentRepository, Enrolment
from .tokens import TokenRepository

__all__ = ["Agent", "AgentRepository", "Enrolment", "TokenRepository"]
