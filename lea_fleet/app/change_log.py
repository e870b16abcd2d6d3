"""The change log: one line for each committed change to the fleet.

A line names the machine and who acted. It says nothing of what machines report about
people, and no event contains a token.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from ..core.events import logged
from ..core.rows import Event

logger = logging.getLogger("lea_fleet")

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+")


def note(event: Event) -> None:
    """Log a committed *event* as one line.

    For handlers that write JSON, the record's ``lea_fleet`` has ``event``,
    ``machine_id``, ``actor`` and ``detail``, as the event has them.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    told = {
        "event": event["event"],
        "machine_id": event["machine_id"],
        "actor": event["actor"],
        "detail": _known(logged(event["event"], event["detail"])),
    }
    logger.info("%s", _line(told), extra={"lea_fleet": told})


def _line(told: Mapping[str, Any]) -> str:
    """Return an event as ``enrolled machine_id=PC-7 by=operator address=10.0.0.7``."""
    actor = dict(told["actor"])
    fields = {"machine_id": told["machine_id"], "by": actor.pop("role"), **actor}
    # An actor has an enrollment_token too, but not the operator who made or revoked it.
    pairs = _known({**fields, **told["detail"]})
    return " ".join([told["event"], *(f"{k}={_quoted(v)}" for k, v in pairs.items())])


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _quoted(value: Any) -> str:
    """Return *value* as it is, or as JSON in ASCII where it might be misread.

    A machine may send anything: none of it may end a line or begin a field.
    """
    text = ",".join(value) if isinstance(value, list) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")  # which JSON lets through
