"""Validate new enrollment tokens, and the parameters of their list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.limits import (
    ENROLLMENT_TOKEN_LIFETIME,
    ENROLLMENT_TOKEN_USES,
    LONGEST_DETAIL,
    MOST_ENROLLMENT_TOKEN_USES,
)
from ...core.rows import ENROLLMENT_TOKEN_STATES
from ...core.tags import parse_tags
from .members import Members, parse_object
from .queries import single
from .tags import tags_in


@dataclass(frozen=True)
class EnrollmentTokenPayload:
    """*lifetime* is in seconds; None means that the token never expires."""

    label: str
    lifetime: float | None
    max_uses: int
    tags: tuple[str, ...]


def enrollment_token_payload(body: bytes) -> EnrollmentTokenPayload:
    """Validate the *body* of a request for a new enrollment token.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = EnrollmentTokenPayload(
        members.text("label", LONGEST_DETAIL) or "",
        members.duration("expires", default=ENROLLMENT_TOKEN_LIFETIME),
        members.number(
            "max_uses", default=ENROLLMENT_TOKEN_USES, most=MOST_ENROLLMENT_TOKEN_USES
        ),
        tags_in(members, "tags", parse_tags),
    )
    members.check()
    return payload


def enrollment_tokens_query(parameters: Mapping[str, Sequence[str]]) -> str | None:
    """Validate the *parameters* of the enrollment tokens; return the state, or None.

    Raises InvalidField for one that does not exist. Other parameters are ignored, as
    they were before there was any.
    """
    members = single({"state": parameters.get("state", [""])}, "state")
    state = members.choice("state", ENROLLMENT_TOKEN_STATES)
    members.check()
    return state
