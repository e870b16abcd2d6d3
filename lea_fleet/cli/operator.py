"""``flask fleet operator …``: create, list and revoke operators with a name."""

from __future__ import annotations

from functools import partial

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..core.limits import LARGEST_ID, LONGEST_DETAIL, OPERATOR_LIFETIME
from ..core.rows import OPERATOR_ROLES, Operator
from ..core.text import printable
from ..storage.attempts import attempts
from ..storage.operators import Operators
from .command import FleetCommand, FleetGroup
from .completion import operator_ids
from .consent import (
    changed,
    confirm,
    dry_run_option,
    open_for_change,
    open_or_begin_for_change,
    shown_once,
    tried,
    unasked_option,
)
from .database import open_listing
from .options import (
    DurationType,
    checked_text,
    create_option,
    json_option,
    say_json,
)
from .output import answer, note
from .terminal import at, say_table

_DAYS = OPERATOR_LIFETIME // 86400


@click.group("operator", cls=FleetGroup)
def operator_group() -> None:
    """Create, list and revoke the tokens of operators with a name."""


@operator_group.command("create", cls=FleetCommand)
@click.argument(
    "name", metavar="NAME", callback=partial(checked_text, longest=LONGEST_DETAIL)
)
@click.option(
    "--role",
    type=click.Choice(OPERATOR_ROLES),
    required=True,
    help="What the operator may do; see above.",
)
@click.option(
    "--expires",
    metavar="DURATION",
    default=f"{_DAYS}d",
    show_default=True,
    type=DurationType(never=True),
    help="How long the token is valid: 12h, 90d, never.",
)
@click.option(
    "--no-personal",
    is_flag=True,
    help="Show a viewer no names, e-mail addresses, hostnames and reasons.",
)
@create_option
@dry_run_option
@json_option
@with_appcontext
def create_command(
    name: str | None,
    role: str,
    expires: float | None,
    no_personal: bool,
    create: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create an operator and print the token; it is shown once.

    Only the token goes to standard output, so that a script can take it. A viewer
    may only read: lists, machines, the history and metrics. An operator may also
    enroll and change machines and make enrollment tokens. An admin may also make
    operators. Whoever runs commands may do everything: they ask for no token.

    \b
    Example: flask fleet operator create "Nadia, helpdesk" --role operator
    """
    if not name:
        raise click.UsageError("Give the operator a name.")
    if no_personal and role != "viewer":
        raise click.UsageError("Only a viewer can do without personal data.")
    token = tokens.new_operator_token()
    opened = open_or_begin_for_change(dry_run, create)
    with answer() as begin, opened as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                made = Operators(repository.unit).create(
                    token,
                    name=name,
                    role=role,
                    lifetime=expires,
                    personal=not no_personal,
                )
                about = _summary(made)
                said, secret = shown_once(about, "token", token, dry_run)
                begin(changed(said, {**secret, **made}, as_json, dry_run))
    if expires is None:
        note("Warning: this token never expires. Revoke it when it is not needed.")
    if not as_json and not dry_run:
        note(f"{about} It is shown once.")


@operator_group.command("list", cls=FleetCommand)
@json_option
@with_appcontext
def list_command(as_json: bool) -> None:
    """List the operators, newest first.

    \b
    Example: flask fleet operator list
    """
    with open_listing() as repository:
        listed = Operators(repository.unit).list()
    if as_json:
        say_json({"operators": listed})
        return
    say_table(
        ("ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", "STATE"),
        [_row(operator) for operator in listed],
        fixed={0, 2, 3, 4, 5, 6},
        empty="No operators.",
    )


@operator_group.command("revoke", cls=FleetCommand)
@click.argument(
    "operator_id",
    metavar="ID",
    type=click.IntRange(1, LARGEST_ID),
    shell_complete=operator_ids,
)
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def revoke_command(operator_id: int, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Revoke the token of the operator with this ID, as shown by the list.

    A request that is under way changes nothing after that.

    \b
    Example: flask fleet operator revoke 3
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        operators = Operators(repository.unit)
        name = printable(operators.require(operator_id)["name"])
        which = f"{operator_id} ({name})" if name else f"{operator_id}"  # erased
        confirm(f"Revoke operator {which}?", yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                revoked = operators.revoke(operator_id)
                said = f"Operator {operator_id}: revoked"
                begin(changed(said, {**revoked}, as_json, dry_run))


def _summary(operator: Operator) -> str:
    """Describe a new operator in one line, without the token."""
    name, expires = printable(operator["name"]), operator["expires_at"] or "never"
    role = _role(operator)
    return f"Operator {operator['id']}, {name}, {role}, expires: {expires}."


def _role(operator: Operator) -> str:
    return operator["role"] if operator["personal"] else "viewer, no personal data"


def _row(operator: Operator) -> list[str]:
    # Days, and the minute of the last use: of 80 columns they leave 15 for a name.
    return [
        str(operator["id"]),
        printable(operator["name"] or "-"),
        _role(operator),
        at(operator["created_at"])[:10],
        at(operator["expires_at"] or "never")[:10],
        at(operator["last_used_at"] or "never")[:16],
        operator["state"],
    ]
