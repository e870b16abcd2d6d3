"""Write each command's help to ``commands.rst``.

Run it with ``python -m tests.support.commands_page``. Text between the helps is written
by hand and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from flask.testing import FlaskCliRunner

from lea_fleet import create_app
from tests.support.docs import COMMANDS

_TYPED = "$ RPA_API_TOKEN=change-me flask --app lea_fleet"

#: click leaves two of a terminal's 80 columns free.
_WIDTH = 78
_FIRST = "flask fleet\n-----------\n"


def commands(command: click.Command, name: str) -> Iterator[str]:
    """Yield the name of each command in a group as users type it, in order."""
    yield name
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from commands(command.commands[child], f"{name} {child}")


def page(written: str) -> str:
    """Return the new text of the page, from what is *written* and the current helps."""
    app = create_app({"RPA_API_TOKEN": "change-me"})
    names = list(commands(app.cli.commands["fleet"], "flask fleet"))
    intro, _, rest = written.partition(_FIRST)
    kept = _by_hand(_FIRST + rest)
    runner = app.test_cli_runner()
    return (
        intro
        + "\n\n".join(
            f"{name}\n{'-' * len(name)}\n\n{_help(runner, name)}{kept.get(name, '')}"
            for name in names
        )
        + "\n"
    )


def _by_hand(sections: str) -> dict[str, str]:
    """Return the text after the help in each command's section."""
    heading = re.compile(r"^(flask fleet.*)\n-+\n", re.MULTILINE)
    _, *parts = heading.split(sections)
    shown = re.compile(r"\s*\.\. code-block:: console\n(\n|   .*\n?)+")
    texts = (shown.sub("", text, count=1).strip("\n") for text in parts[1::2])
    return {name: f"\n\n{text}" for name, text in zip(parts[::2], texts) if text}


def _help(runner: FlaskCliRunner, name: str) -> str:
    words = name.removeprefix("flask ").split()
    shown = runner.invoke(
        args=[*words, "--help"], prog_name="flask", terminal_width=_WIDTH
    )
    typed = f"{_TYPED} {' '.join(words)} --help\n{shown.output.rstrip()}"
    lines = [f"   {line}".rstrip() for line in typed.splitlines()]
    return "\n".join([".. code-block:: console", "", *lines])


if __name__ == "__main__":
    COMMANDS.write_text(page(COMMANDS.read_text("utf-8")), "utf-8")
