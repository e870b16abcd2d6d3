"""Rows as the statements on the fleet return them; timestamps are ISO 8601 UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict


class KnownMachine(TypedDict):
    """The columns of ``enrolled_agents`` that a heartbeat needs."""

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
    """A machine: its full row, its presence, and whether it is a suspected clone."""

    status: str
    uninstalled_at: str | None
    uninstall_reason: str | None
    presence: str
    suspected_clone: bool


#: A token that is ``used``, ``unused`` or ``pending`` (made by a rotation and not used
#: yet) is valid. ``revoked``: replaced. ``departed``: valid until the uninstall of its
#: machine. ``uninstalled``: revoked before its machine was uninstalled.
TokenState = Literal["used", "unused", "pending", "revoked", "departed", "uninstalled"]


class AgentToken(KnownMachine):
    """An agent's token, with the columns of its machine that a heartbeat needs.

    ``said`` is what :func:`core.machine.said_in` returns for all that the machine and
    its installer have reported since it was enrolled. ``retire_told_at`` is when the
    agent was first told to uninstall itself: empty if it is to be told now, None if it
    is not.
    """

    token_hash: str
    state: TokenState
    said: int
    retire_told_at: str | None


class TokenDates(TypedDict):
    """Dates of a machine's valid tokens, for ``flask fleet show``.

    ``issued_at`` and ``first_used_at`` are those of the current token; ``rotated_at``
    is when the pending token of a rotation was issued, if there is one.
    """

    issued_at: str | None
    first_used_at: str | None
    rotated_at: str | None


class EnrollmentToken(TypedDict):
    """An enrollment token; ``state`` is one of ENROLLMENT_TOKEN_STATES."""

    id: int
    label: str
    created_at: str
    expires_at: str | None
    max_uses: int
    uses: int
    revoked_at: str | None
    tags: list[str]
    state: str


class Operator(TypedDict):
    """The token of an operator with a name; ``role`` is one of OPERATOR_ROLES.

    ``personal`` is whether personal data is shown, which it is to all but some viewers.
    ``last_used_at`` is at most an hour behind. ``state`` is one of OPERATOR_STATES.
    """

    id: int
    name: str
    role: str
    personal: bool
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    state: str


class View(TypedDict):
    """A saved view of the list.

    ``owner`` tells who made it, as ``Principal.owner`` does; ``owner_name`` is the name
    for people, or None. ``filters`` is the query of a listing, ``columns`` the names of
    those shown.
    """

    id: int
    owner: str
    owner_name: str | None
    shared: bool
    name: str
    filters: str
    columns: list[str]
    created_at: str
    updated_at: str


class RefusedMachine(TypedDict):
    """A machine whose enrollment was refused: by one code, with one token.

    Of what could not be read, ``machine_id``, ``hostname`` and ``address`` are None;
    ``enrollment_token`` is None for the operator's token. ``agent_status`` and
    ``last_seen_at`` are the machine's own, if it is known; ``still_alive`` tells
    whether it is active and was heard after ``first_at``, ``released_until`` until when
    it may enroll with that token.
    """

    machine_id: str | None
    hostname: str | None
    address: str | None
    enrollment_token: int | None
    code: str
    refused: int
    first_at: str
    last_at: str
    agent_status: str | None
    last_seen_at: str | None
    still_alive: bool
    released_until: str | None


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those *fields* that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


ENROLLMENT_TOKEN_STATES = ("active", "used_up", "expired", "revoked")

#: What an operator may do, each also what those before it may: read; change machines
#: and make enrollment tokens; make operators.
OPERATOR_ROLES = ("viewer", "operator", "admin")

OPERATOR_STATES = ("active", "expired", "revoked")


class Event(TypedDict):
    """An event of the history; ``machine_id`` is None if it is not about a machine."""

    id: int
    machine_id: str | None
    event: str
    at: str
    actor: dict[str, Any]
    detail: dict[str, Any]


class Alert(TypedDict):
    """An alert; ``machine_id`` is None if it is not about a machine."""

    id: int
    machine_id: str | None
    alert: str
    at: str
    detail: dict[str, Any]


class Destination(TypedDict):
    """A row of ``lea_fleet_destinations``, without who delivers there."""

    destination: str
    position: str
    alert_id: int
    looked_at: str
    delivered_at: str | None
    fault: str | None
    failing_since: str | None
    attempts: int
    next_attempt_at: str | None


class Enrollment(NamedTuple):
    """The result of an enrollment.

    *status* is ``enrolled``, ``reactivated`` or ``reenrolled``; *agent* is the
    machine's row afterwards.
    """

    status: str
    agent: Agent


class Block(TypedDict):
    """A machine id that is kept out; ``in_fleet``: whether it was ever enrolled."""

    machine_id: str
    blocked_at: str
    reason: str | None
    in_fleet: bool


class Note(TypedDict):
    """What operators have written down about a machine, who wrote it, and when."""

    text: str
    author: str | None
    noted_at: str


class DayOfPresence(TypedDict):
    """The hours of a day, in UTC, in which a machine was seen: 0 to 23, in order."""

    day: str
    hours: list[int]


class Listed(Agent):
    """A machine of a list; ``note`` is the text of its note, if it has one."""

    tags: list[str]
    note: str | None


class Retirement(TypedDict):
    """When a machine was retired; ``told_at``: when its agent was first told."""

    retired_at: str
    told_at: str | None


class CloneSigns(TypedDict):
    """When the hostname last alternated, and when that was last reported."""

    alternated_at: str
    reported_at: str
