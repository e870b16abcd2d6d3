"""What a schema remembers of a move, and whether servers may use it."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ...core.problems import DatabaseUnavailable
from ..sides import Mark, mark_of
from .schema import look
from .statements import quoted


def read_mark(driver: Connection[Any], schema: str) -> Mark | None:
    """Return what the schema remembers of a move, if anything."""
    if "lea_fleet_moves" not in look(driver, schema).names:
        return None
    row = driver.execute(
        f"SELECT id, other, state, at, digests FROM {quoted(schema)}.lea_fleet_moves"
        " ORDER BY state = 'open' LIMIT 1"
    ).fetchone()
    return None if row is None else mark_of(row)


def refuse_unfinished(driver: Connection[Any], schema: str) -> None:
    """Raise DatabaseUnavailable if the fleet has not come yet, or was taken back.

    A server that is started too early would refuse the tokens of agents as unknown.
    """
    mark = read_mark(driver, schema)
    if mark is None:
        return
    if mark.state == "filling":
        raise DatabaseUnavailable(f"The fleet of {mark.other} is being moved here.")
    if mark.state == "undone":
        raise DatabaseUnavailable(
            f"The fleet was taken back to {mark.other}: see there."
        )
