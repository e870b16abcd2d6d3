"""``--watch``: redraw the screen at an interval until Ctrl-C."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..core import clock
from .database import close_fleet
from .options import DurationType
from .terminal import paint, styled

#: Seconds between two frames.
INTERVAL = 5.0

# Codes of xterm: the alternate screen, so that the present one comes back; no cursor;
# and no wrapping, so that each line stays one line.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"

# Drawn over the last frame: a screen that is cleared first flickers.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


watch_option = click.option(
    "--watch", "watching", is_flag=True, help="Refresh the table until Ctrl-C."
)
interval_option = click.option(
    "--interval",
    metavar="DURATION",
    type=DurationType(most="1d"),
    help=f"How often to refresh it.  [default: {INTERVAL:.0f}s]",
)


def watch(frame: Callable[[int], list[str]], interval: float) -> None:
    """Show a *frame* every *interval* seconds until Ctrl-C.

    It is called with the lines that it may fill. A fault that it raises is shown in
    its place. Between two frames the database is closed. Raises UsageError where
    there is no terminal.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise click.UsageError("--watch needs a terminal.")
    try:
        with _alternate_screen():
            while True:
                _draw(frame, interval)
                time.sleep(interval)
    except KeyboardInterrupt:
        return


def _draw(frame: Callable[[int], list[str]], interval: float) -> None:
    now = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"
    lines = [f"{now}, every {interval:g} s until Ctrl-C", ""]
    height = shutil.get_terminal_size().lines - 1  # the cursor stays on the last
    try:
        lines += frame(height - len(lines))
    except click.ClickException as fault:
        lines.append(styled(f"Error: {fault.format_message()}", fg="red"))
    finally:
        close_fleet()
    shown = "".join(f"{_CLEAR_LINE}{line}\r\n" for line in lines[:height])
    paint(_HOME + shown + _CLEAR_BELOW)


@contextmanager
def _alternate_screen() -> Iterator[None]:
    try:
        paint(_ENTER)
        yield
    finally:
        paint(_LEAVE)
