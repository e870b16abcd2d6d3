"""How every command comes to the fleet, and how it fails."""

from __future__ import annotations

import getpass
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..db import close_db, fault_of, get_repository
from ..payloads import LONGEST_BODY, LONGEST_DETAIL, fault_of_text
from ..problems import InvalidField, Problem
from ..repository import AgentRepository
from ..schema import empty_database
from ..state import current_state


def checked_text(
    context: click.Context,
    parameter: click.Parameter,
    value: str | None,
    longest: int = LONGEST_BODY,
) -> str | None:
    """Take text that can be stored and is not blank: a machine, or a label.

    Blank is what a script's empty variable says, and never what it means.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("must not be blank.")
    return given_text(context, parameter, value, longest)


def given_text(
    context: click.Context,
    parameter: click.Parameter,
    value: str | None,
    longest: int = LONGEST_DETAIL,
) -> str | None:
    """Take text that can be stored, such as a detail of a machine.

    Blank counts as not given, as it does in the API.
    """
    if value is None:
        return None
    fault = fault_of_text(value, longest)
    if fault:
        raise click.BadParameter(f"{fault}.")
    return value if value.strip() else None


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

    A fault becomes one line and exit code 1, or 2 where an argument is at fault.
    """
    try:
        yield get_repository({"role": "cli", "os_user": _os_user()})
    except sqlite3.Error as error:
        raise click.ClickException(fault_of(error).detail) from None
    except InvalidField as problem:
        raise click.UsageError(problem.detail) from None
    except Problem as problem:
        raise click.ClickException(problem.detail) from None


def leave_fleet() -> None:
    """Let go of the database: nothing of this process is open any longer."""
    close_db()
    current_state().connections.close_idle()


@contextmanager
def open_or_imagine_fleet() -> Iterator[AgentRepository]:
    """Yield the fleet's repository; of an empty fleet where there is none yet.

    For what changes nothing: no file is made. As :func:`open_or_make_fleet` else.
    """
    path = current_state().settings.database
    if os.path.exists(path) or os.path.exists(f"{path}-wal"):
        with open_or_make_fleet() as repository:
            yield repository
        return
    with empty_database() as connection:
        yield AgentRepository(connection)


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "unknown"
