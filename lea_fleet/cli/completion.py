"""What a shell completes: machines and tokens, as the database has them.

Between two keys of a person who types: nothing is printed, nobody is waited for, and
no database is begun.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice

import click
from click.shell_completion import CompletionItem
from flask.cli import ScriptInfo

from ..storage.sqlite.connections import connect
from ..core.filters import SORTS
from ..app.repository import AgentRepository
from ..app.state import current_state
from .terminal import printable

_MOST = 50

#: What a shell takes for a word as it is: click's scripts quote nothing, and a
#: machine chooses its own id. "PC$(reboot)" must not come onto a command line.
_HARMLESS = re.compile(r"[\w@%+:./{}][\w@%+:./{}=-]*")

_Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(
    find: Callable[[AgentRepository, str], Iterator[tuple[str, str | None]]],
) -> _Completer:
    """Return what completes the names that *find* yields, each with its help."""

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
                return list(islice(found, _MOST))
        except Exception:  # whatever it is: the command itself will say so
            return []

    return complete


@contextmanager
def _fleet(context: click.Context) -> Iterator[AgentRepository]:
    """Yield the repository of a fleet that is there, on a connection of its own.

    Raises FileNotFoundError for one that is not.
    """
    # By now click has closed the context in which flask had loaded the application.
    with context.ensure_object(ScriptInfo).load_app().app_context():
        path = current_state().settings.database
        os.stat(path)
        with closing(connect(path, "ro", busy_timeout=0)) as connection:
            yield AgentRepository(connection, current_state().rule)


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


#: For ``shell_complete=``.
machine_ids = _completer(_machine_ids)
token_ids = _completer(_token_ids)


def sorts(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete what a listing may be ordered by, either way."""
    both = (*SORTS, *(f"-{name}" for name in SORTS))
    return [CompletionItem(name) for name in both if name.startswith(incomplete)]
