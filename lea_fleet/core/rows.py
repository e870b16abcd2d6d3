"""Rows as the statements on the fleet return them; timestamps are ISO 8601 UTC."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypedDict


class KnownMachine(TypedDict):
    """What a heartbeat needs to know of a machine: columns of ``enrolled_agents``."""

    id: int
    machine_id: str
    user_name: str | None
    user_email: str | None
    user_id: str | None
    hostname: str | None
    os_info: str | None
    version: str | None
    enrolled_at: str
    last_seen_at: str | None


class Agent(KnownMachine):
    """A machine: its whole row, its presence and whether it is a suspected clone."""

    status: str
    uninstalled_at: str | None
    uninstall_reason: str | None
    presence: str
    suspected_clone: bool


#: ``used``, ``unused`` or ``pending`` (made by a rotation and not used yet) may be
#: used; ``revoked`` has been replaced; ``departed`` died with the uninstall of its
#: machine, ``uninstalled`` before that.
TokenState = Literal["used", "unused", "pending", "revoked", "departed", "uninstalled"]


class AgentToken(KnownMachine):
    """An agent's token, and of its machine what a heartbeat needs."""

    token_hash: str
    state: TokenState


class TokenDates(TypedDict):
    """What ``flask fleet show`` says of the tokens that a machine may use.

    ``issued_at`` and ``first_used_at`` are of the present one; ``rotated_at`` is when
    the one was issued that a rotation made and nobody has used yet.
    """

    issued_at: str | None
    first_used_at: str | None
    rotated_at: str | None


class EnrollmentToken(TypedDict):
    """What installers enroll with; ``state`` is one of ENROLLMENT_TOKEN_STATES."""

    id: int
    label: str
    created_at: str
    expires_at: str | None
    max_uses: int
    uses: int
    revoked_at: str | None
    state: str


ENROLLMENT_TOKEN_STATES = ("active", "used_up", "expired", "revoked")


class Event(TypedDict):
    """A line of the history; ``machine_id`` is None where it is about no machine."""

    id: int
    machine_id: str | None
    event: str
    at: str
    actor: dict[str, Any]
    detail: dict[str, Any]


class Enrollment(NamedTuple):
    """What an enrollment did.

    *status* is ``enrolled``, ``reactivated`` or ``reenrolled``, *agent* the row
    as it is now.
    """

    status: str
    agent: Agent


class CloneSigns(TypedDict):
    """When a suspected clone last alternated, and when that was last reported."""

    alternated_at: str
    reported_at: str
