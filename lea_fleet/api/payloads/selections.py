"""Validate what operators ask for machines that they have selected."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ...app.bulk import Action, blocking
from ...core.csv.forms import Form
from ...core.limits import (
    LARGEST_ID,
    LONGEST_BODY,
    LONGEST_NOTE,
    LONGEST_REASON,
    MOST_SELECTED,
)
from ...core.listing import FILTERS, FleetFilter
from .annotations import note_payload, tags_payload
from .bodies import (
    block_payload,
    mute_payload,
    uninstall_payload,
)
from .members import Members, fault_of_text, parse_object
from .queries import CSV, REPEATABLE, csv_form, filter_of, single


class SelectionPayload(NamedTuple):
    """*filter* has the parameters of a list, as they were sent, and *wanted* its value.

    *ids* are row ids, if machines were chosen one by one.
    """

    filter: dict[str, str]
    wanted: FleetFilter
    ids: frozenset[int] | None


class BulkPayload(NamedTuple):
    """What to do with the machines of a *step*, and the name of that."""

    name: str
    action: Action
    step: int


def selection_payload(body: bytes) -> SelectionPayload:
    """Validate the *body* of a selection: row ids, a filter, or both; or all machines.

    A filter that says nothing is refused, since an empty variable of a script would
    select the whole fleet. Raises InvalidJson and InvalidField.
    """
    sent = parse_object(body)
    members = Members(sent)
    for name in sent.keys() - {"ids", "filter", "all"}:
        members.refuse(name[:40], "is not a member of this body")
    is_all = members.boolean("all", default=False)
    ids = _ids(members, sent.get("ids"))
    filter = _texts(members, sent.get("filter"))
    if members.has("filter") and not filter:
        members.refuse("filter", "must not be empty")
    if is_all and (ids is not None or filter):
        members.refuse("all", "must not be beside ids or filter")
    elif not is_all and ids is None and not filter:
        members.refuse("filter", "or ids is required, or all")
    members.check()
    wanted = filter_of(filter)
    for name in filter:
        if getattr(wanted, name) in (None, ()):
            members.refuse("filter", f"must not have {name} without a value")
    members.check()
    return SelectionPayload(filter, wanted, ids)


def stored_filter(text: str) -> FleetFilter:
    """Return the filter of a selection, stored as the JSON of what was sent."""
    return filter_of(json.loads(text))


def bulk_payload(body: bytes, now: datetime) -> BulkPayload:
    """Validate the *body* of a step of a bulk action.

    Raises InvalidJson and InvalidField.
    """
    members = Members(parse_object(body))
    name = members.choice("action", _ACTS)
    if name is None:
        members.refuse("action", "is required")
    step = members.integer("step", LARGEST_ID, 0)
    for field, longest in _TEXTS.items():  # also those that the action does not use
        members.text(field, longest)
    for field in ("add", "remove"):
        members.strings(field)
    members.check()
    return BulkPayload(name or "", _ACTS[name or ""](body, now), step or 0)


def export_query(parameters: Mapping[str, Sequence[str]]) -> Form:
    """Validate the *parameters* of an export; return the form of its file.

    Raises InvalidField for one that is not valid.
    """
    members = single(parameters, *CSV)
    form = csv_form(members)
    members.check()
    return form


def _release(body: bytes, now: datetime) -> Action:
    return Action(lambda repository, machine_id: repository.release(machine_id))


def _uninstall(body: bytes, now: datetime) -> Action:
    reason = uninstall_payload(body).reason
    return Action(
        lambda repository, machine_id: repository.uninstall(machine_id, reason)
    )


def _retire(body: bytes, now: datetime) -> Action:
    return Action(lambda repository, machine_id: repository.states.retire(machine_id))


def _block(body: bytes, now: datetime) -> Action:
    reason = block_payload(body)
    return blocking(
        lambda repository, machine_id: repository.states.block(machine_id, reason)
    )


def _mute(body: bytes, now: datetime) -> Action:
    until = mute_payload(body, now)
    return Action(
        lambda repository, machine_id: repository.states.mute(machine_id, until)
    )


def _tag(body: bytes, now: datetime) -> Action:
    tags = tags_payload(body)
    return Action(
        lambda repository, machine_id: repository.annotations.tag(machine_id, *tags)
    )


def _note(body: bytes, now: datetime) -> Action:
    text = note_payload(body)
    return Action(
        lambda repository, machine_id: repository.annotations.note(machine_id, text)
    )


#: What can be done with many machines at once: not what hands out a token to each.
_ACTS: dict[str, Callable[[bytes, datetime], Action]] = {
    "release": _release,
    "uninstall": _uninstall,
    "retire": _retire,
    "block": _block,
    "mute": _mute,
    "tag": _tag,
    "note": _note,
}


#: The members of an action that are text, and their longest.
_TEXTS = {
    "reason": LONGEST_REASON,
    "until": LONGEST_BODY,
    "for": LONGEST_BODY,
    "text": LONGEST_NOTE,
}


def _ids(members: Members, sent: Any) -> frozenset[int] | None:
    if sent is None:
        return None
    are_numbers = isinstance(sent, list) and all(
        type(each) is int and 1 <= each <= LARGEST_ID for each in sent
    )
    if not are_numbers or not 1 <= len(sent) <= MOST_SELECTED:
        members.refuse("ids", f"must be a list of 1 to {MOST_SELECTED} numbers")
        return None
    return frozenset(sent)


def _texts(members: Members, sent: Any) -> dict[str, str]:
    """Return the parameters of a list in an object, each as one text."""
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        members.refuse("filter", "must be an object")
        return {}
    texts = {}
    for name, value in sent.items():
        listed = value if isinstance(value, list) and name in REPEATABLE else [value]
        if name not in FILTERS:
            members.refuse("filter", f"has no member {name[:40]!r}")
        elif not all(isinstance(each, str) for each in listed):
            members.refuse("filter", f"must have text as {name}")
        elif fault := fault_of_text(",".join(listed), LONGEST_BODY):
            members.refuse("filter", f"{name} {fault}")
        else:
            texts[name] = ",".join(listed)
    return texts
