"""``flask fleet token …``: the tokens that installers enrol with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from ..core import tokens
from ..core.clock import parse_lifetime
from ..api.payloads import DEFAULT_USES, LONGEST_DETAIL, MOST_USES
from ..core.rows import EnrollmentToken
from .terminal import at, printable, say, say_table
from .completion import token_ids
from .opening import checked_text, open_fleet, open_or_make_fleet
from .options import json_option, say_json

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("token")
def token_group() -> None:
    """Make, list and revoke the tokens that installers enrol with."""


def _lifetime(
    context: click.Context, parameter: click.Parameter, value: str
) -> float | None:
    try:
        return parse_lifetime(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def token_options(label_option: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options which say what a token is good for.

    *label_option* is what the one for its label is called on this command.
    """
    options = (
        click.option(
            label_option,
            "label",
            callback=partial(checked_text, longest=LONGEST_DETAIL),
            help="What the token is for.",
        ),
        click.option(
            "--expires",
            metavar="DURATION",
            default="7d",
            show_default=True,
            callback=_lifetime,
            help="How long the token is good for: 12h, 7d, never.",
        ),
        click.option(
            "--max-uses",
            metavar="N",
            type=click.IntRange(1, MOST_USES),
            default=DEFAULT_USES,
            show_default=True,
            help="How many machines it may enrol.",
        ),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):  # the help shows them in order
            command = option(command)
        return command

    return add


@token_group.command("create")
@token_options("--label")
@json_option
@with_appcontext
def create_command(
    label: str | None, expires: float | None, max_uses: int, as_json: bool
) -> None:
    """Make an enrolment token and print it, this once.

    Only the token goes to standard output, so that a script can take it.

    \b
    Example: flask fleet token create --label "Paris, wave 1" --max-uses 50
    """
    token = tokens.new_enrollment_token()
    made = keep_token(token, label=label, lifetime=expires, max_uses=max_uses)
    if as_json:
        say_json({"token": token, **made})
        return
    click.echo(f"{token_summary(made)} It is shown once:", err=True)
    say(token)


@token_group.command("list")
@json_option
@with_appcontext
def list_command(as_json: bool) -> None:
    """List the enrolment tokens, the newest first.

    \b
    Example: flask fleet token list
    """
    with open_fleet() as repository:
        listed = repository.enrollment_tokens.list()
    if as_json:
        say_json({"enrollment_tokens": listed})
        return
    say_table(
        ("ID", "LABEL", "MADE", "EXPIRES", "USES", "STATE"),
        [_row(token) for token in listed],
        fixed={0, 2, 3, 4, 5},
        empty="No enrolment tokens.",
    )


@token_group.command("revoke")
@click.argument(
    "token_id",
    metavar="ID",
    type=click.IntRange(1, 2**63 - 1),
    shell_complete=token_ids,
)
@json_option
@with_appcontext
def revoke_command(token_id: int, as_json: bool) -> None:
    """Revoke the enrolment token of that ID, as the list shows it.

    Machines that were enrolled with it keep their own tokens.

    \b
    Example: flask fleet token revoke 3
    """
    with open_fleet() as repository:
        revoked = repository.revoke_enrollment_token(token_id)
    if as_json:
        say_json(revoked)
        return
    say(f"Enrolment token {token_id}: revoked")


def keep_token(
    token: str, *, label: str | None, lifetime: float | None, max_uses: int
) -> EnrollmentToken:
    """Keep a new enrolment token, by its hash, and return what is known of it."""
    with open_or_make_fleet() as repository:
        return repository.create_enrollment_token(
            token,
            label=label or "",
            lifetime=lifetime,
            max_uses=max_uses,
        )


def token_summary(token: EnrollmentToken) -> str:
    """Return what a person needs to know of a new token, besides itself."""
    expires = token["expires_at"] or "never"
    return (
        f"Enrolment token {token['id']}, for {token['max_uses']} machines,"
        f" expires: {expires}."
    )


def _row(token: EnrollmentToken) -> list[str]:
    return [
        str(token["id"]),
        printable(token["label"] or "-"),
        at(token["created_at"]),
        at(token["expires_at"] or "never"),
        f"{token['uses']}/{token['max_uses']}",
        token["state"],
    ]
