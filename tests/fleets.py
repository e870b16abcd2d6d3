"""A fleet that is there before the server starts."""

from __future__ import annotations

from pathlib import Path

from lea_fleet import create_app, tokens
from lea_fleet.db import get_repository
from tests.api import OPERATOR_TOKEN


def make_fleet(database: Path, count: int, **details: str) -> list[str]:
    """Enrol the machines PC-0, PC-1 and so on; return their tokens."""
    app = create_app(
        {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": str(database)}
    )
    issued = [tokens.new_agent_token() for _ in range(count)]
    with app.app_context():
        repository = get_repository()
        with repository.transaction():
            for number, token in enumerate(issued):
                agent = repository.enroll(f"PC-{number}", **details).agent
                repository.tokens.add(agent, tokens.hash_token(token))
    app.extensions["lea_fleet"].connections.close_idle()
    return issued
