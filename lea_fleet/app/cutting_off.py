"""Cut a machine off whose token may be known to others."""

from __future__ import annotations

from typing import NamedTuple

from ..core.rows import Agent
from ..storage.reuse import TokenReuse
from .repository import AgentRepository


class CutOff(NamedTuple):
    """*revoked* is how many tokens were; the machine may enroll until then."""

    agent: Agent
    revoked: int
    released_until: str


def cut_off(repository: AgentRepository, machine_id: str) -> CutOff:
    """End all tokens of an active machine, and let it be enrolled once.

    Nobody is handed a token: its setup gets one when it runs again. Raises
    MachineBlocked, UnknownAgent and MachineUninstalled.
    """
    with repository.transaction(about=machine_id):
        repository.states.blocks.refuse(machine_id)
        agent = repository.agents.require_active(machine_id)
        TokenReuse(repository.unit).mark(agent)
        revoked = repository.tokens.revoke_live(agent)
        if revoked:
            repository.events.add(
                "token_revoked", agent["machine_id"], because="cut_off"
            )
        until = repository.release(agent["machine_id"])
        return CutOff(agent, revoked, until)
