"""Options and arguments that mean the same on every command which has them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from ..core.clock import parse_lifetime
from .terminal import say
from .completion import machine_ids
from .opening import checked_text

#: The one machine that a command is about.
machine_argument = click.argument(
    "machine", callback=checked_text, shell_complete=machine_ids
)

#: For what a program reads.
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, whole and in ASCII."
)

#: For what cannot be taken back, and for more than one machine at once.
yes_option = click.option("--yes", is_flag=True, help="Act on more than one machine.")


def say_json(members: Mapping[str, object]) -> None:
    """Print *members* in ASCII: names come from machines, and may hold anything."""
    say(json.dumps(members, indent=2))


def seconds(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Take a duration, such as ``14d``, as seconds; a click callback."""
    if value is None:
        return None
    try:
        lifetime = parse_lifetime(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if lifetime is None:
        raise click.BadParameter("must be a duration such as 12h or 14d.")
    return lifetime


def refuse_many(machines: int, yes: bool) -> None:
    """Let a command act on one machine, or on several where *yes* was said.

    Raises ClickException, which is exit code 1.
    """
    if machines > 1 and not yes:
        raise click.ClickException(
            f"This is about {machines} machines. Say --yes to do it to all of them."
        )
