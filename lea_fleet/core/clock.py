"""Timestamps and durations: read the server's clock, format and parse both."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from .limits import LONGEST_DURATION

#: Seconds that the clocks of several servers may be apart, as they are adjusted.
APART = 60

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,9}|\d{1,9}\.\d{1,6}(?=s))([smhd])", re.ASCII)


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(timezone.utc)


def iso(time: datetime) -> str:
    """Return *time* as ISO 8601 in UTC, the format of the database and the API.

    Two such texts compare as their times do, even if ``isoformat()`` leaves out
    microseconds that are zero: ``+`` sorts before ``.``.
    """
    return time.astimezone(timezone.utc).isoformat()


def in_utc(text: str) -> str:
    """Return the timestamp *text*, which may have another offset, as :func:`iso` does.

    Text without an offset, which the older server means as UTC, is returned unchanged,
    as is what is not a timestamp.
    """
    if text.endswith("+00:00"):
        return text
    try:
        time = _read(text)
        return text if time.tzinfo is None else iso(time)
    except (ValueError, OverflowError):  # of the first or last hours that there are
        return text


def parse_time(text: str) -> str:
    """Parse an ISO 8601 date or time, and return it as :func:`iso` does.

    Raises ValueError for text that is neither.
    """
    try:
        return iso(read_time(text))
    except OverflowError as error:  # in the first or last hours that there are
        raise ValueError(str(error)) from None


def read_time(text: str) -> datetime:
    """Return the ISO 8601 date or time in *text*; without an offset it is in UTC.

    Raises ValueError for text that is neither.
    """
    time = _read(text.strip())
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def parse_moment(text: str) -> str:
    """Parse a duration before now, or a date or time; return it as :func:`iso` does.

    Raises ValueError for text that is neither.
    """
    with suppress(ValueError):
        return parse_time(text)
    with suppress(ValueError):
        seconds = parse_lifetime(text)
        if seconds is not None:
            return before(now(), seconds)
    raise ValueError(
        "must be a duration such as 7d, or a date or time such as 2026-03-02 or"
        " 2026-03-02T08:00+01:00"
    )


def before(time: datetime, seconds: float) -> str:
    """Return the time *seconds* before *time*, as ISO 8601 UTC."""
    return iso(time - timedelta(seconds=seconds))


def after(time: datetime, seconds: float) -> str:
    """Return the time *seconds* after *time*, as ISO 8601 UTC."""
    return before(time, -seconds)


def _read(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)  # ours, of which a list has many
    except ValueError:
        pass
    # Python 3.10 knows neither the Z nor fractions of other than 3 or 6 digits.
    text = re.sub(r"(?<=:\d\d)\.(\d+)", lambda part: f".{part[1][:6]:0<6}", text)
    return datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))


def parse_lifetime(text: str) -> float | None:
    """Parse a duration that must not be zero: seconds, or None for ``never``.

    Raises ValueError for text that is not a valid duration, and for zero.
    """
    seconds = parse_duration(text)
    if seconds == 0:
        raise ValueError("must be longer than 0 seconds")
    return seconds


def parse_duration(text: object) -> float | None:
    """Parse a duration: seconds, or None for ``never``.

    *text* is ``0.5s``, ``15m``, ``12h``, ``7d``, ``never``, or a number of seconds,
    up to 36500 days. Raises ValueError for everything else.
    """
    if text == "never":
        return None
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if match is None:
            raise ValueError("must be a duration such as 30s, 15m, 12h, 7d or never")
        seconds = float(match[1]) * _UNITS[match[2]]
    if not 0 <= seconds <= LONGEST_DURATION:
        raise ValueError("must be a duration between 0 seconds and 36500 days")
    return seconds


def duration_text(seconds: float | None) -> str:
    """Return a duration as :func:`parse_duration` reads it, in its largest unit."""
    if seconds is None:
        return "never"
    for unit, length in reversed(_UNITS.items()):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{seconds:g}s"
