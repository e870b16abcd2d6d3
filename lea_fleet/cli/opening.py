"""How every command comes to the fleet, and how it fails."""

from __future__ import annotations

import getpass
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from ..app.settings import Settings
from ..storage.sqlite.connections import connect
from ..app.database import close_db, get_repository, problem_of
from ..app.engine import DATABASE_ERRORS
from ..api.payloads import LONGEST_BODY, LONGEST_DETAIL, fault_of_text
from ..core.problems import InvalidField, Problem
from ..app.repository import AgentRepository
from ..storage.sqlite.schema import ensure_schema, missing_tables, new_database
from ..app.state import current_state


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
    with _faults_said():
        yield get_repository({"role": "cli", "os_user": _os_user()})


def leave_fleet() -> None:
    """Let go of the database: nothing of this process is open any longer."""
    store = current_state().store
    close_db(store)
    store.close_idle()


@contextmanager
def open_or_imagine_fleet() -> Iterator[AgentRepository]:
    """Yield the fleet's repository; or one in memory, of the fleet as it would begin.

    For what changes nothing: no file is made, and no table in an older server's file.
    As :func:`open_or_make_fleet` else.
    """
    with _faults_said():
        imagined = _imagined(current_state().settings)
    if imagined is None:
        with open_or_make_fleet() as repository:
            yield repository
        return
    with closing(imagined):
        yield AgentRepository(imagined)


def _imagined(settings: Settings) -> sqlite3.Connection | None:
    """Return a database in memory that has what is there; None for one of ours."""
    path = settings.database
    if not os.path.exists(path):
        # A log alone is a fault, which opening the fleet says.
        return None if os.path.exists(f"{path}-wal") else new_database()
    # Not read-only, or what SQLite makes beside a file with a log would stay there.
    with closing(connect(path, "rw", settings.busy_timeout)) as there:
        there.execute("PRAGMA query_only = ON")
        if not missing_tables(there):
            return None
        imagined = sqlite3.connect(":memory:", isolation_level=None)
        imagined.text_factory = there.text_factory
        there.backup(imagined)  # with its size of a page, and its encoding
    ensure_schema(imagined)
    return imagined


@contextmanager
def _faults_said() -> Iterator[None]:
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
