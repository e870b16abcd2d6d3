"""How every command comes to the fleet, and how it fails."""

from __future__ import annotations

import getpass
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..db import fault_of, get_repository
from ..payloads import is_storable
from ..problems import Problem
from ..repository import AgentRepository
from ..state import current_state


class Name(click.ParamType[str]):
    """Text that can be stored, and is not blank: a machine, or a label.

    Blank is what a script's empty variable says, and never what it means.
    """

    name = "text"

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if not is_storable(value):
            self.fail("must be Unicode text without NUL.", param, ctx)
        if not value.strip():
            self.fail("must not be blank.", param, ctx)
        if self._longest is not None and len(value) > self._longest:
            self.fail(f"must have at most {self._longest} characters.", param, ctx)
        return value


@contextmanager
def open_fleet() -> Iterator[AgentRepository]:
    """Yield the repository of a fleet that is there.

    Where the database's folder is there and the file is not, somebody may have
    moved it away for a moment: an empty one in its place would have the server
    refuse every agent. As :func:`open_or_make_fleet` for the rest.
    """
    path = current_state().settings.database
    if os.path.isdir(path.parent) and not os.path.exists(path):
        raise click.ClickException(
            f"There is no database at {path}. The first enrolment makes it, or"
            " 'flask fleet token create'."
        )
    with open_or_make_fleet() as repository:
        yield repository


@contextmanager
def open_or_make_fleet() -> Iterator[AgentRepository]:
    """Yield the fleet's repository, whose events name the user of the system.

    A fault becomes one line and exit code 1.
    """
    try:
        yield get_repository({"role": "cli", "os_user": _os_user()})
    except sqlite3.Error as error:
        raise click.ClickException(fault_of(error).detail) from None
    except Problem as problem:
        raise click.ClickException(problem.detail) from None


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "unknown"
