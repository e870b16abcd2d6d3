"""Fill and read fleets in the database, whichever program would have written them."""

from __future__ import annotations

from pathlib import Path

from lea_fleet import create_app
from lea_fleet.app.database import get_host_repository, get_repository
from lea_fleet.core import tokens
from tests.support.api import OPERATOR_TOKEN

#: The columns of a row that a test does not give.
DEFAULTS = {"status": "active", "enrolled_at": "2026-03-01T08:00:00+00:00"}


def get_db():
    """Return the connection of the active application context."""
    return get_host_repository().connection


def fill(engine, rows):
    """Replace all machines by *rows*, each a mapping of columns."""
    engine.make_tables()
    with engine.connected() as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM enrolled_agents")
        for row in rows:
            row = engine.stored({**DEFAULTS, **row})
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO enrolled_agents ({names}) VALUES ({marks})",
                list(row.values()),
            )
        connection.execute("COMMIT")


def listed(fleet):
    """Return the machine_ids of a response, in the common order of its two lists."""
    return [agent["machine_id"] for agent in fleet["active"] + fleet["uninstalled"]]


def ask(operator, path="/fleet", **parameters):
    """Return the body of a listing, which must be a 200."""
    response = operator.get(path, query_string=parameters)
    assert response.status_code == 200, response.text
    return response.json


def pages(operator, **parameters):
    """Yield each page of a listing, from the first to the last."""
    page = ask(operator, **parameters)
    yield page
    while page["next_cursor"] is not None:
        page = ask(operator, **{**parameters, "cursor": page["next_cursor"]})
        yield page


def make_fleet(database: Path, count: int, **details: str) -> list[str]:
    """Enroll the machines PC-0, PC-1 and so on; return their tokens."""
    app = create_app(
        {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": str(database)}
    )
    issued = [tokens.new_agent_token() for _ in range(count)]
    with app.app_context():
        repository = get_repository()
        with repository.transaction():
            for number, token in enumerate(issued):
                agent = repository.enroll(f"PC-{number}", **details).agent
                repository.tokens.add(agent, token)
    app.extensions["lea_fleet"].store.close_idle()
    return issued
