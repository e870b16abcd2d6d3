"""Keep which machines are refused, for an operator to see what to do about them.

Nothing of this may change the answer: what cannot be read is left out, and what cannot
be written now is written later.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from flask import request

from ..app.database import get_unit, problem_of
from ..app.state import FleetState, current_state
from ..auth.guard import refused_token
from ..core import clock
from ..core.limits import NOTE_PATIENCE
from ..core.problems import Conflict, DatabaseBusy, InvalidField, Problem
from ..core.refused import CODES, Refusal
from ..storage.refused_writing import RefusedWriting, Repeats
from .payloads.bodies import RefusedPayload, refused_payload
from .requests import body

logger = logging.getLogger("lea_fleet")


def note_refused(problem: Problem) -> None:
    """Keep a refused enrollment, if its credential was ever issued."""
    if not _is_kept(problem):
        return
    token = refused_token(problem)
    if token is None:
        return
    state = current_state()
    at = clock.iso(clock.now())
    try:
        said = _said(state)
        is_known = isinstance(problem, Conflict)  # which names it as it is stored
        refusal = Refusal(
            token,
            problem.code,
            problem.members["machine_id"] if is_known else said.machine_id,
            said.hostname,
            request.remote_addr,
            at,
        )
        state.refused_machines.note(refusal, partial(_save, state))
    except Exception:
        logger.exception("A refused machine could not be kept")


def _is_kept(problem: Problem) -> bool:
    if problem.code not in CODES:
        return False
    if (request.endpoint or "").rpartition(".")[2] != "enroll":
        return False
    errors = problem.members["errors"] if isinstance(problem, InvalidField) else None
    return errors is None or any(each["field"] == "machine_id" for each in errors)


def _said(state: FleetState) -> RefusedPayload:
    """Return what the request says of the machine.

    Of a caller whose token is not valid any more, the body was not read yet; it is, as
    that of any other: within the same bounds of length and time.
    """
    try:
        return refused_payload(body(state))
    except Problem:
        return RefusedPayload(None, None)


def _save(state: FleetState, repeats: Sequence[Repeats]) -> None:
    unit = get_unit(state)
    if unit.dialect.in_transaction(unit.session):  # the host's own
        raise DatabaseBusy("A transaction is open.")
    try:
        with unit.dialect.patience(unit.session, NOTE_PATIENCE):
            RefusedWriting(unit).write(repeats)
    except state.store.errors as error:
        raise problem_of(error) from error
