"""What a check finds: how bad it is, what it is, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "fault"]

#: From good to bad. A level's place is the exit code that says so.
LEVELS: tuple[Level, ...] = ("ok", "warning", "fault")

_FIRST_FEW = 5


class Verdict(NamedTuple):
    """What one check says; *action* is empty where nothing is to be done."""

    level: Level
    detail: str
    action: str = ""


class Finding(NamedTuple):
    """The verdict of the *check* of that name, in its *group*."""

    group: str
    check: str
    level: Level
    detail: str
    action: str


#: What a query raises where the file is broken: SQLite quotes it in its messages.
BROKEN = (sqlite3.Error, UnicodeDecodeError)

#: A check by its name.
Checks = dict[str, Callable[[], Verdict]]


class CannotCheck(Exception):
    """Why a check cannot be made; its text is for people."""


class NothingYet(Exception):
    """Why there is nothing to check; its text is for people."""


def ok(detail: str) -> Verdict:
    return Verdict("ok", detail)


def warning(detail: str, action: str) -> Verdict:
    return Verdict("warning", detail, action)


def fault(detail: str, action: str) -> Verdict:
    return Verdict("fault", detail, action)


def run(group: str, checks: Checks) -> list[Finding]:
    """Return what *checks* find; one that cannot be made says so."""
    return [Finding(group, name, *_verdict(check)) for name, check in checks.items()]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the level of all *findings* together."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


def some(names: list[str]) -> str:
    """Return the first few of *names*, and how many more there are."""
    shown = ", ".join(names[:_FIRST_FEW])
    more = len(names) - _FIRST_FEW
    return f"{shown} and {more} more" if more > 0 else shown


def _verdict(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except NothingYet as reason:
        return ok(str(reason))
    except Exception as error:  # a broken database hands out anything
        detail = f"not checked: {_reason(error)}"
        return warning(detail, "Put that right, and ask again.")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
