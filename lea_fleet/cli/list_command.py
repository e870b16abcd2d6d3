"""``flask fleet list``: list machines as a table, JSON or CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import click
from flask.cli import with_appcontext

from ..api.documents import fleet_as_csv
from ..app.repository import AgentRepository
from ..core.csv.forms import Form
from ..core import clock
from ..core.limits import MOST_MACHINES_PRINTED
from ..core.listing import (
    ACTIVE_PRESENCES,
    NEWEST_FIRST,
    SORTS,
    STATUSES,
    FleetFilter,
    is_sort,
)
from ..core.pages import Page, PageReader
from ..core.rows import Agent, Listed
from ..core.text import printable
from ..storage.duplicates import Duplicates
from ..storage.listed import listed_of
from ..storage.listing import Listing
from ..storage.lookalikes import Lookalikes
from .command import FleetCommand
from .completion import sorts
from .database import name_default_database, open_fleet, open_listing
from .filter_options import filter_of, filter_options, given
from .options import checked_text, json_option, say_json
from .terminal import ago, at, pour, say, screen_width, styled, table
from .view import narrowed
from .watch import INTERVAL, interval_option, watch, watch_option

_HEADING = ("MACHINE", "USER", "HOSTNAME", "VERSION", "PRESENCE", "LAST SEEN")
_FIXED = {0, 4, 5}
_OF_DEPARTED = (*_HEADING[:4], "UNINSTALLED", "REASON")
_FIXED_OF_DEPARTED = {0, 4}
#: Lines of a watched screen besides machines: heading, "more", blank, totals.
_AROUND = 4
#: Of what is unusual: machines that are online have none.
_COLORS = {"offline": "yellow", "stale": "red", "pending": "cyan"}


class Marks(NamedTuple):
    """What marks machines in the table, by their ids.

    *signs* are a tilde for an active one whose id looks like that of another, and an
    equals sign for one that another seems to have replaced; *states* has the words for
    what an operator has decided about them.
    """

    signs: Mapping[str, str] = {}
    states: Mapping[str, list[str]] = {}

    def added(self, cell: str, agent: Agent) -> str:
        return ", ".join([cell, *self.states.get(agent["machine_id"], ())])


def _sort(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not is_sort(value):
        raise click.BadParameter(f"must be one of {', '.join(SORTS)}.")
    return value


@click.command("list", cls=FleetCommand)
@click.option(
    "--view",
    metavar="NAME",
    callback=checked_text,
    help="Use the filters and order of this shared view; see flask fleet view.",
)
@filter_options
@click.option(
    "--sort",
    metavar="COLUMN",
    callback=_sort,
    shell_complete=sorts,
    default=NEWEST_FIRST,
    show_default=True,
    help="Column to sort by; descending with - before it.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, MOST_MACHINES_PRINTED),
    help="Maximum number of machines.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for Excel and others.")
@click.option(
    "--semicolon", is_flag=True, help="Print CSV with semicolons, for Excel in French."
)
@watch_option
@interval_option
@with_appcontext
def list_machines(
    view: str | None,
    sort: str,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    semicolon: bool,
    watching: bool,
    interval: float | None,
    **filters: Any,
) -> None:
    """List machines, newest enrollment first.

    The table fits the terminal (or COLUMNS); what is cut ends in an ellipsis, and
    MACHINE is never cut. In a pipe or file everything is whole. An exclamation mark
    after the presence marks a suspected clone: two computers with one machine id; a
    tilde, that another active machine has an id that looks the same; an equals sign,
    that another machine seems to have replaced it, which flask fleet show names;
    "blocked" that nothing enrolls it again. The totals count all matches, whatever
    their status. With --status uninstalled, date and reason take the place of presence
    and last seen; with --blocked, all statuses are listed unless one is given. With
    --view, what is given here takes the place of the same filter of the view, and all
    statuses are listed that the view has.

    \b
    Example: flask fleet list --presence offline --search compta
    """
    if [as_json, as_csv or semicolon, watching].count(True) > 1:
        raise click.UsageError("Give only one of --json, CSV and --watch.")
    if interval is not None and not watching:
        raise click.UsageError("--interval needs --watch.")
    page = Page(_wanted(view, filters, sort), limit)
    if watching:
        name_default_database()
        watch(partial(_frame, page), interval or INTERVAL)
        return
    if as_csv or semicolon:
        _print_csv(page, Form("semicolon" if semicolon else "comma"))
        return
    with open_listing() as repository:
        agents, totals = _read(repository, page)
        marks = Marks() if as_json else _marks(repository)
    if as_json:
        active = [agent for agent in agents if agent["status"] == "active"]
        others = [agent for agent in agents if agent["status"] != "active"]
        as_api = {"active": active, "uninstalled": others, "totals": totals}
        say_json({"agents": agents, **as_api})
        return
    for line in _table(page.wanted.status, agents, marks):
        say(line)
    if agents:
        say("")
    say(totals_line(totals))


def _wanted(view: str | None, filters: dict[str, Any], sort: str) -> FleetFilter:
    if view is None:
        return filter_of(filters, sort=sort)
    return narrowed(view, given(filters, sort=sort))


def _frame(page: Page, height: int) -> list[str]:
    """Return the table of *page* as it is now, in at most *height* lines."""
    room = max(height - _AROUND, 1)
    rows = room if page.limit is None else min(room, page.limit)
    with open_fleet() as repository:
        agents, totals = _read(repository, replace(page, limit=rows))
        marks = _marks(repository)
    statuses = STATUSES if page.wanted.status is None else (page.wanted.status,)
    wanted = min(sum(totals[status] for status in statuses), page.limit or math.inf)
    more = [f"… and {wanted - len(agents)} more"] if wanted > len(agents) else []
    listed = _table(page.wanted.status, agents, marks)
    return [*listed, *more, "", totals_line(totals)]


def _read(
    repository: AgentRepository, page: Page
) -> tuple[list[Listed], dict[str, int]]:
    with repository.snapshot():
        listing = Listing(repository.unit)
        reader = PageReader(partial(listing.batches, listing.select), page)
        agents = list(map(listed_of, reader.rows()))
        return agents, listing.totals(replace(page.wanted, status=None))


def _marks(repository: AgentRepository) -> Marks:
    alike = chain.from_iterable(Lookalikes(repository.unit).active())
    signs = dict.fromkeys(alike, "~")
    for pair in Duplicates(repository.unit).pairs():
        signs[pair.former] = f"{signs.get(pair.former, '')}="
    return Marks(signs, repository.states.marks())


def _print_csv(page: Page, form: Form) -> None:
    with open_listing() as repository:
        document = fleet_as_csv(repository.unit, page, form=form)
    with document.file as file:
        pour(file)


def _table(status: str | None, agents: list[Listed], marks: Marks) -> list[str]:
    """Return the lines of the table of *agents*, all of which have that *status*."""
    if not agents:
        return []
    if status == "uninstalled":
        rows = [_OF_DEPARTED, *(_row_of_departed(each, marks) for each in agents)]
        fixed = _FIXED_OF_DEPARTED
    else:
        now = clock.now()
        rows, fixed = [_HEADING, *(_row(each, now, marks) for each in agents)], _FIXED
    if any(agent["tags"] for agent in agents):
        tags = [printable(", ".join(agent["tags"])) for agent in agents]
        rows = [[*row, cell] for row, cell in zip(rows, ["TAGS", *tags])]
    heading, *lines = table(rows, screen_width(), fixed=fixed)
    return [
        styled(heading, bold=True),
        *(styled(line, fg=_color(agent)) for agent, line in zip(agents, lines)),
    ]


def _color(agent: Agent) -> str | None:
    return "red" if agent["suspected_clone"] else _COLORS.get(agent["presence"])


def _row(agent: Agent, now: datetime, marks: Marks) -> list[str]:
    clone = "!" if agent["suspected_clone"] else ""
    sign = marks.signs.get(agent["machine_id"], "")
    return [
        *machine_cells(agent),
        marks.added(agent["presence"] + clone + sign, agent),
        ago(agent["last_seen_at"], now),
    ]


def _row_of_departed(agent: Agent, marks: Marks) -> list[str]:
    reason = printable(agent["uninstall_reason"] or "-")
    since = marks.added(at(agent["uninstalled_at"]), agent)
    return [*machine_cells(agent), since, reason]


def machine_cells(agent: Agent) -> list[str]:
    """Return the cells MACHINE, USER, HOSTNAME and VERSION of a table."""
    cells = (agent["machine_id"], agent["user_name"], agent["hostname"])
    return [printable(text or "-") for text in (*cells, agent["version"])]


def totals_line(totals: dict[str, int]) -> str:
    """Return the counts of :meth:`AgentRepository.totals` in one line."""
    plural = "" if totals["total"] == 1 else "s"
    return f"{totals['total']} machine{plural}: {counted(totals)}"


def counted(totals: dict[str, int]) -> str:
    """Return the counts by status and presence; pending ones, if there are any."""
    told = ", ".join(
        f"{totals[name]} {name}"
        for name in ACTIVE_PRESENCES
        if totals[name] or name != "pending"
    )
    return f"{totals['active']} active ({told}), {totals['uninstalled']} uninstalled"
