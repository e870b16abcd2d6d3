"""Note that a token is presented which its own agent has replaced: a copy is in use."""

from __future__ import annotations

from ..app.database import get_unit, problem_of
from ..app.state import current_state
from ..core.problems import DatabaseProblem, Problem, Unauthorized
from ..storage.reuse import TokenReuse
from .credentials import actor_of
from .noting import noting
from .principals import Principal


def note_reuse(problem: Problem) -> None:
    """Record the token that was refused with *problem*, if it is such a one.

    Left out where the host has a transaction open.
    """
    token_hash = problem.token_hash if isinstance(problem, Unauthorized) else None
    if token_hash is None:
        return
    state = current_state()
    try:
        unit = get_unit(state).acting_as(actor_of(Principal("agent")))
    except DatabaseProblem:
        return
    except state.store.errors as error:
        problem_of(error)
        return
    if not unit.dialect.in_transaction(unit.session):
        with noting(unit, "The use of a replaced token"):
            TokenReuse(unit).tell(token_hash)
