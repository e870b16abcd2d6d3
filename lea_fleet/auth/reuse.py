"""Note that a token is presented which its own agent has replaced: a copy is in use."""

from __future__ import annotations

import logging

from ..app.database import get_unit, problem_of
from ..app.state import current_state
from ..core.limits import NOTE_PATIENCE
from ..core.problems import DatabaseProblem, Problem, Unauthorized
from ..storage.reuse import TokenReuse
from .credentials import actor_of
from .principals import Principal

logger = logging.getLogger("lea_fleet")


def note_reuse(problem: Problem) -> None:
    """Record the token that was refused with *problem*, if it is such a one.

    Nothing of this may change the answer: where the database is busy, or the host has a
    transaction open, it is left out, and noted the next time.
    """
    token_hash = problem.token_hash if isinstance(problem, Unauthorized) else None
    if token_hash is None:
        return
    store = current_state().store
    try:
        unit = get_unit(current_state()).acting_as(actor_of(Principal("agent")))
        if unit.dialect.in_transaction(unit.session):
            return
        with unit.dialect.patience(unit.session, NOTE_PATIENCE):
            TokenReuse(unit).tell(token_hash)
    except DatabaseProblem:
        return
    except store.errors as error:
        problem_of(error)  # which forgets sessions that are broken
    except Exception:
        logger.exception("The use of a replaced token could not be recorded")
