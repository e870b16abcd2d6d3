"""Replace a machine by the one that has come in its place."""

from __future__ import annotations

from ..core.limits import LONGEST_REASON
from ..core.problems import InvalidField, MachineOnline
from ..core.rows import Agent
from .repository import AgentRepository


def replace(
    repository: AgentRepository, former: str, heir: str, *, force: bool = False
) -> tuple[Agent, Agent]:
    """Uninstall the machine *former*, which *heir* has replaced; return both.

    The history of each names the other. A machine that is already uninstalled stays as
    it is. Raises UnknownAgent, InvalidField if both are one machine, MachineUninstalled
    if *heir* is, and MachineOnline if *former* is online, unless *force*.
    """
    with repository.transaction(about=(former, heir)):
        old, new = repository.require(former), repository.agents.require_active(heir)
        if old["machine_id"] == new["machine_id"]:
            fault = {"field": "by", "message": "must be another machine"}
            raise InvalidField([fault])
        if old["status"] != "active":
            return old, new
        if old["presence"] == "online" and not force:
            raise MachineOnline(old)
        reason = f"replaced by {new['machine_id']}"[:LONGEST_REASON]
        gone = repository.uninstall(old["machine_id"], reason)
        pairs = ((gone, new, "by"), (new, gone, "of"))
        for about, other, because in pairs:
            repository.events.add(
                "replaced",
                about["machine_id"],
                other=other["machine_id"],
                because=because,
            )
        return gone, new
