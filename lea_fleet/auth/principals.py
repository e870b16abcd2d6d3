"""Principals: who a valid credential stands for."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..core.rows import AgentToken

Role = Literal["operator", "installer", "agent", "departed", "monitor"]


class Principal(NamedTuple):
    """The caller that a valid credential stands for.

    *role* is ``operator``, ``installer``, ``agent``, ``monitor``, which may read the
    metrics and nothing else, or ``departed``: an agent whose machine has been
    uninstalled, still holding the token of that enrolment. A departed agent may
    repeat its uninstall and nothing else.

    *machine_id* is the agent's own. *enrollment_token* is the id of the token
    that an installer holds. *user* is the person, where the host knows who is
    signed in. *agent* is what was found of an agent's machine when the
    credential was looked up: see :class:`AgentToken`.
    """

    role: Role
    machine_id: str | None = None
    enrollment_token: int | None = None
    user: str | None = None
    agent: AgentToken | None = None

    def __repr__(self) -> str:
        """Name the caller, without what is known of its user."""
        shown = ("role", "machine_id", "enrollment_token", "user")
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"Principal({told})"

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"

    @property
    def credential(self) -> str:
        """What tells this caller's credential from every other one."""
        if self.role == "installer":
            return f"enrollment_token:{self.enrollment_token}"
        return self.role if self.user is None else f"{self.role}:{self.user}"
