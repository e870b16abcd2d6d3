"""Refused machines: whose enrollment was refused, and for which codes that is kept."""

from __future__ import annotations

from typing import NamedTuple

from .machine import look
from .tokens import as_bytes, hash_token

#: The codes of refused enrollments that an operator may have to do something about.
CODES = (
    "already_enrolled",
    "reactivation_refused",
    "machine_blocked",
    "enrollment_token_exhausted",
    "token_expired",
    "token_revoked",
    "insufficient_scope",
    "invalid_field",
)

#: The only one after which a machine can be released.
RELEASABLE = "already_enrolled"

#: Rows with this code are never pushed out by others: an operator has blocked them.
KEPT_APART = "machine_blocked"

#: What stands for the operator's token, which is not an enrollment token.
OPERATOR = 0


class Refusal(NamedTuple):
    """A refused enrollment: what the caller said of itself, as far as it could be read.

    *enrollment_token* is the id of the token that it was sent with, or OPERATOR. *look*
    is what :func:`look_of` returns. *at* is when it was refused, as ISO 8601 UTC.
    """

    enrollment_token: int
    look: str
    code: str
    machine_id: str | None
    hostname: str | None
    address: str | None
    at: str

    @property
    def key(self) -> tuple[int, str, str]:
        """What makes two of them repeats of one."""
        return self.enrollment_token, self.look, self.code


def look_of(machine_id: str | None, sent: str | None = None) -> str:
    """Return what tells refused machines apart: what their ids look like.

    Without a *machine_id* that is kept, a digest of what was *sent*: it may be a token
    that a setup sends in the wrong place, and no secret is stored.
    """
    if machine_id is not None:
        return look(machine_id)
    return "" if sent is None else f"#{hash_token(as_bytes(sent))[:32]}"


class RefusedFilter(NamedTuple):
    """Select refused machines: those that match everything that is set.

    *since* is the earliest timestamp of the last refusal.
    """

    code: str | None = None
    enrollment_token: int | None = None
    since: str | None = None
