"""Note beside an answer what the request has shown: nothing of that may change it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..app.database import problem_of
from ..app.state import current_state
from ..core.limits import NOTE_PATIENCE
from ..core.problems import DatabaseProblem
from ..storage.unit_of_work import UnitOfWork

logger = logging.getLogger("lea_fleet")


@contextmanager
def noting(unit: UnitOfWork, what: str) -> Iterator[None]:
    """Run the block, which writes in a transaction of its own, and forget its errors.

    Where the database is busy, it is left out, and noted the next time. *what* is for
    the log.
    """
    try:
        with unit.dialect.patience(unit.session, NOTE_PATIENCE):
            yield
    except DatabaseProblem:
        return
    except current_state().store.errors as error:
        problem_of(error)  # which forgets sessions that are broken
    except Exception:
        logger.exception("%s could not be recorded", what)
