"""What is known of one person, and nothing about others. Knows no Flask and no SQL.

An event of a time in which the machine may have been another's is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .ownership import History
from ..text import folded

_OPERATORS = ("user", "os_user")
_FREE_TEXT = ("reason", "label")


def events_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return the events of a machine while it was surely that person's.

    That is the one with that *email*, which is folded. The event in which it came
    to them or went to another has their side only.
    """
    return [
        _shown(history, email, number)
        for number in range(len(history.events))
        if {email} in (history.before[number], history.after[number])
    ]


def acts_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return what that person has done as an operator, without to whom."""
    return [
        {name: event[name] for name in ("id", "event", "at", "machine_id", "actor")}
        for event in history.events
        if is_actor(event, email)
    ]


def mentions_of(history: History, email: str) -> list[dict[str, Any]]:
    """Return the free texts that name that person, on whosever machine."""
    return [
        {name: event[name] for name in ("id", "event", "at", "machine_id")}
        | {"text": event["detail"][name]}
        for event in history.events
        for name in _FREE_TEXT
        if email in folded(event["detail"].get(name))
        and not _names_others(history, email, event["detail"][name])
    ]


def is_actor(event: Mapping[str, Any], email: str) -> bool:
    """Tell whether an event is what that person has done as an operator."""
    return any(folded(event["actor"].get(name)) == email for name in _OPERATORS)


def _shown(history: History, email: str, number: int) -> dict[str, Any]:
    event = history.events[number]
    detail = dict(event["detail"])
    for side in ("before", "after"):
        if isinstance(detail.get(side), dict):
            said = detail[side].items()
            detail[side] = {
                name: value if _is_theirs(history, email, name, value) else None
                for name, value in said
            }
    if "hostnames" in detail:
        mine = history.of(email)
        detail["hostnames"] = [n for n in detail["hostnames"] if folded(n) in mine]
    if _names_others(history, email, detail.get("reason")):
        detail["reason"] = None
    return {**event, "actor": _actor(history, email, number), "detail": detail}


def _is_theirs(history: History, email: str, name: str, value: object) -> bool:
    text = folded(value)
    if name == "hostname":  # which the next user's machine has as well
        return text in history.of(email)
    return text in history.only_of(email)


def _names_others(history: History, email: str, text: object) -> bool:
    others = history.of_others(email) - history.of(email)
    return any(value in folded(text) for value in others)


def _actor(history: History, email: str, number: int) -> dict[str, Any]:
    """Return who acted: the machine while it was theirs, they, or just a role."""
    event = history.events[number]
    actor: dict[str, Any] = event["actor"]
    on_theirs = actor["role"] in ("agent", "installer")
    if is_actor(event, email) or (on_theirs and history.after[number] == {email}):
        return actor
    return {"role": actor["role"]}
