"""Routes to select machines, and to act on all of a selection."""

from __future__ import annotations

import json
from dataclasses import replace

from flask import Response

from ...app.bulk import act_on, names_of
from ...app.state import current_state
from ...auth.guard import acting_repository, caller
from ...core.limits import MOST_SELECTED
from ...core.listing import FleetFilter
from ...core.pages import Page
from ...core.problems import InvalidField, UnknownSelection
from ...core.rows import Agent
from ...core.tokens import hash_token
from ...storage.listing import Listing
from ...storage.selections import Selection, Selections
from ...storage.unit_of_work import UnitOfWork
from ..blueprint import blueprint
from ..documents import fleet_as_csv
from ..payloads.selections import (
    bulk_payload,
    export_query,
    selection_payload,
    stored_filter,
)
from ..requests import body, numbered, parameters
from ..responses import csv_response, json_response

#: The machines of a selection that its answer names.
_NAMED = 10


@blueprint.post("/selections")
def select() -> Response:
    """Select machines by row ids and a filter; nothing is done with them yet."""
    wanted = selection_payload(body(current_state()))
    unit = acting_repository().unit
    listing = Listing(unit)
    with unit.snapshot():  # others may write while the fleet is read
        ids = [*listing.names(replace(wanted.wanted, ids=wanted.ids))]
        first = FleetFilter(ids=frozenset(ids[:_NAMED]))
        sample = listing.page(first, limit=_NAMED).agents
    if len(ids) > MOST_SELECTED:
        message = f"selects more than {MOST_SELECTED} machines"
        raise InvalidField([{"field": "filter", "message": message}])
    with unit.transaction():
        selection = Selections(unit).keep(json.dumps(wanted.filter), _owner(), ids)
    answer = {
        "id": selection.id,
        "machines": selection.machines,
        "steps": selection.steps,
        "sample": [_shown(agent) for agent in sample],
        "expires_at": selection.expires_at,
    }
    return json_response(answer, 201)


@blueprint.post("/selections/<selection_id>")
def act(selection_id: str) -> Response:
    """Act on the machines of one step of a selection that still match its filter."""
    number, repository = numbered(selection_id), acting_repository()
    asked = bulk_payload(body(current_state()), repository.unit.now)
    selection = _required(repository.unit, number)
    ids = Selections(repository.unit).ids(selection.id, asked.step)
    if not ids:
        message = f"must be less than {selection.steps}, the number of steps"
        raise InvalidField([{"field": "step", "message": message}])
    names = names_of(repository, ids)
    wanted = stored_filter(selection.filter)
    with repository.transaction(about=asked.action.about(names)):
        done = act_on(repository, names, wanted, asked.action)
    following = asked.step + 1
    return json_response(
        {
            "action": asked.name,
            "done": done.done,
            "failed": [failure._asdict() for failure in done.failed],
            "unmatched": done.unmatched,
            "next_step": following if following < selection.steps else None,
        }
    )


@blueprint.get("/selections/<selection_id>/csv")
def export(selection_id: str) -> Response:
    """Export the machines of a selection as CSV, whatever has changed since."""
    form = export_query(parameters())
    unit = acting_repository().unit
    selection = _required(unit, numbered(selection_id))
    wanted = FleetFilter(ids=frozenset(Selections(unit).ids(selection.id)))
    document = fleet_as_csv(unit, Page(wanted), form=form)
    return csv_response(document.file, "fleet")


def _required(unit: UnitOfWork, number: int) -> Selection:
    selection = Selections(unit).find(number, _owner())
    if selection is None:
        raise UnknownSelection(
            "You have no such selection; one is kept for 15 minutes. Select again."
        )
    return selection


def _owner() -> str:
    return hash_token(caller().credential.encode())


def _shown(agent: Agent) -> dict[str, str | None]:
    return {
        "machine_id": agent["machine_id"],
        "hostname": agent["hostname"],
        "user_name": agent["user_name"],
    }
