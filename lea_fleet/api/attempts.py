"""Translate database errors of a view; run it again after a conflict."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ..app.database import problem_of, start_over
from ..app.state import current_state

_View = TypeVar("_View", bound=Callable[..., Any])

#: Seconds before the second attempt and the third, at most: a random part of them, so
#: that requests that were in each other's way are not again.
_PAUSES = (0.05, 0.2)


def attempted(view: _View) -> _View:
    """Wrap *view*, guard included, so that it raises DatabaseProblem for driver errors.

    It runs again, in a new transaction, where the engine says that the transaction was
    rolled back for another one's sake: nothing was stored or announced then. A commit
    whose outcome is not known is never run again.
    """

    @wraps(view)
    def attempt(**arguments: Any) -> Any:
        for pause in (*_PAUSES, None):
            try:
                return view(**arguments)
            except current_state().store.errors as error:
                if pause is None or not current_state().store.is_conflict(error):
                    raise problem_of(error) from error
            start_over()
            time.sleep(random.uniform(0, pause))

    return attempt  # type: ignore[return-value]
