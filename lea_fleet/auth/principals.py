"""Principals: the caller and role that a valid credential resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, cast

from ..core.machine import PERSONAL, personal_in
from ..core.rows import Agent, AgentToken

Role = Literal["operator", "installer", "agent", "departed", "monitor"]


class Principal(NamedTuple):
    """The caller that a valid credential resolves to.

    *role* is ``operator``, ``installer``, ``agent``, ``monitor`` (may only read the
    metrics), or ``departed``: an agent whose machine has been uninstalled, with the
    token that was valid until then. It may only repeat its uninstall.

    *machine_id* is the agent's own. *enrollment_token* is the id of an installer's
    token. *user* is the name of a signed-in operator, if the host tells it. *agent* is
    an agent's token and machine, as read when the token was resolved.
    """

    role: Role
    machine_id: str | None = None
    enrollment_token: int | None = None
    user: str | None = None
    agent: AgentToken | None = None

    def __repr__(self) -> str:
        """Show the caller, without the machine's user."""
        shown = ("role", "machine_id", "enrollment_token", "user")
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"Principal({fields})"

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"

    @property
    def credential(self) -> str:
        """A text that is unique to this caller's credential, without the secret."""
        if self.role == "installer":
            return f"enrollment_token:{self.enrollment_token}"
        return self.role if self.user is None else f"{self.role}:{self.user}"


def visible_to(
    principal: Principal, agent: Agent, *, with_reason: bool = False
) -> Agent:
    """Return *agent* as *principal* may see it: whole, if it is an operator.

    An agent sees of the personal columns only what it or its installer has said in the
    machine's current enrollment, and the reason of an uninstall only *with_reason*: a
    machine passes from one person to another, and an operator may have stored the rest.
    The values are those that were read with the token: *agent* may be a later state.
    """
    if principal.is_operator:
        return agent
    token: Mapping[str, Any] | None = principal.agent
    said = {}
    if token is not None and token["enrolled_at"] == agent["enrolled_at"]:
        said = {name: token[name] for name in personal_in(token["said"])}
    reason = agent["uninstall_reason"] if with_reason else None
    unsaid = dict.fromkeys(PERSONAL)
    return cast(Agent, {**agent, **unsaid, **said, "uninstall_reason": reason})
