"""Findings of the doctor's checks: level, detail and suggested action."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "fault"]

#: From best to worst. The index of a level is its exit code.
LEVELS: tuple[Level, ...] = ("ok", "warning", "fault")

_FIRST_FEW = 5


class Verdict(NamedTuple):
    """The result of one check; *action* is empty if there is nothing to do."""

    level: Level
    detail: str
    action: str = ""


class Finding(NamedTuple):
    """A verdict with the name of its *check* and of its *group*."""

    group: str
    check: str
    level: Level
    detail: str
    action: str


#: Checks by name.
Checks = dict[str, Callable[[], Verdict]]


class CannotCheck(Exception):
    """A check cannot be run; the text says why, for people."""


class NothingYet(Exception):
    """There is nothing to check yet; the text says why, for people."""


def ok(detail: str) -> Verdict:
    return Verdict("ok", detail)


def warning(detail: str, action: str) -> Verdict:
    return Verdict("warning", detail, action)


def fault(detail: str, action: str) -> Verdict:
    return Verdict("fault", detail, action)


def run(group: str, checks: Checks) -> list[Finding]:
    """Run *checks* and return their findings; one that fails to run is a warning."""
    return [Finding(group, name, *_verdict(check)) for name, check in checks.items()]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of the *findings*."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


def some(names: list[str]) -> str:
    """Return the first few of *names* and how many more there are."""
    shown = ", ".join(names[:_FIRST_FEW])
    more = len(names) - _FIRST_FEW
    return f"{shown} and {more} more" if more > 0 else shown


def _verdict(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except NothingYet as reason:
        return ok(str(reason))
    except Exception as error:  # a broken database can raise anything
        detail = f"not checked: {_reason(error)}"
        return warning(detail, "Fix that, and run the doctor again.")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
