"""Complete ids of machines, tokens, operators and views in a shell, from the database.

This runs between two keys of a person who types: it prints nothing, waits for no lock,
and makes no database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import click
from click.shell_completion import CompletionItem
from flask.cli import ScriptInfo

from ..app.engine import open_administration
from ..app.repository import AgentRepository
from ..app.state import current_state
from ..core.limits import MOST_COMPLETIONS
from ..core.listing import SORTS
from ..core.text import printable
from ..storage.operators import Operators
from ..storage.unit_of_work import UnitOfWork
from ..storage.views import Views

#: What a shell does not interpret: click's scripts quote nothing, and a machine
#: chooses its own id. "PC$(reboot)" must not get onto a command line.
_HARMLESS = re.compile(r"[\w@%+:./{}][\w@%+:./{}=-]*")

_Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(
    find: Callable[[AgentRepository, str], Iterator[tuple[str, str | None]]],
) -> _Completer:
    """Return a click completer for the names and helps that *find* yields."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            with _fleet(context) as repository:
                found = (
                    CompletionItem(name, help=help)
                    for name, help in find(repository, incomplete)
                    if name.startswith(incomplete) and _HARMLESS.fullmatch(name)
                )
                return list(islice(found, MOST_COMPLETIONS))
        except Exception:  # the command itself will report it
            return []

    return complete


@contextmanager
def _fleet(context: click.Context) -> Iterator[AgentRepository]:
    """Yield the repository of an existing fleet, on a connection of its own.

    No file is made beside it. Raises CannotCheck or OSError where it cannot be read.
    """
    # Click has already closed the context in which Flask had loaded the application.
    with context.ensure_object(ScriptInfo).load_app().app_context():
        state = current_state()
        administration = open_administration(state.settings)
        with administration.reading(busy_timeout=0) as found:
            unit = UnitOfWork(found.fleet, found.dialect, state.rule)
            yield AgentRepository.over(unit)


def _machine_ids(
    repository: AgentRepository, beginning: str
) -> Iterator[tuple[str, None]]:
    for machine_id in repository.agents.ids_from(beginning):
        yield machine_id, None


def _token_ids(
    repository: AgentRepository, beginning: str
) -> Iterator[tuple[str, str | None]]:
    for token in repository.enrollment_tokens.list():
        if token["revoked_at"] is None:
            yield str(token["id"]), printable(token["label"]) or None


def _operator_ids(
    repository: AgentRepository, beginning: str
) -> Iterator[tuple[str, str | None]]:
    for operator in Operators(repository.unit).list():
        if operator["revoked_at"] is None:
            yield str(operator["id"]), printable(operator["name"]) or None


def _view_ids(
    repository: AgentRepository, beginning: str
) -> Iterator[tuple[str, str | None]]:
    for view in Views(repository.unit).shared():
        yield str(view["id"]), printable(view["name"])


#: For ``shell_complete=``.
machine_ids = _completer(_machine_ids)
token_ids = _completer(_token_ids)
operator_ids = _completer(_operator_ids)
view_ids = _completer(_view_ids)


def sorts(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the sort columns of a list, in both directions."""
    both = (*SORTS, *(f"-{name}" for name in SORTS))
    return [CompletionItem(name) for name in both if name.startswith(incomplete)]
