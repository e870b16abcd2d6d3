"""Principals: the caller and role that a valid credential resolves to."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..core.rows import AgentToken

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
