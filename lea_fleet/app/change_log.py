"""The change log: one line for each committed change to the fleet.

A line names the machine and who acted. It shows nothing that machines report about
people, and no event contains a token.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from ..core.event_details import logged
from ..core.rows import Event, without_none

logger = logging.getLogger("lea_fleet")

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+")


def note(event: Event) -> None:
    """Log a committed *event* as one line.

    For handlers that write JSON, the record's attribute ``lea_fleet`` has the event's
    ``event``, ``machine_id``, ``actor`` and ``detail``.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    fields = {
        "event": event["event"],
        "machine_id": event["machine_id"],
        "actor": event["actor"],
        "detail": without_none(logged(event["event"], event["detail"])),
    }
    logger.info("%s", _line(fields), extra={"lea_fleet": fields})


def _line(event: Mapping[str, Any]) -> str:
    """Format an event as ``enrolled machine_id=PC-7 by=operator address=10.0.0.7``."""
    actor = dict(event["actor"])
    fields = {"machine_id": event["machine_id"], "by": actor.pop("role"), **actor}
    # An actor has an enrollment_token too, but not the operator who made or revoked it.
    return line(event["event"], without_none({**fields, **event["detail"]}))


def line(name: str, fields: Mapping[str, Any]) -> str:
    """Format what happened and its *fields* as one line of text."""
    return " ".join([name, *(f"{k}={_quoted(v)}" for k, v in fields.items())])


def _quoted(value: Any) -> str:
    """Return *value* unchanged if it is plain, else as JSON in ASCII.

    A machine may send any text; it must not end a line or begin a field.
    """
    text = ",".join(value) if isinstance(value, list) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")  # DEL, which JSON keeps
