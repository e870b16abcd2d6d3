"""What callers send: bytes and strings in, checked values out.

Every fault of one request is named at once: ``InvalidField`` carries them all.
"""

from .bodies import (
    DEFAULT_USES,
    LONGEST_REASON,
    MOST_USES,
    EnrollPayload,
    enroll_payload,
    enrollment_token_payload,
    heartbeat_payload,
    no_payload,
    uninstall_payload,
)
from .lines import machine_payload
from .members import LONGEST_BODY, LONGEST_DETAIL, fault_of_text
from .queries import DEFAULT_DAYS, MOST_DAYS, events_query, fleet_query, summary_query

__all__ = [
    "DEFAULT_DAYS",
    "DEFAULT_USES",
    "LONGEST_BODY",
    "LONGEST_DETAIL",
    "LONGEST_REASON",
    "MOST_DAYS",
    "MOST_USES",
    "EnrollPayload",
    "enroll_payload",
    "enrollment_token_payload",
    "events_query",
    "fault_of_text",
    "fleet_query",
    "heartbeat_payload",
    "machine_payload",
    "no_payload",
    "summary_query",
    "uninstall_payload",
]
