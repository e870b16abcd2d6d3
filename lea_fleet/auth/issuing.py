"""What an enrolled machine is handed: a token of its own, or the one for all."""

from __future__ import annotations

from ..core.rows import Agent
from ..core.tokens import new_agent_token
from ..app.repository import AgentRepository
from ..app.settings import Settings


def issue_token(
    repository: AgentRepository, settings: Settings, agent: Agent
) -> str:
    """Return the token for an *agent* that has just been enrolled.

    As a part of the transaction that is open. Where the setting is ``shared`` it is
    the operator's, and nothing is kept of it.
    """
    if settings.issue == "shared":
        return settings.api_token
    token = new_agent_token()
    repository.tokens.add(agent, token)
    return token
