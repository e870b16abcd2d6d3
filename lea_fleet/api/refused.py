"""Keep which machines are refused, for an operator to see what to do about them.

Nothing of this may change the answer: what cannot be read is left out, and what cannot
be written now is written later.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import partial

from flask import request

from ..app.database import get_unit, problem_of
from ..app.state import FleetState, current_state
from ..auth.guard import bearer_token, refused_token
from ..core import clock
from ..core.limits import LONGEST_MACHINE_ID, NOTE_PATIENCE
from ..core.problems import Conflict, DatabaseBusy, InvalidField, Problem
from ..core.refused import CODES, Refusal, look_of
from ..core.tokens import PREFIXES
from ..storage.refused_writing import RefusedWriting, Repeats
from .payloads.bodies import RefusedPayload, refused_payload
from .requests import body

#: A token of ours, or a part of one.
_TOKEN = re.compile(f"(?:{'|'.join(PREFIXES)})[\\w-]{{8,}}")

#: Shorter ones may be a part of many names.
_SHORTEST_SECRET = 8

logger = logging.getLogger("lea_fleet")


def note_refused(problem: Problem) -> None:
    """Keep a refused enrollment, if its credential was ever issued."""
    if not _is_kept(problem):
        return
    token = refused_token(problem)
    if token is None:
        return
    state = current_state()
    try:
        refusal = _refusal(problem, token, state)
        state.refused_machines.note(refusal, partial(_save, state))
    except Exception:
        logger.exception("A refused machine could not be kept")


def _refusal(problem: Problem, token: int, state: FleetState) -> Refusal:
    """Return what is kept of a request: no id that is not valid, and no secret."""
    at, said = clock.iso(clock.now()), _said(state)
    sent, hostname = said.machine_id, said.hostname
    secrets = _secrets(state)
    machine_id: str | None = None
    if isinstance(problem, Conflict):  # which names it as it is stored
        machine_id = problem.members["machine_id"]
    elif not (isinstance(problem, InvalidField) or _has_secret(sent, secrets)):
        machine_id = sent and sent[:LONGEST_MACHINE_ID]
    return Refusal(
        token,
        look_of(machine_id, sent),
        problem.code,
        machine_id,
        None if _has_secret(hostname, secrets) else hostname,
        request.remote_addr,
        at,
    )


def _secrets(state: FleetState) -> list[str]:
    """Return the secrets that a setup may send in the wrong place."""
    sent = bearer_token(), request.headers.get("Idempotency-Key")
    settings = state.settings
    known = (*sent, settings.api_token, settings.metrics_token)
    return [secret for secret in known if secret and len(secret) >= _SHORTEST_SECRET]


def _has_secret(text: str | None, secrets: list[str]) -> bool:
    if text is None:
        return False
    return _TOKEN.search(text) is not None or any(each in text for each in secrets)


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
