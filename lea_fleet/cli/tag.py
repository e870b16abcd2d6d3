"""``flask fleet tag`` and ``untag``: the groups that machines belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from ..app.bulk import Action
from ..app.repository import AgentRepository
from ..core.tags import parse_names, parse_tags
from ..core.text import printable
from ..storage.attempts import attempts
from .bulk import act_on_selected, bulk_options, is_selecting, selected
from .command import FleetCommand
from .completion import machine_ids
from .consent import changed, dry_run_option, open_for_change, tried
from .options import json_option, selected_yes_option
from .output import answer

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: Gives a machine tags, or removes some; returns those that it has then.
_Act = Callable[[AgentRepository, str], "list[str]"]


def _words_and_options(metavar: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds what both commands take: MACHINE and other words."""
    words = click.argument(
        "words",
        metavar=metavar,
        nargs=-1,
        required=True,
        shell_complete=machine_ids,
    )

    def add(command: _Command) -> _Command:
        options = selected_yes_option(dry_run_option(json_option(command)))
        return words(bulk_options(options))

    return add


@click.command("tag", cls=FleetCommand)
@_words_and_options("[MACHINE] TAG...")
@with_appcontext
def tag_command(
    words: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Give MACHINE each TAG: a word, or key=value.

    It takes the place of a tag with the same key, beats that of an enrollment token,
    and stays when the machine is enrolled again. With the options of flask fleet
    list, all words are tags, of all machines that they select; none may be the id of
    a machine.

    \b
    Example: flask fleet tag PC-COMPTA-01 site=lyon vip
    """
    tags = _checked(parse_tags, _given(words, chosen))

    def act(repository: AgentRepository, machine_id: str) -> list[str]:
        return repository.annotations.tag(machine_id, given=tags)

    _change(words, act, chosen, yes, dry_run, as_json)


@click.command("untag", cls=FleetCommand)
@_words_and_options("[MACHINE] KEY...")
@with_appcontext
def untag_command(
    words: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Remove the tag with each KEY from MACHINE: site for site=lyon.

    With the options of flask fleet list, all words are keys, of all machines that
    they select; none may be the id of a machine.

    \b
    Example: flask fleet untag PC-COMPTA-01 site
    """
    names = _checked(parse_names, _given(words, chosen))

    def act(repository: AgentRepository, machine_id: str) -> list[str]:
        return repository.annotations.tag(machine_id, removed=names)

    _change(words, act, chosen, yes, dry_run, as_json)


def _given(words: tuple[str, ...], chosen: dict[str, Any]) -> tuple[str, ...]:
    """Return those of the *words* that are no machine."""
    if is_selecting(chosen):
        return words
    if len(words) == 1:
        raise click.UsageError("Give MACHINE and what to tag it with.")
    return words[1:]


def _checked(
    parse: Callable[[tuple[str, ...]], tuple[str, ...]], words: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return parse(words)
    except ValueError as error:
        raise click.UsageError(f"A tag {error}.") from None


def _change(
    words: tuple[str, ...],
    act: _Act,
    chosen: dict[str, Any],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    machine = None if is_selecting(chosen) else words[0]
    others = selected(chosen, machine)
    if others is not None:
        act_on_selected(
            others, Action(act), yes=yes, dry_run=dry_run, as_json=as_json, words=words
        )
        return
    assert machine is not None  # selected() has seen to it
    with answer() as begin, open_for_change(dry_run) as repository:
        for attempt in attempts(repository.unit):
            with attempt, tried(dry_run, repository.transaction(about=machine)):
                tags = act(repository, machine)
                machine_id = repository.require(machine)["machine_id"]
                listed = printable(", ".join(tags)) or "no tags"
                said = f"{printable(machine_id)}: {listed}"
                told = {"machine_id": machine_id, "tags": tags}
                begin(changed(said, told, as_json, dry_run))
