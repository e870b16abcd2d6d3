"""The database session of the application context, and work on it done again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from flask import g

from ..core.problems import DatabaseProblem, DatabaseUnavailable
from ..storage.attempts import PAUSES
from ..storage.interface import Store
from ..storage.unit_of_work import UnitOfWork
from .repository import AgentRepository
from .signals import announce
from .state import FleetState, current_state

_View = TypeVar("_View", bound=Callable[..., Any])
_T = TypeVar("_T")

_UNIT = "_lea_fleet_unit"
_HOST_REPOSITORY = "_lea_fleet_repository"


def get_unit(state: FleetState) -> UnitOfWork:
    """Return this application context's unit of work, with the host as its actor.

    Its session is opened on first use and released when the context ends; what is
    not committed by then is rolled back. Raises DatabaseBusy or DatabaseUnavailable.
    """
    context = g._get_current_object()
    unit: UnitOfWork | None = context.__dict__.get(_UNIT)
    if unit is not None:
        if state.store.is_usable(unit.session):
            return unit
        state.store.discard(unit.session)  # opened before a fork
    unit = UnitOfWork(
        state.store.acquire(), state.store.dialect, state.rule, announce=announce
    )
    setattr(context, _UNIT, unit)
    return unit


def close_db(store: Store, error: BaseException | None = None) -> None:
    """Release this context's session, if it has one."""
    unit = g._get_current_object().__dict__.pop(_UNIT, None)
    if unit is not None:
        store.release(unit.session)


def start_over() -> None:
    """Forget what this application context has read, and its session."""
    state = current_state()
    close_db(state.store)
    for name in (_HOST_REPOSITORY, "flask_httpauth_user"):
        g.pop(name, None)


def problem_of(error: Exception) -> DatabaseProblem:
    """Translate an *error* of the database driver to the problem to answer with.

    Unless the database was only locked, all sessions are dropped: they may be broken.
    """
    store = current_state().store
    problem = store.problem_of(error)
    if isinstance(problem, DatabaseUnavailable):
        close_db(store)
        store.distrust_idle()
    return problem


def get_host_repository() -> AgentRepository:
    """Return this application context's repository for the host's own code.

    The same one for as long as its connection lasts.
    """
    unit = get_unit(current_state())
    repository: AgentRepository | None = g.get(_HOST_REPOSITORY)
    if repository is None or repository.unit is not unit:
        repository = AgentRepository.over(unit)
        setattr(g, _HOST_REPOSITORY, repository)
    return repository


def get_repository(
    actor: Mapping[str, Any] | None = None, check: Callable[[], object] | None = None
) -> AgentRepository:
    """Return a repository on this application context's session.

    *actor* is the actor that its events name; None is the host. *check* is called in
    each of its transactions, before anything is written.
    """
    unit = get_unit(current_state())
    return AgentRepository.over(unit if actor is None else unit.acting_as(actor, check))


def attempted(view: _View) -> _View:
    """Wrap *view*, guard included, so that it raises DatabaseProblem for driver errors.

    It runs again, in a new transaction, where the engine says that the transaction was
    rolled back for another one's sake: nothing was stored or announced then. A commit
    whose outcome is not known is never run again.
    """

    @wraps(view)
    def attempt(**arguments: Any) -> Any:
        for pause in (*PAUSES, None):
            try:
                return view(**arguments)
            except current_state().store.errors as error:
                problem = problem_of(error)
                if pause is None or not current_state().store.may_run_again(error):
                    raise problem from error
            start_over()
            time.sleep(random.uniform(0, pause))

    return attempt  # type: ignore[return-value]


def attempted_alone(check: Callable[[], _T]) -> _T:
    """Return ``check()``, which is run again as :func:`attempted` does.

    Only if this context has no session yet: with one, the host may be in a transaction,
    or keep a repository. Raises the database driver's errors.
    """
    state = current_state()
    for pause in () if _UNIT in g else PAUSES:
        try:
            return check()
        except state.store.errors as error:
            if not state.store.may_run_again(error):
                raise
            problem_of(error)
            close_db(state.store)
        time.sleep(random.uniform(0, pause))
    return check()
