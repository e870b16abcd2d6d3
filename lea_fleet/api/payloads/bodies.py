"""Validate the JSON bodies of requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ...core import clock
from ...core.limits import (
    LARGEST_ID,
    LONGEST_DETAIL,
    LONGEST_REASON,
    OPERATOR_LIFETIME,
)
from ...core.machine import stored_form
from ...core.problems import InvalidJson
from ...core.refused import OPERATOR
from ...core.rows import OPERATOR_ROLES
from ...core.tags import parse_tags
from .members import Members, parse_object
from .tags import tags_in_text


@dataclass(frozen=True)
class EnrollPayload:
    machine_id: str
    details: dict[str, str | None]
    allow_reactivate: bool
    force: bool
    key: str | None


@dataclass(frozen=True)
class UninstallPayload:
    machine_id: str | None
    reason: str | None


class ReplacementPayload(NamedTuple):
    by: str
    force: bool


class HeartbeatPayload(NamedTuple):
    """*ignored* lists what is not stored as it was sent, and why."""

    machine_id: str | None
    details: dict[str, str | None]
    ignored: list[dict[str, str]]


def enroll_payload(body: bytes, key: str | None) -> EnrollPayload:
    """Validate the *body* of an enrollment and its Idempotency-Key, *key*.

    The machine_id is only checked when the machine is enrolled: one that is stored
    already is accepted as it is.
    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = EnrollPayload(
        machine_id=members.text("machine_id")
        or members.refuse("machine_id", "is required"),
        details=members.details(),
        allow_reactivate=members.boolean("allow_reactivate", default=True),
        force=members.boolean("force", default=False),
        key=members.idempotency_key(key),
    )
    members.check()
    return payload


def uninstall_payload(body: bytes) -> UninstallPayload:
    """Validate the *body* of an uninstall.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = UninstallPayload(
        members.text("machine_id"), members.text("reason", LONGEST_REASON)
    )
    members.check()
    return payload


def block_payload(body: bytes) -> str | None:
    """Validate the *body* of a block; return its reason.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    reason = members.text("reason", LONGEST_REASON)
    members.check()
    return reason


def release_payload(body: bytes) -> int | None:
    """Validate the *body* of a release; return the enrollment token it holds for.

    OPERATOR is the operator's token; None means that the release holds for any.
    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    enrollment_token = members.integer("enrollment_token", LARGEST_ID, OPERATOR)
    members.check()
    return enrollment_token


def mute_payload(body: bytes, now: datetime) -> str:
    """Validate the *body* of a mute; return until when it lasts.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    until, seconds = members.time("until"), members.silence("for")
    if members.has("until") == members.has("for"):
        members.refuse("until", "or for is required, and not both")
    elif seconds is not None:
        until = clock.after(now, seconds)
    if until is not None and until <= clock.iso(now):
        members.refuse("until", "must be in the future")
    members.check()
    return until or ""


def heartbeat_payload(body: bytes) -> HeartbeatPayload:
    """Validate the *body* of a heartbeat.

    Raises InvalidJson and InvalidField.
    """
    sent = parse_object(body)
    if not sent:  # most heartbeats: 2 µs less
        return HeartbeatPayload(None, {}, [])
    members = Members(sent)
    payload = HeartbeatPayload(members.text("machine_id"), *members.fitting_details())
    members.check()
    return payload


def replacement_payload(body: bytes) -> ReplacementPayload:
    """Validate the *body* of a replacement.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = ReplacementPayload(
        members.text("by") or members.refuse("by", "is required"),
        members.boolean("force", default=False),
    )
    members.check()
    return payload


def no_payload(body: bytes) -> None:
    """Validate the *body* of a request without members: empty, or any JSON object.

    Raises InvalidJson.
    """
    parse_object(body)


class KitPayload(NamedTuple):
    """*url* is that of the API."""

    token: str
    url: str


def kit_payload(body: bytes, prefix: str, default: str | None) -> KitPayload:
    """Validate the *body* of a request for an installer kit.

    *prefix* is that of the routes, *default* the server's URL if none was sent. Raises
    InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = KitPayload(
        members.text("token", LONGEST_DETAIL) or members.refuse("token", "is required"),
        members.api_url("url", prefix, default)
        or members.refuse("url", "is required: LEA_FLEET_PUBLIC_URL is not set"),
    )
    members.check()
    return payload


class OperatorPayload(NamedTuple):
    """*lifetime* is in seconds; None means that the token never expires."""

    name: str
    role: str
    lifetime: float | None
    personal: bool


def operator_payload(body: bytes) -> OperatorPayload:
    """Validate the *body* of a request for a new operator.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    payload = OperatorPayload(
        members.text("name", LONGEST_DETAIL) or members.refuse("name", "is required"),
        members.choice("role", OPERATOR_ROLES) or members.refuse("role", "is required"),
        members.duration("expires", default=OPERATOR_LIFETIME),
        members.boolean("personal", default=True),
    )
    if not payload.personal and payload.role != "viewer":
        members.refuse("personal", "can be false for a viewer only")
    members.check()
    return payload


class RefusedPayload(NamedTuple):
    machine_id: str | None
    hostname: str | None


def refused_payload(body: bytes) -> RefusedPayload:
    """Return what the *body* of a refused enrollment says of the machine.

    What is not valid is left out, but for the id, of which it may be the fault.
    """
    try:
        members = Members(parse_object(body))
    except InvalidJson:
        return RefusedPayload(None, None)
    sent = members.text("machine_id")
    machine_id = None if sent is None else stored_form(sent)
    return RefusedPayload(machine_id, members.fitting_details()[0].get("hostname"))


class MachinePayload(NamedTuple):
    machine_id: str
    details: dict[str, str | None]
    tags: tuple[str, ...]


def machine_payload(cells: dict[str, str]) -> MachinePayload:
    """Validate a line's *cells*, by column, as an enrollment would.

    Raises InvalidField.
    """
    members = Members(cells)
    payload = MachinePayload(
        members.text("machine_id") or members.refuse("machine_id", "is required"),
        members.details(),
        tags_in_text(members, "tags", parse_tags),
    )
    members.check()
    return payload
