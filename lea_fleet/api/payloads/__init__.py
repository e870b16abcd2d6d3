"""Validate what callers send: bytes and strings in, checked values out.

All faults of a request are reported at once, in one ``InvalidField``.
"""

from .bodies import (
    EnrollPayload,
    enroll_payload,
    enrollment_token_payload,
    heartbeat_payload,
    no_payload,
    uninstall_payload,
)
from .lines import machine_payload
from .members import fault_of_text
from .queries import events_query, fleet_query, summary_query

__all__ = [
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
