"""The log: one line for each change to the fleet, once it is committed.

For whoever reads the server's log beside the events. A line names the machine and who
acted; of what machines say about people it has nothing, and a token is in no event.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from ..core.rows import Event

logger = logging.getLogger("lea_fleet")

#: What is told of an event's detail. Whatever else there is may be about a person.
_TOLD = (
    "version",
    "reason",
    "because",
    "until",
    "enrollment_token",
    "label",
    "expires_at",
    "max_uses",
)

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+")


def note(event: Event) -> None:
    """Log a committed *event*, as one line and with its parts in ``lea_fleet``.

    The parts, for handlers that write JSON, are ``event``, ``machine_id``, ``actor``
    and ``detail``, as an event has them.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    detail = {name: event["detail"][name] for name in _TOLD if name in event["detail"]}
    told = {
        "event": event["event"],
        "machine_id": event["machine_id"],
        "actor": event["actor"],
        "detail": _known(detail),
    }
    logger.info("%s", _line(told), extra={"lea_fleet": told})


def _line(told: Mapping[str, Any]) -> str:
    """Return an event as ``enrolled machine_id=PC-7 by=operator address=10.0.0.7``."""
    actor = dict(told["actor"])
    fields = {"machine_id": told["machine_id"], "by": actor.pop("role"), **actor}
    # Of what an operator did with an enrolment token, the detail says with which.
    pairs = _known({**fields, **told["detail"]})
    return " ".join([told["event"], *(f"{k}={_quoted(v)}" for k, v in pairs.items())])


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _quoted(value: Any) -> str:
    """Return *value* as it is, or as JSON in ASCII where it might be misread.

    A machine says what it likes: nothing of it may end a line or begin a field.
    """
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")  # which JSON lets through
