"""``lea_fleet_blocks``: machine ids that may not be enrolled, known or not.

A block holds for all ids that look alike: an id in another case, or in braces,
is no way around it. An older server knows no blocks; what it enrolls is found by
:meth:`Blocks.active`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from ..core.machine import look
from ..core.problems import MachineBlocked
from ..core.rows import Block
from .unit_of_work import Repository

#: Selects a row if the machine that ``:look`` stands for is blocked.
BLOCKED = "SELECT 1 FROM lea_fleet_blocks WHERE look = :look"

#: Selects a row if the machine with the outer query's ``holder`` is blocked by this
#: very id. SQL knows no looks.
HOLDER_BLOCKED = (
    "SELECT 1 FROM lea_fleet_blocks AS block WHERE block.machine_id = holder"
)

_SELECT = """SELECT look, machine_id, blocked_at, reason, EXISTS (
    SELECT 1 FROM enrolled_agents AS agent
    WHERE agent.machine_id = block.machine_id
  ) FROM lea_fleet_blocks AS block"""
_COLUMNS = ("machine_id", "blocked_at", "reason", "in_fleet")
_ORDER = "ORDER BY blocked_at DESC, look DESC LIMIT :limit"

_ADD = """INSERT INTO lea_fleet_blocks (look, machine_id, blocked_at, reason)
  VALUES (:look, :machine_id, :now, :reason)"""


class Blocks(Repository):
    """Blocked machine ids. Methods that write need an open transaction."""

    def find(self, machine_id: str) -> Block | None:
        """Return the block of an id, or of one that looks like it; None without one."""
        row = self._unit.session.execute(
            f"{_SELECT} WHERE look = :look", {"look": look(machine_id)}
        ).fetchone()
        return None if row is None else _block(row)

    def reason(self, machine_id: str) -> str | None:
        """Return why an id is blocked, if it is and a reason was given."""
        block = self.find(machine_id)
        return None if block is None else block["reason"]

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Yield the id and the reason of each block that has one."""
        for row in self._unit.rows(
            "SELECT machine_id, reason FROM lea_fleet_blocks WHERE reason IS NOT NULL"
        ):
            yield tuple(row)

    def refuse(self, machine_id: str) -> None:
        """Raise MachineBlocked if a machine with that id may not be enrolled."""
        blocked = self._unit.session.execute(BLOCKED, {"look": look(machine_id)})
        if blocked.fetchone() is not None:
            raise MachineBlocked(machine_id)

    def page(
        self, *, limit: int, after: Sequence[str] | None = None
    ) -> tuple[list[Block], Sequence[str] | None]:
        """Return up to *limit* blocks, newest first, and where the next page begins.

        The second value is what to pass as *after* for the next page; it is None on the
        last page. Raises ValueError for a limit below 1.
        """
        if limit < 1:
            raise ValueError("The limit of this page is not valid.")
        values: dict[str, Any] = {"limit": limit + 1}
        where = ""
        if after is not None:
            values["at"], values["look"] = after
            where = "WHERE (blocked_at, look) < (:at, :look)"
        rows = self._unit.session.execute(
            f"{_SELECT} {where} {_ORDER}", values
        ).fetchall()
        blocks = [_block(row) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return blocks, None if last is None else (last[2], last[0])

    def count(self) -> int:
        """Return how many ids are blocked."""
        (count,) = self._unit.session.execute(
            "SELECT count(*) FROM lea_fleet_blocks"
        ).fetchone()
        return int(count)

    def looks(self) -> frozenset[str]:
        """Return what the blocked ids look like."""
        rows = self._unit.rows("SELECT look FROM lea_fleet_blocks")
        return frozenset(text for (text,) in rows)

    def known(self) -> list[str]:
        """Return the machines in the fleet that are blocked."""
        return [machine_id for _, machine_id, _ in self._machines()]

    def active(self) -> list[str]:
        """Return the machines that are active and blocked: an older server's work."""
        return [
            machine_id
            for _, machine_id, status in self._machines()
            if status == "active"
        ]

    def row_ids(self) -> list[int]:
        """Return the ids of the rows of all blocked machines.

        For a condition: SQL could not tell which ids look alike.
        """
        return [row_id for row_id, *_ in self._machines()]

    def add(self, machine_id: str, reason: str | None) -> None:
        """Block an id that is not blocked yet."""
        self._unit.session.execute(
            _ADD,
            {
                "look": look(machine_id),
                "machine_id": machine_id,
                "now": self._unit.timestamp,
                "reason": reason,
            },
        )

    def set_reason(self, machine_id: str, reason: str | None) -> None:
        """Store another reason for the block of an id."""
        self._unit.session.execute(
            "UPDATE lea_fleet_blocks SET reason = :reason WHERE look = :look",
            {"look": look(machine_id), "reason": reason},
        )

    def remove(self, machine_id: str) -> None:
        """Delete the block of an id."""
        self._unit.session.execute(
            "DELETE FROM lea_fleet_blocks WHERE look = :look",
            {"look": look(machine_id)},
        )

    def _machines(self) -> Iterator[tuple[int, str, str]]:
        """Yield row id, machine id and status of each blocked machine that is known."""
        looks = self.looks()
        if not looks:
            return
        for row in self._unit.rows(
            "SELECT id, CAST(machine_id AS TEXT), status FROM enrolled_agents"
            " ORDER BY id"
        ):
            if look(row[1]) in looks:
                yield tuple(row)


def _block(row: Any) -> Block:
    block = dict(zip(_COLUMNS, row[1:]))
    return cast(Block, {**block, "in_fleet": bool(block["in_fleet"])})
