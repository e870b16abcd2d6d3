"""``flask fleet …``: the commands, which work on the database itself."""

from __future__ import annotations

import click

from .backup import backup_command
from .block import block_command, blocked_command, unblock_command
from .command import FleetGroup
from .cut_off import cut_off_command
from .doctor.command import doctor_command
from .edit import edit_command
from .enroll import enroll_command
from .erase import erase_command
from .events import events_command
from .export import export_command
from .import_command import import_machines
from .installer import installer_command
from .list_command import list_machines
from .move import move_command
from .mute import mute_command, unmute_command
from .note import note_command
from .notify import notify_command
from .openapi import openapi_command
from .operator import operator_group
from .prune import prune_command
from .refused import refused_command
from .release import release_command
from .replace import replace_command
from .retire import retire_command
from .rotate import rotate_command
from .schema import schema_command
from .show import show_command
from .summary import summary_command
from .tag import tag_command, untag_command
from .token import token_group
from .uninstall import uninstall_command
from .view import view_group

#: In the order of the help.
_FAMILIES: dict[str, tuple[click.Command, ...]] = {
    "See": (
        list_machines,
        show_command,
        events_command,
        refused_command,
        blocked_command,
        summary_command,
        view_group,
    ),
    "Change machines": (
        enroll_command,
        edit_command,
        uninstall_command,
        retire_command,
        block_command,
        unblock_command,
        mute_command,
        unmute_command,
        tag_command,
        untag_command,
        note_command,
        replace_command,
        release_command,
        rotate_command,
        cut_off_command,
        import_machines,
        prune_command,
    ),
    "Personal data": (erase_command, export_command),
    "Installers": (token_group, installer_command),
    "Operators": (operator_group,),
    "Server": (
        doctor_command,
        backup_command,
        notify_command,
        move_command,
        schema_command,
        openapi_command,
    ),
}


def register_commands(group: FleetGroup) -> None:
    """Add the commands of ``flask fleet`` to *group*."""
    group.help = "See and manage the fleet of agents."
    for heading, commands in _FAMILIES.items():
        group.add_family(heading, commands)
