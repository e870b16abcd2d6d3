"""What commands need of a database engine, besides reading and changing the fleet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..core.findings import Checks, Verdict, fault, ok, some, warning
from .interface import Dialect
from .sides import Mark

#: Called with the number of parts left to copy and of all parts.
Progress = Callable[[int, int], None]


class BackupFailed(Exception):
    """No backup was made, and an existing file is unchanged; the text says why."""


class Reading(Protocol):
    """An attempt to read the database without changing anything."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def session(self) -> Any:
        """The session. Raises CannotCheck or OSError where there is none."""

    @property
    def fleet(self) -> Any:
        """The session, if all of the fleet's tables exist.

        Raises NothingYet before the server has made them, else as :attr:`session`.
        """

    def tables(self) -> set[str]:
        """Return the names of the tables. Raises what :attr:`session` does."""

    def was_disturbed(self) -> bool:
        """Return whether what was read may have been written meanwhile."""


class Cleaning(NamedTuple):
    """What became of the copies of erased data, in sentences for people.

    *report* has the members for ``--json``; *said* goes with what was erased, and
    *left* only if anything was. *fault* is None if all was done that can be done.
    """

    report: dict[str, Any]
    said: str
    left: str
    fault: str | None


class Administration(Protocol):
    """What commands need of a database, besides reading and changing the fleet."""

    #: The database in words, without user and password.
    place: str

    #: The settings that lead to the database.
    settings: str

    def exists(self) -> bool:
        """Return whether the fleet has been begun. Raises DatabaseProblem."""

    def is_prepared(self) -> bool:
        """Return whether it can be begun without making a folder for it first."""

    def absence(self) -> str:
        """Return the clause that there is no fleet."""

    def beginning(self) -> str:
        """Return the sentence that a fleet was begun."""

    def refuse_user(self) -> None:
        """Refuse a user whose files the server could not write.

        Raises DatabaseUnavailable.
        """

    def dry_run(self) -> AbstractContextManager[Any | None]:
        """Yield a session to write in, which is thrown away.

        Yield None where the fleet's own does, in a transaction that is rolled back.
        Raises DatabaseProblem.
        """

    def reading(self, busy_timeout: float) -> AbstractContextManager[Reading]:
        """Read the database without changing anything, as far as that is possible.

        *busy_timeout* is how long, in seconds, to wait for another one's lock.
        """

    def checks(self, reading: Any, quick: bool) -> Checks:
        """Return the engine's checks for the doctor, by name.

        *quick* leaves out what reads all data.
        """

    def clean(self, session: Any, vacuuming: bool) -> Cleaning:
        """Remove copies of deleted data; with *vacuuming*, free space too."""

    def refuse_backup(self, file: Path) -> None:
        """Raise BackupFailed where another program has to make backups."""

    def back_up(self, session: Any, file: Path, progress: Progress) -> int:
        """Copy the database into *file*; return its size in bytes.

        Raises BackupFailed.
        """

    def is_part_of(self, file: Path) -> bool:
        """Return whether *file* is the database, or belongs to it."""

    def schema(self, role: str | None) -> str:
        """Return the SQL that makes and completes the tables, for an administrator.

        With *role*, also what lets that role use them. Raises ValueError where there
        are no roles, or none can be called so.
        """

    def end_interrupted_move(self, session: Any) -> bool:
        """Take away what notes changes for a move that was killed; return whether."""

    def wrong_keys(self, session: Any) -> int:
        """Return of how many machines :meth:`rewrite_keys` would rewrite the keys."""

    def rewrite_keys(self, session: Any) -> int:
        """Compute anew what machines are searched and sorted by, where that is wrong.

        Return the number of machines.
        """


def judge_move(mark: Mark | None, is_noting: bool) -> Verdict:
    """Judge what the database remembers of a move, and whether changes are noted."""
    if mark is not None and mark.state == "closing":
        return fault(
            f"the fleet is being moved to {mark.other}, or that was interrupted",
            "If no move is running, run the same flask fleet move again.",
        )
    if mark is not None and mark.state == "closed":
        return fault(
            f"the fleet was moved to {mark.other} at {mark.at}",
            "Restart the servers with that setting, or take the move back: flask fleet"
            " move --undo, with --to as in the move.",
        )
    if mark is not None and mark.state == "undone":
        return fault(
            f"the fleet was taken back to {mark.other}",
            "Restart the servers with that setting.",
        )
    if mark is not None and mark.state != "open":
        return fault(
            f"the fleet of {mark.other} is being moved here, or that was interrupted",
            "If no move is running, run flask fleet move there again.",
        )
    if is_noting:
        return warning(
            "changes are noted for a move that is running, or was interrupted",
            "If none is running, any other command takes the notes away: flask fleet"
            " summary",
        )
    return ok(f"came from {mark.other} at {mark.at}" if mark else "never moved")


def judge_triggers(names: list[str]) -> Verdict:
    """Judge the triggers on the table that the host shares."""
    if not names:
        return ok("none on enrolled_agents")
    return warning(
        f"on enrolled_agents: {some(names)}",
        "See what they do: each one runs with every heartbeat that is written, and one"
        " that fails makes the heartbeat fail.",
    )
