"""What callers send: bytes and strings in, checked values out. Knows no Flask.

Every fault of one request is named at once: ``InvalidField`` carries them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .machine import DETAILS
from .problems import InvalidField, InvalidJson

#: The most bytes that a body may have.
LONGEST_BODY = 64 * 1024

#: The most characters of a detail such as ``hostname``.
LONGEST_DETAIL = 255

#: The most characters of the reason for an uninstall.
LONGEST_REASON = 500


@dataclass(frozen=True)
class EnrollPayload:
    machine_id: str
    details: dict[str, str | None]
    allow_reactivate: bool


@dataclass(frozen=True)
class UninstallPayload:
    machine_id: str | None
    reason: str | None


@dataclass(frozen=True)
class HeartbeatPayload:
    machine_id: str | None
    details: dict[str, str | None]


def enroll_payload(body: bytes) -> EnrollPayload:
    """Return what the *body* of an enrolment says.

    Whether a new machine may bear its machine_id is for the enrolment to say:
    one that is stored already is taken as it is.
    Raises InvalidJson and InvalidField.
    """
    members = _Members(_parse_object(body))
    payload = EnrollPayload(
        members.machine_id() or members.refuse("machine_id", "is required"),
        members.details(),
        members.boolean("allow_reactivate", default=True),
    )
    members.check()
    return payload


def uninstall_payload(body: bytes) -> UninstallPayload:
    """Return what the *body* of an uninstall says.

    Raises InvalidJson and InvalidField.
    """
    members = _Members(_parse_object(body))
    payload = UninstallPayload(
        members.machine_id(), members.text("reason", LONGEST_REASON)
    )
    members.check()
    return payload


def heartbeat_payload(body: bytes) -> HeartbeatPayload:
    """Return what the *body* of a heartbeat says.

    Raises InvalidJson and InvalidField.
    """
    members = _Members(_parse_object(body))
    payload = HeartbeatPayload(members.machine_id(), members.details())
    members.check()
    return payload


def fleet_query(parameters: Mapping[str, Sequence[str]]) -> str | None:
    """Return the machine_id that a listing is asked for, or None for all.

    *parameters* holds every value of each query parameter.
    Raises InvalidField for one that does not exist, and for one given twice.
    """
    errors = []
    for name, values in parameters.items():
        if name != "machine_id":
            errors.append({"field": name, "message": "is no parameter of this route"})
        elif len(values) > 1:
            errors.append({"field": name, "message": "is given more than once"})
    if errors:
        raise InvalidField(errors)
    return parameters.get("machine_id", [None])[0]


class _Members:
    """The members of one JSON object, and what was found wrong with them."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members
        self._errors: list[dict[str, str]] = []

    def refuse(self, field: str, message: str) -> Any:
        """Note a fault, once a field; :meth:`check` raises what was noted."""
        if not any(error["field"] == field for error in self._errors):
            self._errors.append({"field": field, "message": message})

    def check(self) -> None:
        if self._errors:
            raise InvalidField(self._errors)

    def text(self, field: str, longest: int = LONGEST_BODY) -> str | None:
        """Return the text of *field*; absent, null, empty and blank are None."""
        value = self._members.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(field, "must be a string")
            return None
        if not _is_storable(value):
            self.refuse(field, "must be Unicode text without NUL")
            return None
        if len(value) > longest:
            self.refuse(field, f"must have at most {longest} characters")
            return None
        return value if value.strip() else None

    def machine_id(self) -> str | None:
        return self.text("machine_id")

    def details(self) -> dict[str, str | None]:
        return {name: self.text(name, LONGEST_DETAIL) for name in DETAILS}

    def boolean(self, field: str, *, default: bool) -> bool:
        value = self._members.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(field, "must be true or false")
            return default
        return value


def _is_storable(text: str) -> bool:
    """Tell whether *text* survives UTF-8, and whoever reads it from C."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return "\0" not in text


def _parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; no body at all is an empty one."""
    if not body:
        return {}
    try:
        # A byte order mark may be ignored (RFC 8259, section 8.1).
        parsed = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise InvalidJson("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidJson(f"The body is not JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise InvalidJson("The body must be a JSON object.")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given more than once")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
