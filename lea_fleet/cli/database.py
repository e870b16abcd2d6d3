"""Open the fleet's database for a command; report what fails in one line."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..app.database import close_db, get_repository, problem_of
from ..app.engine import open_administration
from ..app.repository import AgentRepository
from ..app.default_settings import is_default_database
from ..app.state import current_state
from ..core.problems import InvalidField, Problem, UnknownAgent
from ..core.text import printable
from ..storage.administration import Administration
from ..storage.lookalikes import Lookalikes
from ..storage.unit_of_work import UnitOfWork
from .faults import never_enrolled, said_of_argument, said_to_operator
from .output import note


def administration() -> Administration:
    """Return what there is to know and do about the database, besides the fleet."""
    return open_administration(current_state().settings)


@contextmanager
def open_fleet() -> Iterator[AgentRepository]:
    """Yield the repository of a fleet that exists.

    No database is made: in another folder, after a typing error, or while somebody
    has moved the file away, it would be the wrong one. The events name the user of
    the system. A fault is reported in one line with exit code 1, or 2 for a wrong
    argument.
    """
    with _faults_reported():
        refuse_missing()
        current_state().store.never_begin()
        repository = _repository()
        if administration().end_interrupted_move(repository.unit.session):
            note("Took away what a move that was interrupted had left.")
        with _near_ids_offered(repository):
            yield repository


def refuse_missing() -> None:
    """Raise ClickException if there is no database."""
    if not administration().exists():
        raise _no_database("The first request to the server makes one.")


@contextmanager
def open_listing() -> Iterator[AgentRepository]:
    """Yield the repository for a listing, and say which database it is from.

    Otherwise as :func:`open_fleet`.
    """
    with open_fleet() as repository:
        name_default_database()
        yield repository


@contextmanager
def open_or_begin_fleet(create: bool) -> Iterator[AgentRepository]:
    """Yield the fleet's repository; begin a database where :func:`may_begin` lets it.

    Otherwise as :func:`open_fleet`.
    """
    if not may_begin(create):
        with open_fleet() as repository:
            yield repository
        return
    with _faults_reported():
        repository = _repository()
        note(administration().beginning())
        yield repository


def may_begin(create: bool) -> bool:
    """Return whether there is no database, and the command may begin one.

    With *create* it may begin one anywhere, otherwise only where the path has been
    configured and its folder exists. Raises ClickException if it may not.
    """
    with _faults_reported():
        if administration().exists():
            return False
    if not create and (_is_default() or not administration().is_prepared()):
        raise _no_database("--create begins a new one.")
    return True


@contextmanager
def open_fleet_for_dry_run() -> Iterator[AgentRepository]:
    """Yield the fleet's repository, or a copy where opening would change the database.

    No file is made, and no table in an older server's. Faults are reported as by
    :func:`open_fleet`.
    """
    with _faults_reported():
        if administration().exists():
            name_default_database()
        else:
            note(f"{administration().absence()} yet.")
        with administration().dry_run() as copy:
            if copy is not None:
                state = current_state()
                unit = UnitOfWork(copy, state.store.dialect, state.rule)
                yield AgentRepository.over(unit)
                return
    with open_fleet() as repository:
        yield repository


def name_default_database() -> None:
    """Say on standard error which database is read, where that is the default one.

    It depends on the folder in which the command was started.
    """
    if _is_default():
        note(f"Database: {administration().place} (the default)")


def close_fleet() -> None:
    """Close the database: nothing of it stays open in this process."""
    store = current_state().store
    close_db(store)
    store.close_idle()


@contextmanager
def _faults_reported() -> Iterator[None]:
    try:
        yield
    except current_state().store.errors as error:
        raise click.ClickException(problem_of(error).detail) from None
    except InvalidField as problem:
        raise click.UsageError(said_of_argument(problem)) from None
    except Problem as problem:
        raise click.ClickException(said_to_operator(problem)) from None


@contextmanager
def _near_ids_offered(repository: AgentRepository) -> Iterator[None]:
    try:
        yield
    except UnknownAgent as problem:
        machine = problem.members["machine_id"]
        near = did_you_mean(repository, machine)
        raise click.ClickException(never_enrolled([machine], near)) from None


def did_you_mean(repository: AgentRepository, machine: str) -> str:
    """Return a question that names the machines whose id is nearly *machine*."""
    near = " or ".join(map(printable, Lookalikes(repository.unit).near(machine)))
    return f" Did you mean {near}?" if near else ""


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "unknown"


def _repository() -> AgentRepository:
    administration().refuse_user()
    return get_repository({"role": "cli", "os_user": _os_user()})


def _is_default() -> bool:
    return is_default_database(current_state().config)


def _no_database(remedy: str) -> click.ClickException:
    advice = (
        "That is the default path: change to the server's folder, or set"
        if _is_default()
        else "Check"
    )
    database = administration()
    folder = "" if database.is_prepared() else ", nor its folder"
    return click.ClickException(
        f"{database.absence()}{folder}. {advice} {database.settings}. {remedy}"
    )
