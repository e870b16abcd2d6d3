"""Collect the events about one person for an export, without data of others.

An event from a time when somebody else may have had the machine is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..event_types import Holds
from ..event_details import holds, members
from ..events import ROLES_ON_THE_MACHINE
from ..identity import is_longer_spelling
from ..rows import Block, Note
from ..text import folded
from .addresses import addresses, mentions, mentions_any, names, without_others
from .ownership import History
from .redaction import operator_names


def events_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return the events from when the machine certainly belonged to one person.

    *email* is that person's, folded. Of events in which the machine changed hands, only
    that person's side is shown.
    """
    return [
        _shown(history, email, number)
        for number in range(len(history.events))
        if {email} in (history.before[number], history.after[number])
    ]


def acts_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return the events that name that person as operator, without their details."""
    return [
        {name: event[name] for name in ("id", "event", "at", "machine_id", "actor")}
        for event in history.events
        if operator_names(event["actor"], email)
    ]


def mentions_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return the free texts that contain *email*, and no data of others."""
    return [
        {name: event[name] for name in ("id", "event", "at", "machine_id")}
        | {"text": event["detail"][name]}
        for event in history.events
        for name in members(event["detail"], Holds.FREE_TEXT)
        if mentions(event["detail"][name], email)
        and not _names_others(history, email, event["detail"][name])
    ]


def block_of(history: History, email: str, block: Block) -> dict[str, Any] | None:
    """Return the block of a machine that is theirs, or whose reason mentions them.

    None if it is neither, or only mentioned beside others.
    """
    has_others = _names_others(history, email, block["reason"])
    if history.holder != email and (has_others or not mentions(block["reason"], email)):
        return None
    shown = {name: block[name] for name in ("machine_id", "blocked_at", "reason")}
    return shown | ({"reason": None} if has_others else {})


def notes_of(
    history: History, email: str, machine_id: str, note: Note
) -> list[dict[str, Any]]:
    """Return the *note* about a machine that is theirs, names them, or is by them.

    Without its text if that names others, and without its author if it is another.
    """
    others = {*addresses(note["text"])} - {email}
    is_shown = not others and not _names_others(history, email, note["text"])
    text = note["text"] if is_shown else None
    author = note["author"] if names(note["author"], email) else None
    is_about = history.holder == email or mentions(note["text"], email)
    if not is_about and author is None:
        return []
    told = {"text": text, "author": author, "noted_at": note["noted_at"]}
    return [{"machine_id": machine_id, **told}]


def tags_of(history: History, email: str, tags: Iterable[str]) -> list[str]:
    """Return those *tags* of a machine that are theirs, or name only them."""
    return [
        tag
        for tag in tags
        if (history.holder == email or mentions(tag, email))
        and not {*addresses(tag)} - {email}
        and not _names_others(history, email, tag)
    ]


def refusals_of(
    history: History, email: str, rows: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return those *rows* of refused machines that are of that person.

    Those with their hostname, and those of the machine that they have now.
    """
    found = []
    for row in rows:
        name = row["hostname"]
        is_theirs_by_name = name is not None and (
            names(name, email) or is_theirs(history, email, "hostname", name)
        )
        if is_theirs_by_name:
            found.append({**row})
        elif history.holder == email and (name or row["address"]):
            is_anothers = folded(name) in history.of_others(email)
            found.append({**row, "hostname": None if is_anothers else name})
    return found


def _shown(history: History, email: str, number: int) -> dict[str, Any]:
    event = history.events[number]
    detail = {
        name: _member(history, email, holds(name), value)
        for name, value in event["detail"].items()
    }
    return {**event, "actor": _actor(history, email, number), "detail": detail}


def _member(history: History, email: str, held: Holds, value: Any) -> Any:
    """Return a member of a detail as that person may see it."""
    if held is Holds.FREE_TEXT:
        return None if _names_others(history, email, value) else value
    if held is Holds.HOSTNAMES:
        return [name for name in value if is_theirs(history, email, "hostname", name)]
    if held is Holds.NOTHING_PERSONAL or not isinstance(value, dict):
        return value
    return {
        name: (
            without_others(text, email)
            if is_theirs(history, email, name, text)
            else None
        )
        for name, text in value.items()
    }


def is_theirs(history: History, email: str, name: str, value: object) -> bool:
    """Tell whether *value* of the column *name* is certainly data of that person.

    *email* is theirs, folded.
    """
    text = folded(value)
    if name == "hostname":  # stays the same when the machine gets another user
        mine = history.certainly_of(email)
        others = history.of_others(email)
        return text in mine or text not in others and is_longer_spelling(text, mine)
    return text in history.only_of(email) or names(text, email)


def _names_others(history: History, email: str, text: object) -> bool:
    return mentions_any(text, history.of_others(email) - history.of(email))


def _actor(history: History, email: str, number: int) -> dict[str, Any]:
    """Return the actor in full if it is that person or their machine; else its role."""
    event = history.events[number]
    actor: dict[str, Any] = event["actor"]
    on_theirs = actor["role"] in ROLES_ON_THE_MACHINE
    is_shown = on_theirs and history.after[number] == {email}
    if is_shown or operator_names(actor, email):
        return actor
    return {"role": actor["role"]}
