"""Principals: the caller and role that a valid credential resolves to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, cast

from ..core.machine import PERSONAL, personal_in
from ..core.privacy.hiding import hide
from ..core.rows import Agent, AgentToken
from ..core.views import OWNED_BY_USER, owner_of

Role = Literal[
    "admin", "operator", "viewer", "installer", "agent", "departed", "monitor"
]


class Principal(NamedTuple):
    """The caller that a valid credential resolves to.

    *role* is ``operator``, ``viewer`` (an operator who may only read), ``installer``,
    ``agent``, ``monitor`` (may only read the metrics), or ``departed``: an agent whose
    machine has been uninstalled, with the token that was valid until then. It may only
    repeat its uninstall. An operator with *is_admin* may do all that ``admin`` may.

    *machine_id* is the agent's own. *enrollment_token* is the id of an installer's
    token. *user* is the name of an operator, if it is known, and *operator* the id of
    an operator's own token. *agent* is an agent's token and machine, as read when the
    token was resolved. *hides_personal* is whether a viewer sees no personal data.
    """

    role: Role
    machine_id: str | None = None
    enrollment_token: int | None = None
    user: str | None = None
    agent: AgentToken | None = None
    operator: int | None = None
    is_admin: bool = False
    hides_personal: bool = False

    def __repr__(self) -> str:
        """Show the caller, without the machine's user."""
        shown = ("role", "machine_id", "enrollment_token", "user", "operator")
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"Principal({fields})"

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"

    @property
    def sees_fleet(self) -> bool:
        """Whether this caller may see every machine as it is: operators and viewers."""
        return self.role in ("operator", "viewer")

    def has_one_of(self, roles: Collection[str]) -> bool:
        """Tell whether this caller has one of the *roles*."""
        return self.role in roles or (self.is_admin and "admin" in roles)

    @property
    def credential(self) -> str:
        """A text that is unique to this caller's credential, without the secret."""
        if self.role == "installer":
            return f"enrollment_token:{self.enrollment_token}"
        if self.operator is not None:
            return f"{self.role}#{self.operator}"
        return self.role if self.user is None else f"{self.role}:{self.user}"

    @property
    def owner(self) -> str:
        """Whose the saved views of this caller are, whatever its role is now.

        Empty for the holder of RPA_API_TOKEN, as for commands.
        """
        if self.operator is not None:
            return owner_of(self.operator)
        return "" if self.user is None else f"{OWNED_BY_USER}{self.user}"


def operator_of(
    role: str,
    name: str | None,
    operator: int | None = None,
    *,
    hides_personal: bool = False,
) -> Principal:
    """Return the principal of an operator with a *role* of OPERATOR_ROLES."""
    return Principal(
        "viewer" if role == "viewer" else "operator",
        user=name,
        operator=operator,
        is_admin=role == "admin",
        hides_personal=hides_personal,
    )


def visible_to(
    principal: Principal, agent: Agent, *, with_reason: bool = False
) -> Agent:
    """Return *agent* as *principal* may see it: whole, if it sees the fleet.

    An agent sees of the personal columns only what it or its installer has said in the
    machine's current enrollment, and the reason of an uninstall only *with_reason*: a
    machine passes from one person to another, and an operator may have stored the rest.
    The values are those that were read with the token: *agent* may be a later state.
    """
    if principal.hides_personal:
        return cast(Agent, hide(agent))
    if principal.sees_fleet:
        return agent
    token: Mapping[str, Any] | None = principal.agent
    said = {}
    if token is not None and token["enrolled_at"] == agent["enrolled_at"]:
        said = {name: token[name] for name in personal_in(token["said"])}
    reason = agent["uninstall_reason"] if with_reason else None
    unsaid = dict.fromkeys(PERSONAL)
    return cast(Agent, {**agent, **unsaid, **said, "uninstall_reason": reason})
