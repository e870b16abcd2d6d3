"""The options of commands that select machines as ``flask fleet list`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..core.filters import Declared
from ..core.limits import LARGEST_ID
from ..core.listing import FILTERS, STATUSES, FleetFilter
from .completion import token_ids
from .options import DurationType, checked_text, wanted_tags

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _option(name: str, filter: Declared) -> Callable[[_Command], _Command]:
    """Return the option for a filter, as it is declared."""
    if name == "status":  # one of two by default, where the API has both
        kind: dict[str, Any] = {
            "type": click.Choice([*filter.choices, "all"]),
            "default": "active",
            "show_default": True,
        }
    elif filter.kind == "choices":  # of active machines; --status has the others
        choices = [each for each in filter.choices if each not in STATUSES]
        kind = {"type": click.Choice(choices), "multiple": True}
    elif filter.kind == "flag":
        names = "/".join(filter.options)
        return click.option(names, name, is_flag=True, default=None, help=filter.help)
    elif filter.kind == "tags":
        kind = {"multiple": True, "metavar": "TAG", "callback": wanted_tags}
    elif filter.kind == "number":
        kind = {"type": click.IntRange(1, LARGEST_ID), "metavar": "ID"}
        kind["shell_complete"] = token_ids
    elif filter.kind == "duration":
        kind = {"type": DurationType(), "metavar": "DURATION"}
    else:
        kind = {"callback": checked_text, "metavar": "TEXT"}
    return click.option(*filter.options, name, help=filter.help, **kind)


def is_given(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is not ParameterSource.DEFAULT


def filter_options(command: _Command) -> _Command:
    """Add an option for each filter that has one, in the order of declaration.

    Their values are named as the fields of FleetFilter; see :func:`filter_of`.
    """
    for name, filter in reversed(FILTERS.items()):
        if filter.options:
            command = _option(name, filter)(command)
    return command


def is_any_given() -> bool:
    """Tell whether any option of :func:`filter_options` is given."""
    return any(is_given(name) for name, filter in FILTERS.items() if filter.options)


def is_narrowing(options: Mapping[str, Any]) -> bool:
    """Tell whether one of the *options* says which machines are meant.

    A status does not, nor that machines are not blocked or muted: nearly all are so.
    """
    return any(
        name != "status" and options[name] is not False and is_given(name)
        for name, filter in FILTERS.items()
        if filter.options
    )


def given(options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return those of *options* and *more* that are given, as filters."""
    wanted = {**_completed(options), **more}
    return {name: wanted[name] for name in filter(is_given, wanted)}


def filter_of(options: Mapping[str, Any], **more: Any) -> FleetFilter:
    """Return the filter that the *options* of :func:`filter_options` stand for."""
    return FleetFilter(**_completed(options), **more)


def _completed(options: Mapping[str, Any]) -> dict[str, Any]:
    wanted = dict(options)
    if wanted["status"] == "all" or (wanted["blocked"] and not is_given("status")):
        wanted["status"] = None
    return wanted
