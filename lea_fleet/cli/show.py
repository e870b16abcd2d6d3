"""``flask fleet show``: one machine on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from ..app.repository import AgentRepository
from ..core import clock
from ..core.limits import LONGEST_DETAIL
from ..core.rows import Agent, Note, RefusedMachine
from ..core.text import printable
from ..storage.clones import Clones
from ..storage.ignored import Ignored
from ..storage.lookalikes import Lookalikes
from ..storage.presence import Presence
from ..storage.refused import Refused
from ..storage.releases import NEVER, Release
from .command import FleetCommand
from .database import open_listing
from .duplicates import duplicate_lines, duplicates_of, same_user
from .events import say_events
from .options import json_option, machine_argument, say_json
from .release_refused import for_token
from .terminal import ago, at, say

#: As many events as still fit on a screen of 24 lines.
_EVENTS = 5

_DETAILS = {
    "USER": "user_name",
    "E-MAIL": "user_email",
    "USER ID": "user_id",
    "HOSTNAME": "hostname",
    "SYSTEM": "os_info",
    "VERSION": "version",
}


@click.command("show", cls=FleetCommand)
@machine_argument
@json_option
@with_appcontext
def show_command(machine: str, as_json: bool) -> None:
    """Show everything about MACHINE on one screen.

    Its details, its presence, its token, whether it is released, and its last
    events.

    \b
    Example: flask fleet show PC-COMPTA-01
    """
    with open_listing() as repository, repository.snapshot():
        agent = repository.require(machine)
        alike = Lookalikes(repository.unit).of(agent["machine_id"])
        events, _ = repository.events.page(agent["machine_id"], limit=_EVENTS)
        release = _release_of(repository, agent)
        shown = {
            "agent": agent,
            "clone": Clones(repository.unit).signs(agent),
            "lookalikes": alike,
            "duplicates": duplicates_of(repository, agent),
            "same_user": same_user(repository, agent),
            "ignored": Ignored(repository.unit).of(agent),
            "token": repository.tokens.dates(agent),
            "released_until": None if release is None else release.until,
            "released_for": None if release is None else release.enrollment_token,
            "refusals": Refused(repository.unit).of(agent["machine_id"]),
            **repository.states.of(agent),
            **repository.annotations.of(agent),
            "presence_days": repository.unit.rule.presence_days,
            "days": Presence(repository.unit).days(agent),
            "events": events,
        }
    if as_json:
        say_json(shown)
        return
    for name, value in _lines(shown, clock.now()):
        say(f"{name:<11}  {value}")
    say("")
    say_events(events)


def _release_of(repository: AgentRepository, agent: Agent) -> Release | None:
    return repository.releases.find(agent) if agent["status"] == "active" else None


def _lines(shown: dict[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    agent = shown["agent"]
    yield "MACHINE", printable(agent["machine_id"])
    for other in shown["lookalikes"]:
        yield "LOOKS LIKE", f"{printable(other)}, which is another machine"
    if shown["block"] is not None:
        yield "BLOCKED", _block(shown["block"], now)
    yield from duplicate_lines(shown, now)
    yield "PRESENCE", agent["presence"]
    if shown["muted_until"] is not None:
        yield "MUTED", f"until {at(shown['muted_until'])}"
    if shown["retirement"] is not None:
        yield "RETIRING", _retirement(shown["retirement"], now)
    if shown["clone"] is not None:
        yield "CLONE", _clone(shown["clone"], now)
    for heading, name in _DETAILS.items():
        yield heading, printable(agent[name] or "-")
    if shown["tags"]:
        yield "TAGS", printable(", ".join(shown["tags"]))
    if shown["note"] is not None:
        yield "NOTE", _note(shown["note"], now)
    for note in shown["ignored"]:
        yield "IGNORED", _ignored(note, now)
    yield "ENROLLED", _time(agent["enrolled_at"], now)
    yield "LAST SEEN", _time(agent["last_seen_at"], now)
    if shown["presence_days"]:
        seen, kept = len(shown["days"]), shown["presence_days"]
        yield "SEEN ON", f"{seen} of the last {kept} days"
    if agent["status"] != "active":
        yield "UNINSTALLED", _time(agent["uninstalled_at"], now)
        yield "REASON", printable(agent["uninstall_reason"] or "-")
    yield "TOKEN", _token(shown["token"])
    yield "RELEASED", _release(shown["released_until"], shown["released_for"])
    for refused in shown["refusals"]:
        yield "REFUSED", _refused(refused, now)


def _note(note: Note, now: datetime) -> str:
    by = f" by {printable(note['author'])}" if note["author"] else ""
    return f"{printable(note['text'])} ({ago(note['noted_at'], now)}{by})"


def _block(block: dict[str, str | None], now: datetime) -> str:
    reason = f": {printable(block['reason'])}" if block["reason"] else ""
    return f"{_time(block['blocked_at'], now)}{reason}"


def _retirement(dates: dict[str, str | None], now: datetime) -> str:
    told = dates["told_at"]
    heard = "its agent has not come since" if told is None else f"told {at(told)}"
    return f"since {_time(dates['retired_at'], now)}; {heard}"


def _release(until: str | None, token: int | None) -> str:
    if until is None:
        return "no"
    told = "until it enrolls" if until == NEVER else f"until {at(until)}"
    return told if token is None else f"{told}, {for_token(token)} only"


def _refused(refused: RefusedMachine, now: datetime) -> str:
    token = refused["enrollment_token"]
    by = "the operator's token" if token is None else f"enrollment token {token}"
    times = refused["refused"]
    told = f"{refused['code']}, {ago(refused['last_at'], now)}, with {by}"
    return told if times == 1 else f"{told}, {times} times"


def _time(timestamp: str | None, now: datetime) -> str:
    return "never" if timestamp is None else f"{at(timestamp)}, {ago(timestamp, now)}"


def _clone(signs: dict[str, str], now: datetime) -> str:
    return (
        f"suspected, reported {at(signs['reported_at'])}: two hostnames alternate,"
        f" last {ago(signs['alternated_at'], now)}"
    )


def _ignored(note: dict[str, str], now: datetime) -> str:
    length = f"more than {LONGEST_DETAIL} characters"
    return f"{note['field']}: {length}, last {ago(note['ignored_at'], now)}"


def _token(facts: dict[str, str | None] | None) -> str:
    """Describe what :meth:`AgentTokens.dates` returns."""
    if facts is None:
        return "none"
    said = []
    if facts["issued_at"] is not None:
        used = facts["first_used_at"]
        said.append("never used" if used is None else f"first used {at(used)}")
    if facts["rotated_at"] is not None:
        said.append(f"rotated {at(facts['rotated_at'])}, the new one not used yet")
    return "; ".join(said)
