"""What ``flask fleet show`` says of a machine that is another one's duplicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ..app.repository import AgentRepository
from ..core.rows import Agent
from ..core.text import printable
from ..storage.duplicates import Duplicates
from .faults import as_argument
from .terminal import ago, at

#: Other machines of the same user that are named.
_USERS = 5


def duplicates_of(repository: AgentRepository, agent: Agent) -> list[dict[str, Any]]:
    """Return the pairs that a machine is one of, and who said their hostnames."""
    if agent["status"] != "active":
        return []
    found = Duplicates(repository.unit)
    return [
        {
            "because": pair.because,
            **{
                side: _in_pair(found, repository.require(machine_id))
                for side, machine_id in (("former", pair.former), ("heir", pair.heir))
            },
        }
        for pair in found.of(agent["machine_id"])
    ]


def _in_pair(found: Duplicates, agent: Agent) -> dict[str, Any]:
    names = ("machine_id", "hostname", "enrolled_at", "last_seen_at")
    said = found.said(agent)
    return {
        **{name: value for name, value in agent.items() if name in names},
        "hostname_said_by": said.by,
        "hostname_said_at": said.at,
    }


def same_user(repository: AgentRepository, agent: Agent) -> list[dict[str, Any]]:
    """Return other active machines of a machine's user."""
    if agent["status"] != "active":
        return []
    names = ("machine_id", "presence", "last_seen_at")
    return [
        {name: value for name, value in other.items() if name in names}
        for other in Duplicates(repository.unit).same_user(agent, _USERS)
    ]


def duplicate_lines(
    shown: Mapping[str, Any], now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield the lines about the duplicates of a machine and its user's others."""
    for pair in shown["duplicates"]:
        yield from _of_pair(pair, shown["agent"]["machine_id"], now)
    for other in shown["same_user"]:
        yield "SAME USER", _other(other, now)


def _of_pair(
    pair: dict[str, Any], machine_id: str, now: datetime
) -> Iterator[tuple[str, str]]:
    former, heir = pair["former"], pair["heir"]
    other = heir if machine_id == former["machine_id"] else former
    name = printable(other["machine_id"])
    if other is heir:
        yield "REPLACED BY", f"{name}, it seems, which came {at(heir['enrolled_at'])}"
    else:
        seen = former["last_seen_at"]
        since = "never seen" if seen is None else f"last seen {ago(seen, now)}"
        yield "REPLACES", f"{name}, it seems, {since}"
    if pair["because"] == "hostname":
        for each in (former, heir):
            yield "", f"hostname of {printable(each['machine_id'])}: {_said(each)}"
    words = as_argument(former["machine_id"], heir["machine_id"])
    yield "", f"To uninstall the former: flask fleet replace {words}"


def _said(each: dict[str, Any]) -> str:
    by, when = each["hostname_said_by"], each["hostname_said_at"]
    if by is None:
        return "imported or typed, not said by the machine"
    return f"said {at(when)} by {'itself' if by == 'machine' else f'an {by}'}"


def _other(other: dict[str, Any], now: datetime) -> str:
    seen = other["last_seen_at"]
    since = "never seen" if seen is None else f"last seen {at(seen)}, {ago(seen, now)}"
    return f"{printable(other['machine_id'])}, {other['presence']}, {since}"
