"""``flask fleet token …``: create, list and revoke enrollment tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from ..app.installer_kit import setup_command
from ..core import tokens
from ..core.limits import (
    ENROLLMENT_TOKEN_USES,
    LARGEST_ID,
    LONGEST_DETAIL,
    MOST_ENROLLMENT_TOKEN_USES,
)
from ..core.rows import ENROLLMENT_TOKEN_STATES, EnrollmentToken
from ..core.text import printable
from ..storage.attempts import attempts
from .command import FleetCommand, FleetGroup
from .completion import token_ids
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
    given_tags,
    json_option,
    say_json,
)
from .output import answer, note
from .server_url import api_url_of, url_option
from .terminal import at, say_table

_Command = TypeVar("_Command", bound=Callable[..., Any])

_COMMAND = """
To enroll a machine with Linux or macOS, run this there; it asks for the token, or
reads it from a file: add <lea-enroll-token.txt to it. For a setup.exe, and for
packages, flask fleet installer writes the kit with a token of its own."""

_NO_COMMAND = """
With --url, or LEA_FLEET_PUBLIC_URL, the command that enrolls a machine with Linux or
macOS is shown here. For a setup.exe, and for packages, see flask fleet installer."""


@click.group("token", cls=FleetGroup)
def token_group() -> None:
    """Create, list and revoke the tokens that installers enroll with."""


def token_options(label_option: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options of a new enrollment token.

    *label_option* is the name that the command has for the label's option.
    """
    options = (
        click.option(
            label_option,
            "label",
            callback=partial(checked_text, longest=LONGEST_DETAIL),
            help="A label that says what the token is for.",
        ),
        click.option(
            "--expires",
            metavar="DURATION",
            default="7d",
            show_default=True,
            type=DurationType(never=True),
            help="How long the token is valid: 12h, 7d, never.",
        ),
        click.option(
            "--max-uses",
            metavar="N",
            type=click.IntRange(1, MOST_ENROLLMENT_TOKEN_USES),
            default=ENROLLMENT_TOKEN_USES,
            show_default=True,
            help="How many machines it may enroll.",
        ),
        click.option(
            "--tag",
            "tags",
            metavar="TAG",
            multiple=True,
            callback=given_tags,
            help="A tag that its machines are given: vip, site=lyon; may be repeated.",
        ),
        create_option,
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):  # the help shows them in order
            command = option(command)
        return command

    return add


@token_group.command("create", cls=FleetCommand)
@token_options("--label")
@url_option
@dry_run_option
@json_option
@with_appcontext
def create_command(
    label: str | None,
    expires: float | None,
    max_uses: int,
    tags: tuple[str, ...],
    create: bool,
    url: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create an enrollment token and print it; it is shown once.

    Only the token goes to standard output, so that a script can take it. With the
    server's URL, the command for Linux and macOS that enrolls a machine is shown too.

    \b
    Example: flask fleet token create --label "Paris, wave 1" --max-uses 50
    """
    url = api_url_of(url)
    command = None if url is None else setup_command(url)
    token = tokens.new_enrollment_token()
    warn_of_endless(expires)
    opened = open_or_begin_for_change(dry_run, create)
    with answer() as begin, opened as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                made = repository.enrollment_tokens.create(
                    token,
                    label=label or "",
                    lifetime=expires,
                    max_uses=max_uses,
                    tags=tags,
                )
                about = token_summary(made)
                said, secret = shown_once(about, "token", token, dry_run)
                members = {**secret, **made, "url": url, "command": command}
                begin(changed(said, members, as_json, dry_run))
    if not as_json and not dry_run:
        note(f"{about} It is shown once.")
        note(_NO_COMMAND if command is None else f"{_COMMAND}\n\n{command}")


@token_group.command("list", cls=FleetCommand)
@click.option(
    "--state",
    type=click.Choice(ENROLLMENT_TOKEN_STATES),
    help="Only tokens in this state: those that are active enroll machines.",
)
@json_option
@with_appcontext
def list_command(state: str | None, as_json: bool) -> None:
    """List the enrollment tokens, newest first.

    \b
    Example: flask fleet token list --state active
    """
    with open_listing() as repository:
        listed = repository.enrollment_tokens.list(state)
    if as_json:
        say_json({"enrollment_tokens": listed})
        return
    say_table(
        ("ID", "LABEL", "CREATED", "EXPIRES", "USES", "STATE", "TAGS"),
        [_row(token) for token in listed],
        fixed={0, 2, 3, 4, 5},
        empty=f"No {state.replace('_', ' ') + ' ' if state else ''}enrollment tokens.",
    )


@token_group.command("revoke", cls=FleetCommand)
@click.argument(
    "token_id",
    metavar="ID",
    type=click.IntRange(1, LARGEST_ID),
    shell_complete=token_ids,
)
@unasked_option
@dry_run_option
@json_option
@with_appcontext
def revoke_command(token_id: int, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Revoke the enrollment token with this ID, as shown by the list.

    Machines that were enrolled with it keep their own tokens.

    \b
    Example: flask fleet token revoke 3
    """
    with answer() as begin, open_for_change(dry_run) as repository:
        label = printable(repository.enrollment_tokens.require(token_id)["label"])
        name = f"{token_id} ({label})" if label else f"{token_id}"
        confirm(f"Revoke enrollment token {name}?", yes or dry_run)
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction()):
                revoked = repository.enrollment_tokens.revoke(token_id)
                said = f"Enrollment token {token_id}: revoked"
                begin(changed(said, {**revoked}, as_json, dry_run))


def warn_of_endless(lifetime: float | None) -> None:
    """Say on standard error what a token means that never expires."""
    if lifetime is None:
        note(
            "Warning: this token never expires. Whoever finds it, in a setup or a"
            " backup, can enroll machines until it is used up or revoked."
        )


def token_summary(token: EnrollmentToken) -> str:
    """Describe a new enrollment token in one line, without the token itself."""
    expires = token["expires_at"] or "never"
    return (
        f"Enrollment token {token['id']}, for {token['max_uses']} machines,"
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
        printable(", ".join(token["tags"]) or "-"),
    ]
