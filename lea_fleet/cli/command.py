"""The classes of our commands: their output is complete, or a fault."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from .output import faults_reported, whole_output


class FleetCommand(click.Command):
    """A command whose output is checked before and while it runs."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the arguments; print the help, if it was asked for."""
        with whole_output(), faults_reported():
            return super().make_context(*args, **extra)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with whole_output():
            return super().invoke(context)


class FleetGroup(FleetCommand, AppGroup):
    """``flask fleet``, or a group of commands in it."""
