"""``flask fleet …``: the fleet from a shell, on the database itself."""

from __future__ import annotations

import click

from .doctor import doctor_command
from .installer import installer_command
from .listing import list_command
from .machines import events_command, release_command, rotate_command
from .openapi import openapi_command
from .tokens import token_group


def register_commands(group: click.Group) -> None:
    """Add the commands of ``flask fleet`` to *group*."""
    group.help = "See and manage the fleet of agents."
    for command in (
        list_command,
        events_command,
        openapi_command,
        release_command,
        rotate_command,
        token_group,
        installer_command,
        doctor_command,
    ):
        group.add_command(command)
