"""Find the machines of which something stored may name a person."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..core.event_details import impersonal
from ..core.events import OPERATOR_NAMES
from ..core.machine import PERSONAL
from ..core.privacy.addresses import mentions, names
from .agents import AS_TEXT
from .blocks import Blocks
from .notes import Notes
from .refused import Refused
from .tags import Tags
from .unit_of_work import UnitOfWork


def machines_naming(unit: UnitOfWork, email: str) -> list[str | None]:
    """Return the machines whose row, events or what is written may name a person.

    *email* is as addresses.person() returns it. None stands for events about no
    machine.
    """
    found: list[str | None] = []
    for find in (_in_rows, _in_former_values, _in_texts, _in_refused, _in_events):
        found += find(unit, email)
    return list(dict.fromkeys(found))


def _in_rows(unit: UnitOfWork, email: str) -> Iterator[str | None]:
    columns = ", ".join(AS_TEXT[name] for name in PERSONAL)
    rows = unit.rows(
        f"SELECT machine_id, {AS_TEXT['uninstall_reason']}, {columns}"
        " FROM enrolled_agents"
    )
    for machine_id, reason, *values in rows:
        if mentions(reason, email) or any(names(value, email) for value in values):
            yield machine_id


def _in_former_values(unit: UnitOfWork, email: str) -> Iterator[str | None]:
    for machine_id, value in unit.rows(
        "SELECT machine_id, value FROM lea_fleet_identities"
    ):
        if names(value, email):
            yield machine_id


def _in_texts(unit: UnitOfWork, email: str) -> Iterator[str | None]:
    """Look at what operators have written: reasons of blocks, notes and tags."""
    for machine_id, text in (*Blocks(unit).reasons(), *Tags(unit).all()):
        if mentions(text, email):
            yield machine_id
    for machine_id, text, author in Notes(unit).all():
        if mentions(text, email) or names(author, email):
            yield machine_id


def _in_refused(unit: UnitOfWork, email: str) -> Iterator[str | None]:
    for machine_id, hostname in Refused(unit).hostnames():
        if names(hostname, email):
            yield machine_id


def _in_events(unit: UnitOfWork, email: str) -> Iterator[str | None]:
    for machine_id, actor, detail in unit.rows(_mentions()):
        texts = [*json.loads(actor).values(), *_texts(json.loads(detail))]
        if any(mentions(text, email) for text in texts):
            yield machine_id


def _mentions() -> str:
    """Return the query for the events that may name a person.

    Most events of a long history need not be read: the details of an enrollment, for
    example, name nobody.
    """
    nobody = ", ".join(f"'{name}'" for name in impersonal())
    operator = " OR ".join(f"actor LIKE '%\"{name}\"%'" for name in OPERATOR_NAMES)
    return (
        "SELECT machine_id, actor, detail FROM lea_fleet_events"
        f" WHERE event NOT IN ({nobody}) OR {operator}"
    )


def _texts(detail: object) -> Iterator[object]:
    """Yield every value inside an event's detail, at any depth."""
    if isinstance(detail, dict):
        for value in detail.values():
            yield from _texts(value)
    elif isinstance(detail, list):
        for value in detail:
            yield from _texts(value)
    else:
        yield detail
