"""``flask fleet view …``: save, list and delete shared views of the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click
from flask.cli import with_appcontext

from ..api.payloads.views import canonical, checked_columns, fault_of, wanted_by
from ..core.limits import LARGEST_ID, LONGEST_VIEW_FILTERS
from ..core.listing import FleetFilter
from ..core.rows import View
from ..core.text import printable
from ..core.views import USUAL_COLUMNS, Wanted, view_name
from ..storage.attempts import attempts
from ..storage.views import Views
from .command import FleetCommand, FleetGroup
from .completion import view_ids
from .consent import (
    changed,
    confirm,
    dry_run_option,
    open_for_change,
    open_or_begin_for_change,
    tried,
    unasked_option,
)
from .database import open_fleet, open_listing
from .options import checked_text, create_option, json_option, say_json
from .output import answer
from .terminal import at, say_table


def narrowed(name: str, given: Mapping[str, Any]) -> FleetFilter:
    """Return what the shared view of that *name* selects; what is *given* wins.

    Raises ClickException where there is none, or its filters are no longer known.
    """
    with open_fleet() as repository:
        view = Views(repository.unit).shared_as(name)
    if view is None:
        raise click.ClickException(
            f"No shared view has the name {printable(name)}: flask fleet view list"
            " prints their names."
        )
    try:
        return replace(wanted_by(view["filters"]), **given)
    except ValueError as error:
        said = f"The view {printable(view['name'])}: filters {error}."
        raise click.ClickException(printable(said)) from None


def _name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    checked_text(context, parameter, value)
    try:
        return view_name(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def _filters(context: click.Context, parameter: click.Parameter, value: str) -> str:
    checked_text(context, parameter, value or None, LONGEST_VIEW_FILTERS)
    try:
        return canonical(value)
    except ValueError as error:
        raise click.BadParameter(printable(f"{error}.")) from None


def _columns(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    if value is None:
        return USUAL_COLUMNS
    try:
        return checked_columns([each.strip() for each in value.split(",")])
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.group("view", cls=FleetGroup)
def view_group() -> None:
    """Save, list and delete shared views of the list."""


@view_group.command("list", cls=FleetCommand)
@click.option("--all", "every", is_flag=True, help="Also the private ones.")
@json_option
@with_appcontext
def list_command(every: bool, as_json: bool) -> None:
    """List the saved views that everybody sees, by name.

    \b
    Example: flask fleet view list
    """
    with open_listing() as repository:
        views = Views(repository.unit)
        listed = views.list() if every else views.shared()
    if as_json:
        say_json({"views": [_members(view) for view in listed]})
        return
    say_table(
        ("ID", "NAME", "OF", "CHANGED", "FILTERS"),
        [_row(view) for view in listed],
        fixed={0, 3},
        empty="No saved views.",
    )


@view_group.command("create", cls=FleetCommand)
@click.argument("name", metavar="NAME", callback=_name)
@click.option(
    "--filters",
    metavar="QUERY",
    default="",
    callback=_filters,
    help="Filters and order, as in the address of the page.",
)
@click.option(
    "--columns",
    metavar="COLUMNS",
    callback=_columns,
    help="The columns that the page shows, separated by commas.",
)
@create_option
@dry_run_option
@json_option
@with_appcontext
def create_command(
    name: str,
    filters: str,
    columns: tuple[str, ...],
    create: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Save a view of the list for everybody.

    QUERY is written as in a URL: presence=stale&silent_for=14d&sort=last_seen_at.

    \b
    Example: flask fleet view create "Gone silent" --filters "silent_for=14d"
    """
    wanted = Wanted(name, True, filters, columns)
    opened = open_or_begin_for_change(dry_run, create)
    with answer() as begin, opened as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                made = Views(repository.unit).create("", wanted)
                said = f"View {made['id']}, {made['name']}: saved"
                begin(changed(said, _members(made), as_json, dry_run))


@view_group.command("delete", cls=FleetCommand)
@click.argument(
    "view_id",
    metavar="ID",
    type=click.IntRange(1, LARGEST_ID),
    shell_complete=view_ids,
)
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def delete_command(view_id: int, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete the saved view with this ID, as shown by the list.

    \b
    Example: flask fleet view delete 3
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        views = Views(repository.unit)
        name = printable(views.require(view_id)["name"])
        confirm(f"Delete view {view_id} ({name})?", yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                views.hold()
                view = views.require(view_id)
                views.delete(view_id)
                said = f"View {view_id}, {printable(view['name'])}: deleted"
                begin(changed(said, _members(view), as_json, dry_run))


def _members(view: View) -> dict[str, Any]:
    """Return *view* as JSON has it: its owner by the name for people."""
    told = {**view, "owner": view["owner_name"], "fault": fault_of(view["filters"])}
    del told["owner_name"]
    return told


def _row(view: View) -> list[str]:
    whose = view["owner_name"] or "-"
    fault = fault_of(view["filters"])
    return [
        str(view["id"]),
        printable(view["name"]),
        printable(whose if view["shared"] else f"{whose}, private"),
        at(view["updated_at"])[:10],
        printable(view["filters"] or "-") if fault is None else printable(fault),
    ]
