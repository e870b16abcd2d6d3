"""Timestamps and durations: the server's clock, and how both are written down."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from .limits import LONGEST_DURATION

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(timezone.utc)


def iso(time: datetime) -> str:
    """Return *time* as the database and the API write it: ISO 8601, UTC.

    Two such texts compare as their times do, also where ``isoformat()``
    leaves out microseconds that are zero: ``+`` sorts before ``.``.
    """
    return time.astimezone(timezone.utc).isoformat()


def before(time: datetime, seconds: float) -> str:
    """Return the time that lies *seconds* before *time*, as text."""
    return iso(time - timedelta(seconds=seconds))


def after(time: datetime, seconds: float) -> str:
    """Return the time that lies *seconds* after *time*, as text."""
    return before(time, -seconds)


def parse_lifetime(text: str) -> float | None:
    """Return the seconds that *text* means as a duration, or None for ``never``.

    Raises ValueError for what is not a duration, and for one of no length.
    """
    seconds = parse_duration(text)
    if seconds == 0:
        raise ValueError("must be longer than nothing")
    return seconds


def parse_duration(text: object) -> float | None:
    """Return the seconds that *text* means, or None for ``never``.

    *text* is ``30s``, ``15m``, ``12h``, ``7d``, ``never``, or a number of
    seconds. Raises ValueError for everything else.
    """
    if text == "never":
        return None
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if match is None:
            raise ValueError("must be a duration such as 30s, 15m, 12h, 7d or never")
        seconds = float(int(match[1]) * _UNITS[match[2]])
    if not 0 <= seconds <= LONGEST_DURATION:
        raise ValueError("must be a duration between 0 seconds and 36500 days")
    return seconds
