"""Check that the server's clock has not been set back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ...core import clock
from ...core.findings import Checks, Verdict, ok, warning
from ...core.presence import PresenceRule
from ...storage.attention import Ahead, Attention
from ...storage.administration import Reading
from ...storage.unit_of_work import UnitOfWork


def clock_checks(reading: Reading, rule: PresenceRule) -> Checks:
    """Return the check of the timestamps, in those of the fleet's tables that exist."""
    return {
        "clock": lambda: _clock(
            UnitOfWork(reading.session, reading.dialect, rule), reading.tables()
        )
    }


def _clock(unit: UnitOfWork, tables: Collection[str]) -> Verdict:
    now = unit.now
    ahead = [*Attention(unit).ahead(clock.after(now, clock.APART), tables)]
    if not ahead:
        return ok("no timestamp is in the future")
    return warning(
        "; ".join(_described(column, now) for column in ahead),
        "Set this computer's clock (timedatectl); a machine's next heartbeat corrects"
        " its own timestamp.",
    )


def _described(ahead: Ahead, now: datetime) -> str:
    told = f"{ahead.rows} of {ahead.column} in the future"
    try:
        seconds = (datetime.fromisoformat(ahead.latest) - now).total_seconds()
    except (TypeError, ValueError):  # not in ISO 8601
        return f"{told} ({ahead.latest[:40]})"
    return f"{told}, by {_length(seconds)}"


def _length(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // 60)} minutes"
