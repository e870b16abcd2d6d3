"""Follow the history: print each event once it is there, and go on after a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from ..core.event_filter import EventFilter
from ..core.files import whole_file
from ..core.rows import Event
from ..storage.events import is_position
from .database import close_fleet, name_default_database, open_fleet
from .output import hand_over, note

#: Where ``--from`` begins, besides a position.
BEGINNING, NOW = "beginning", "now"

#: Seconds between two looks for new events.
INTERVAL = 2.0

#: Events that are read and printed at once.
_BATCH = 500


class PositionFile:
    """The file in which a follower keeps how far it has come."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        """Return the position; None if there is no file. Raises ClickException."""
        try:
            text = self._path.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{self._path} cannot be read: {error}.")
        if not is_position(text):
            raise click.ClickException(
                f"{self._path} has no position of events. Remove it to begin anew."
            )
        return text

    def keep(self, position: str) -> None:
        """Store *position* completely, or leave the last one. Raises ClickException."""
        try:
            with whole_file(self._path) as new:
                new.write_text(f"{position}\n", "ascii")
        except OSError as error:
            raise click.ClickException(
                f"{self._path} cannot be written: {error.strerror}."
            ) from None


class Follower:
    """Print the events after a position that are *wanted*, the oldest first.

    *line* returns the line of an event, given the position after it. Where a
    position is *kept* in a file, it is that of events that were printed, and that the
    reader of a pipe has taken: after a stop, even by ``kill -9``, some of the last
    ones may be printed again, and none is missing.
    """

    def __init__(
        self,
        wanted: EventFilter,
        line: Callable[[Event, str], str],
        kept: PositionFile | None = None,
    ) -> None:
        self._wanted = wanted
        self._line = line
        self._kept = kept
        self._position = ""
        self._reported = ""

    def run(self, begin: str, interval: float | None) -> None:
        """Print until there are no more, or with an *interval* until Ctrl-C.

        *begin* is BEGINNING, NOW or a position; it counts where none is kept. This
        also ends, quietly, once nobody reads the output any more.
        """
        name_default_database()
        with suppress(KeyboardInterrupt):
            self._begin(begin)
            while (shown := self._show(interval is not None)) is not None:
                if shown == _BATCH:
                    continue
                if interval is None:
                    break
                close_fleet()
                time.sleep(interval)
        if self._kept is None and self._position:
            note(f"To go on from here: --from {self._position}")

    def _begin(self, begin: str) -> None:
        kept = None if self._kept is None else self._kept.read()
        if kept is not None:
            self._position = kept
            return
        if begin == NOW:
            with open_fleet() as repository:
                self._position = repository.events.end()
        else:
            self._position = "" if begin == BEGINNING else begin
        if self._kept is not None:
            self._kept.keep(self._position)

    def _show(self, lasting: bool) -> int | None:
        """Print the next events; return how many were read, None if nobody reads them.

        A fault of the database does not end what is *lasting*: a server that restarts
        is back soon.
        """
        try:
            with open_fleet() as repository:
                found = repository.events.after_each(self._position, limit=_BATCH)
        except click.ClickException as fault:
            if not lasting:
                raise
            self._report(fault.format_message())
            return 0
        self._reported = ""
        if not found:
            return 0
        lines = [self._line(*each) for each in found if self._wanted.matches(each[0])]
        if lines and not hand_over("".join(f"{line}\n" for line in lines)):
            return None
        self._position = found[-1][1]
        if self._kept is not None:
            self._kept.keep(self._position)
        return len(found)

    def _report(self, fault: str) -> None:
        if fault != self._reported:  # once, not every two seconds
            note(f"Error: {fault} Trying again.")
        self._reported = fault
