"""``flask fleet …``: the commands, which work on the database itself."""

from __future__ import annotations

import click

from .backup import backup_command
from .doctor.command import doctor_command
from .enroll import enroll_command
from .erase import erase_command
from .events import events_command
from .export import export_command
from .import_command import import_machines
from .installer import installer_command
from .list_command import list_machines
from .openapi import openapi_command
from .prune import prune_command
from .release import release_command
from .rotate import rotate_command
from .show import show_command
from .summary import summary_command
from .token import token_group
from .uninstall import uninstall_command


def register_commands(group: click.Group) -> None:
    """Add the commands of ``flask fleet`` to *group*."""
    group.help = "See and manage the fleet of agents."
    for command in (
        list_machines,
        show_command,
        events_command,
        summary_command,
        enroll_command,
        uninstall_command,
        release_command,
        rotate_command,
        import_machines,
        prune_command,
        erase_command,
        export_command,
        doctor_command,
        backup_command,
        token_group,
        installer_command,
        openapi_command,
    ):
        group.add_command(command)
