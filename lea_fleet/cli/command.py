"""The classes of our commands: their help, and output that is complete or a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from flask.cli import AppGroup

from .output import faults_reported, keep_errors_off_output, whole_output

#: Click's help is cut to 80 columns otherwise, however wide the screen is.
_WIDEST_HELP = 120


class FleetCommand(click.Command):
    """A command whose output is checked before and while it runs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self.context_settings.setdefault("max_content_width", _WIDEST_HELP)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments; print the help, if it was asked for."""
        keep_errors_off_output()
        with whole_output(), faults_reported():
            return super().make_context(*args, **extra)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with whole_output():
            return super().invoke(context)


class FleetGroup(FleetCommand, AppGroup):
    """``flask fleet``, or a group of commands in it, with its help in families."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._families: dict[str, list[click.Command]] = {}

    def add_family(self, heading: str, commands: Sequence[click.Command]) -> None:
        """Add *commands*, which the help lists under *heading*."""
        self._families[heading] = list(commands)
        for command in commands:
            self.add_command(command)

    def format_commands(
        self, context: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the families, then the commands that a host has added."""
        told = [each for family in self._families.values() for each in family]
        others = [each for each in self.commands.values() if each not in told]
        room = formatter.width - 6 - max(map(len, self.commands), default=0)
        for heading, commands in {**self._families, "Commands": others}.items():
            rows = [(str(c.name), c.get_short_help_str(room)) for c in commands]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
