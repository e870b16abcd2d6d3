"""Validate a line of an imported table."""

from __future__ import annotations

from typing import NamedTuple

from .members import Members


class MachinePayload(NamedTuple):
    machine_id: str
    details: dict[str, str | None]


def machine_payload(cells: dict[str, str]) -> MachinePayload:
    """Validate a line's *cells*, by column, as an enrollment would.

    Raises InvalidField.
    """
    members = Members(cells)
    payload = MachinePayload(
        members.text("machine_id") or members.refuse("machine_id", "is required"),
        members.details(),
    )
    members.check()
    return payload
