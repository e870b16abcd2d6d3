"""Open the fleet's database for a command; report what fails in one line."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from ..app.database import close_db, get_repository, problem_of
from ..app.engine import DATABASE_ERRORS, copy_for_dry_run
from ..app.repository import AgentRepository
from ..app.state import current_state
from ..core.problems import InvalidField, Problem


@contextmanager
def open_fleet() -> Iterator[AgentRepository]:
    """Yield the repository of a fleet that exists.

    Where the database's folder exists and the file does not, somebody may have
    moved it away for a moment: with an empty one in its place the server would
    refuse every agent. Otherwise as :func:`open_or_make_fleet`.
    """
    path = current_state().settings.database
    if os.path.isdir(path.parent) and not os.path.exists(path):
        raise click.ClickException(
            f"There is no database at {path}. The first enrollment makes it, or"
            " 'flask fleet token create'."
        )
    with open_or_make_fleet() as repository:
        yield repository


@contextmanager
def open_or_make_fleet() -> Iterator[AgentRepository]:
    """Yield the fleet's repository; its events name the user of the system.

    A fault is reported in one line with exit code 1, or 2 for a wrong argument.
    """
    with _faults_reported():
        yield get_repository({"role": "cli", "os_user": _os_user()})


@contextmanager
def open_fleet_for_dry_run() -> Iterator[AgentRepository]:
    """Yield the fleet's repository, or a copy in memory where opening would change it.

    No file is made, and no table in an older server's file. Otherwise as
    :func:`open_or_make_fleet`.
    """
    settings = current_state().settings
    with _faults_reported():
        copy = copy_for_dry_run(settings.database, settings.busy_timeout)
    if copy is None:
        with open_or_make_fleet() as repository:
            yield repository
        return
    with closing(copy):
        yield AgentRepository(copy)


def close_fleet() -> None:
    """Close the database: nothing of it stays open in this process."""
    store = current_state().store
    close_db(store)
    store.close_idle()


@contextmanager
def _faults_reported() -> Iterator[None]:
    try:
        yield
    except DATABASE_ERRORS as error:
        raise click.ClickException(problem_of(error).detail) from None
    except InvalidField as problem:
        raise click.UsageError(problem.detail) from None
    except Problem as problem:
        raise click.ClickException(problem.detail) from None


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "unknown"
