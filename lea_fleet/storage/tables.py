"""The tables of a fleet as both engines have them, and digests of their rows.

What an engine derives for itself, such as search keys, is not among the columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

#: A row in the order of its table's columns: text, whole numbers and None. Truth values
#: are 0 and 1.
Row = tuple[Any, ...]


class Table(NamedTuple):
    """A table: its columns, of which the first *width* are the primary key.

    *is_noted* is whether a trigger may note which of its rows change. It may not in
    the table that is the host's, and does not where a row is replaced by another one,
    which SQLite tells no trigger.
    """

    name: str
    columns: tuple[str, ...]
    width: int
    is_noted: bool

    @property
    def key(self) -> tuple[str, ...]:
        return self.columns[: self.width]


def _table(name: str, columns: str, *, width: int = 1, noted: bool = True) -> Table:
    return Table(name, tuple(columns.split()), width, noted)


TABLES = (
    _table(
        "enrolled_agents",
        "id machine_id user_name user_email user_id hostname os_info version status"
        " enrolled_at last_seen_at uninstalled_at uninstall_reason",
        noted=False,
    ),
    _table(
        "lea_fleet_tokens",
        "token_hash machine_id enrolled_at issued_at pending first_used_at revoked_at"
        " replaced said former_id rotated_by_agent",
    ),
    _table(
        "lea_fleet_enrollment_tokens",
        "id token_hash label created_at expires_at max_uses uses revoked_at tags",
    ),
    _table(
        "lea_fleet_operators",
        "id token_hash name role personal created_at expires_at last_used_at"
        " revoked_at",
    ),
    _table(
        "lea_fleet_views",
        "id owner shared name filters columns created_at updated_at",
    ),
    _table(
        "lea_fleet_enrollments", "machine_id enrolled_at status credential key_hash"
    ),
    _table(
        "lea_fleet_releases", "machine_id enrolled_at released_until enrollment_token"
    ),
    _table("lea_fleet_blocks", "look machine_id blocked_at reason"),
    _table("lea_fleet_mutes", "machine_id muted_until"),
    _table("lea_fleet_tags", "machine_id name tag by_operator", width=2),
    _table("lea_fleet_notes", "machine_id note author noted_at"),
    _table("lea_fleet_presence", "day machine_id hours", width=2),
    _table("lea_fleet_selections", "id owner filter machines expires_at"),
    _table("lea_fleet_selected", "selection step ids", width=2),
    _table("lea_fleet_retirements", "machine_id enrolled_at retired_at told_at"),
    _table(
        "lea_fleet_identities", "machine_id name value enrolled_at left_at", width=3
    ),
    _table("lea_fleet_clones", "machine_id enrolled_at alternated_at reported_at"),
    _table("lea_fleet_ignored", "machine_id field enrolled_at ignored_at", width=2),
    _table("lea_fleet_budgets", "machine_id event full_at noted", width=2),
    _table("lea_fleet_intervals", "id seconds decided_at counts_until", noted=False),
    _table("lea_fleet_refusals", "code refused"),
    _table(
        "lea_fleet_refused",
        "enrollment_token look code machine_id enrolled_at hostname address refused"
        " first_at last_at told_at",
        width=3,
    ),
    _table("lea_fleet_events", "id machine_id event at actor detail"),
    _table("lea_fleet_pruned", "date event events", width=2),
    _table("lea_fleet_alerts", "id machine_id alert at detail"),
    _table("lea_fleet_silences", "machine_id seen_at"),
    _table("lea_fleet_conditions", "alert subject since", width=2),
    _table("lea_fleet_heard", "since until alive_since"),
    _table("lea_fleet_hours", "hour machines counts lowest counted_at"),
    _table(
        "lea_fleet_destinations",
        "destination position alert_id looked_at delivered_at holder held_until fault"
        " failing_since attempts next_attempt_at",
    ),
)

#: Those whose ids are handed out by a sequence, and never again.
NUMBERED = tuple(table for table in TABLES if table.columns[0] == "id")

#: The columns that are whole numbers, or truth values; the others are text.
NUMBERS = frozenset(
    "id pending replaced said max_uses uses noted seconds refused events hour machines"
    " counts lowest alert_id attempts enrollment_token rotated_by_agent"
    " personal shared by_operator selection step hours".split()
)

_encode = json.JSONEncoder(separators=(",", ":")).encode


def line_of(row: Sequence[Any]) -> bytes:
    """Return *row* as one line of JSON in ASCII, the same on both engines."""
    return _encode(row).encode()


def fingerprint(line: bytes) -> int:
    """Return 64 bits of *line*, signed, to tell whether a row has changed."""
    return int.from_bytes(blake2b(line, digest_size=8).digest(), "big", signed=True)


class Digest:
    """Add up the rows of a table: their number, and the sum of their SHA-256.

    The sum is modulo 2^256, so that the order of the rows does not matter: SQLite sorts
    text of a UTF-16 file in another one.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self._sum += int.from_bytes(sha256(line).digest(), "big")

    @property
    def text(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"
