"""Ask before a change to one machine or token, or only show what it would be."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import click

from ..app.repository import AgentRepository
from ..core.rows import Agent
from ..core.text import printable
from .database import open_fleet, open_fleet_for_dry_run, open_or_begin_fleet
from .options import json_text

#: For every command that changes something.
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only print what it would do."
)


def _shown_only(
    context: click.Context, parameter: click.Parameter, value: bool
) -> None:
    if value and context.params.get("yes"):
        raise click.UsageError("Give either --yes or --dry-run.")


#: For commands that only show what they would do unless --yes is given.
shown_option = click.option(
    "--dry-run",
    is_flag=True,
    expose_value=False,
    callback=_shown_only,
    help="Only show it, as without --yes.",
)

#: For changes that are asked about on a terminal.
unasked_option = click.option(
    "--yes", is_flag=True, help="Do not ask, as without a terminal."
)


class _Tried(Exception):
    """The end of a dry run, which rolls its transaction back."""


def open_for_change(dry_run: bool) -> AbstractContextManager[AgentRepository]:
    """Open the fleet for a change, or for a dry run of it."""
    return open_fleet_for_dry_run() if dry_run else open_fleet()


def open_or_begin_for_change(
    dry_run: bool, create: bool
) -> AbstractContextManager[AgentRepository]:
    """Open the fleet as :func:`open_for_change`; begin one as *create* says."""
    return open_fleet_for_dry_run() if dry_run else open_or_begin_fleet(create)


@contextmanager
def tried(dry_run: bool, transaction: AbstractContextManager[None]) -> Iterator[None]:
    """Run the block in the *transaction*; for a dry run, roll it back at the end."""
    try:
        with transaction:
            yield
            if dry_run:
                raise _Tried
    except _Tried:
        return


def ask(question: str, agent: Agent, skip: bool) -> None:
    """Ask on a terminal whether *question*, with the machine's name, is meant.

    Raises click.Abort, which is exit code 1, if it is not. Scripts are not asked.
    """
    names = [printable(agent[name] or "") for name in ("hostname", "user_name")]
    about = ", ".join(filter(None, names))
    machine = printable(agent["machine_id"]) + (f" ({about})" if about else "")
    confirm(question.format(machine), skip)


def confirm(question: str, skip: bool) -> None:
    """Ask the *question* on a terminal, as :func:`ask` does."""
    if not skip and is_somebody_there():
        click.confirm(question, abort=True, err=True)


def changed(text: str, members: Mapping[str, object], as_json: bool, dry: bool) -> str:
    """Return what a change prints: *text*, or *members* as JSON."""
    if as_json:
        return json_text({"dry_run": True, **members} if dry else members)
    return f"Dry run; nothing was changed. It would be:\n{text}" if dry else text


def shown_once(
    said: str, member: str, token: str, dry: bool
) -> tuple[str, dict[str, str]]:
    """Return what a new *token* prints, and the *member* of the JSON that has it.

    Of a dry run, only *said*: the token is not valid.
    """
    return (said, {}) if dry else (token, {member: token})


def is_somebody_there() -> bool:
    """Tell whether a person can be asked, on a terminal."""
    return all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr))
