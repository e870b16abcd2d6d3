"""Options, arguments and their types that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..api.payloads.members import fault_of_text
from ..core import clock
from ..core.clock import parse_duration, parse_lifetime
from ..core.limits import LONGEST_BODY, LONGEST_DETAIL
from ..core.machine import DETAILS
from ..core.tags import parse_tags, parse_wanted
from .completion import machine_ids
from .terminal import say

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Duration(float):
    """A duration in seconds that remembers the *text* it was given as."""

    text: str


# Takes type arguments from click 8.5 on; older ones would fail on them.
class DurationType(click.ParamType):  # type: ignore[type-arg]
    """A duration such as ``14d``, converted to a :class:`Duration`.

    *never* is whether ``never`` is accepted, as None; *least* and *most* are the texts
    of the shortest and the longest duration that are accepted.
    """

    name = "duration"

    def __init__(
        self, *, never: bool = False, least: str = "0s", most: str | None = None
    ) -> None:
        self.never = never
        self.least = least
        self.most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Duration | None:
        try:
            seconds = parse_lifetime(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if seconds is None:
            if self.never:
                return None
            self.fail("must be a duration such as 12h or 14d.", param, ctx)
        if seconds < (parse_duration(self.least) or 0):
            self.fail(f"must be at least {self.least}.", param, ctx)
        if self.most is not None and seconds > (parse_lifetime(self.most) or 0):
            self.fail(f"must be at most {self.most}.", param, ctx)
        duration = Duration(seconds)
        duration.text = value.strip()
        return duration


def given_since(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Accept a duration before now, or a date or time; a click callback.

    Return the timestamp, as ISO 8601 UTC.
    """
    if value is None:
        return None
    try:
        return clock.parse_moment(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def checked_text(
    context: click.Context,
    parameter: click.Parameter,
    value: str | None,
    longest: int = LONGEST_BODY,
) -> str | None:
    """Accept text that can be stored and is not blank; a click callback.

    Blank text is a script's empty variable, and never meant.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("must not be blank.")
    return given_text(context, parameter, value, longest)


def given_text(
    context: click.Context,
    parameter: click.Parameter,
    value: str | None,
    longest: int = LONGEST_DETAIL,
) -> str | None:
    """Accept text that can be stored, such as a reason; a click callback.

    Blank text counts as not given, as in the API.
    """
    if value is None:
        return None
    fault = fault_of_text(value, longest)
    if fault:
        raise click.BadParameter(f"{fault}.")
    return value if value.strip() else None


def given_detail(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Accept a detail of a machine, without blanks around it; a click callback."""
    text = None if value is None else value.strip()
    return given_text(context, parameter, text)


def wanted_tags(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Accept tags that machines must have, or their names; a click callback."""
    return _parsed(parse_wanted, values)


def given_tags(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Accept tags that a machine is given; a click callback."""
    return _parsed(parse_tags, values)


def _parsed(
    parse: Callable[[tuple[str, ...]], tuple[str, ...]], values: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return parse(values)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


_DETAIL_HELP = {
    "user_name": "The user's name.",
    "user_email": "The user's e-mail address.",
    "user_id": "The user's id.",
    "hostname": "The machine's hostname.",
    "os_info": "The operating system.",
    "version": "The version of the agent.",
}


def detail_options(command: _Command) -> _Command:
    """Add an option for each detail of a machine."""
    for name in reversed(DETAILS):  # the help shows them in order
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, callback=given_detail, help=_DETAIL_HELP[name])(
            command
        )
    return command


#: The one machine that a command acts on.
machine_argument = click.argument(
    "machine", callback=checked_text, shell_complete=machine_ids
)

#: The machine that a command acts on, where it can also act on others.
optional_machine_argument = click.argument(
    "machine", callback=checked_text, required=False, shell_complete=machine_ids
)

#: For programs that read the output.
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, complete and in ASCII."
)

#: For commands with which a fleet may begin.
create_option = click.option(
    "--create", is_flag=True, help="Begin a new database where there is none."
)

#: For changes to more than one machine.
yes_option = click.option("--yes", is_flag=True, help="Act on more than one machine.")

#: For changes to one machine, or to those that options select.
selected_yes_option = click.option(
    "--yes", is_flag=True, help="Act on the machines that options select."
)

#: For changes to one machine that are asked about on a terminal, or to several.
yes_unasked_option = click.option(
    "--yes", is_flag=True, help="Do not ask; act also on machines that options select."
)


def say_json(members: Mapping[str, object]) -> None:
    """Print *members* in ASCII: names come from machines and may hold anything."""
    say(json_text(members))


def json_text(members: Mapping[str, object]) -> str:
    """Return *members* as the commands print them."""
    return json.dumps(members, indent=2)


def refuse_many(machines: int, yes: bool) -> None:
    """Refuse to act on several machines unless *yes* was given.

    Raises ClickException, which is exit code 1.
    """
    if machines > 1 and not yes:
        raise click.ClickException(
            f"This would change {machines} machines. Repeat it with --yes to change all"
            " of them."
        )
