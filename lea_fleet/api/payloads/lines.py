"""What a line of a table says about a machine."""

from __future__ import annotations

from typing import NamedTuple

from .members import Members


class MachinePayload(NamedTuple):
    machine_id: str
    details: dict[str, str | None]


def machine_payload(cells: dict[str, str]) -> MachinePayload:
    """Return what *cells*, by column, say of a machine, as its enrolment would.

    Raises InvalidField.
    """
    members = Members(cells)
    payload = MachinePayload(
        members.text("machine_id") or members.refuse("machine_id", "is required"),
        members.details(),
    )
    members.check()
    return payload
