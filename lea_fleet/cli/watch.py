"""``--watch``: a screen that is drawn again and again, until Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..core import clock
from .terminal import paint, screen_height, styled
from .opening import leave_fleet
from .options import seconds

#: Seconds between two pictures.
INTERVAL = 5.0
_LONGEST = 86400

# As xterm has them: another screen, so that what was on this one comes back; no
# cursor, and no wrapping, so that each line stays one.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"

# Drawn over what is there: a screen that is cleared first flickers.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def _interval(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    interval = seconds(context, parameter, value)
    if interval is not None and interval > _LONGEST:
        raise click.BadParameter("must be at most 1d.")
    return interval


watch_option = click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="Show the table again and again, until Ctrl-C.",
)
interval_option = click.option(
    "--interval",
    metavar="DURATION",
    callback=_interval,
    help=f"How often to do so.  [default: {INTERVAL:.0f}s]",
)


def watch(picture: Callable[[int], list[str]], interval: float) -> None:
    """Show *picture* every *interval* seconds, until Ctrl-C.

    It is called with the lines there are for it. A fault that it raises is shown
    in its place. Between two pictures, nothing of the database is held.
    Raises UsageError where there is no terminal.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        raise click.UsageError("--watch needs a terminal.")
    try:
        with _another_screen():
            while True:
                _draw(picture, interval)
                time.sleep(interval)
    except KeyboardInterrupt:
        return


def _draw(picture: Callable[[int], list[str]], interval: float) -> None:
    moment = f"{clock.now():%Y-%m-%d %H:%M:%S}"
    lines = [f"{moment} UTC, every {interval:g} s until Ctrl-C", ""]
    height = screen_height() - 1  # the last one is where the cursor stays
    try:
        lines += picture(height - len(lines))
    except click.ClickException as fault:
        lines.append(styled(f"Error: {fault.format_message()}", fg="red"))
    finally:
        leave_fleet()
    shown = "".join(f"{_CLEAR_LINE}{line}\r\n" for line in lines[:height])
    paint(_HOME + shown + _CLEAR_BELOW)


@contextmanager
def _another_screen() -> Iterator[None]:
    try:
        paint(_ENTER)
        yield
    finally:
        paint(_LEAVE)
