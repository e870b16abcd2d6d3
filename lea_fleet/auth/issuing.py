"""What an enrolled machine is handed: a token of its own, or the one for all."""

from __future__ import annotations

from ..core import tokens
from ..storage import Agent, AgentRepository
from ..app.state import current_state


def issue_token(repository: AgentRepository, agent: Agent) -> str:
    """Return the token for an *agent* that has just been enrolled.

    As a part of the transaction that is open. Where the setting is ``shared`` it is
    the operator's, and nothing is kept of it.
    """
    settings = current_state().settings
    if settings.issue == "shared":
        return settings.api_token
    token = tokens.new_agent_token()
    repository.tokens.add(agent, tokens.hash_token(token))
    return token
