"""Bring over what was written to a database after the fleet had moved away from it.

By a program that does not know that it is closed: an older server, or lea_fleet 0.1.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from .sides import Rows
from .tables import TABLES, Row, fingerprint, line_of
from .unit_of_work import Repository, UnitOfWork

#: The columns of a token that are true or false.
_TRUTHS = ("pending", "replaced", "rotated_by_agent")

_BY_NAME = {table.name: table for table in TABLES}


def joined(*prints: bytes) -> bytes:
    """Return sorted fingerprints that are in any of *prints*."""
    found = array("q")
    for each in prints:
        found.frombytes(each)
    return array("q", sorted({*found})).tobytes()


class Prints:
    """The fingerprints of the rows that a database had when it was closed."""

    def __init__(self, prints: bytes) -> None:
        self._sorted = array("q")
        self._sorted.frombytes(prints)

    def __contains__(self, row: Row) -> bool:
        wanted = fingerprint(line_of(row))
        place = bisect_left(self._sorted, wanted)
        return place < len(self._sorted) and self._sorted[place] == wanted


def late_rows(rows: Rows, kept: Mapping[str, bytes]) -> dict[str, list[Row]]:
    """Return the rows that are new or other ones since the database was closed."""
    found = {}
    for table in TABLES:
        prints = Prints(kept[table.name])
        late = [row for row in rows.all(table) if row not in prints]
        if late:
            found[table.name] = late
    return found


class LateWrites(Repository):
    """Write what was late into the database that the fleet has come to."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        #: The fingerprints of the machines as they are here now.
        self.brought = array("q")
        #: The machines that stay as they are here, since both sides have changed them.
        self.kept: list[str] = []

    def bring(
        self, late: Mapping[str, list[Row]], kept: Mapping[str, bytes]
    ) -> Iterator[tuple[str, str]]:
        """Bring rows over; yield for each its table and what became of it.

        ``added`` or ``updated``; ``kept`` where both sides have changed it, so that
        this side's stays; ``left`` in a table that is not brought over.
        """
        for row in late.get("enrolled_agents", ()):
            machine = _columns("enrolled_agents", row)
            with self._unit.transaction(about=machine["machine_id"]):
                prints = Prints(kept["enrolled_agents"])
                yield "enrolled_agents", self._machine(machine, prints)
        for row in late.get("lea_fleet_tokens", ()):
            token = _columns("lea_fleet_tokens", row)
            with self._unit.transaction(about=token["machine_id"]):
                yield "lea_fleet_tokens", self._token(token)
        for row in late.get("lea_fleet_events", ()):
            with self._unit.transaction():
                event = _columns("lea_fleet_events", row)
                yield "lea_fleet_events", self._event(event)
        brought = ("enrolled_agents", "lea_fleet_tokens", "lea_fleet_events")
        for name in late.keys() - {*brought}:
            for _ in late[name]:
                yield name, "left"

    def _machine(self, machine: dict[str, Any], prints: Prints) -> str:
        names = _BY_NAME["enrolled_agents"].columns
        here = self._unit.session.execute(
            f"SELECT {', '.join(names)} FROM enrolled_agents"
            " WHERE machine_id = :machine_id",
            {"machine_id": machine["machine_id"]},
        ).fetchone()
        del machine["id"]
        stored = self._unit.dialect.with_keys(machine)
        if here is None:
            marks = ", ".join(f":{name}" for name in stored)
            (id,) = self._unit.session.execute(
                f"INSERT INTO enrolled_agents ({', '.join(stored)}) VALUES ({marks})"
                " RETURNING id",
                stored,
            ).fetchone()
            self._remember(id, machine)
            return "added"
        if tuple(here) not in prints:
            self.kept.append(machine["machine_id"])
            return "kept"
        self._remember(here[0], machine)
        given = ", ".join(f"{name} = :{name}" for name in stored)
        self._unit.session.execute(
            f"UPDATE enrolled_agents SET {given} WHERE machine_id = :machine_id", stored
        )
        self._unit.dialect.note_change(self._unit.session, machine["machine_id"])
        return "updated"

    def _remember(self, id: int, machine: dict[str, Any]) -> None:
        # It has an id of its own here, if both sides have had new machines since.
        self.brought.append(fingerprint(line_of((id, *machine.values()))))

    def _token(self, token: dict[str, Any]) -> str:
        token |= {name: bool(token[name]) for name in _TRUTHS}
        marks = ", ".join(f":{name}" for name in token)
        added = self._unit.session.execute(
            f"INSERT INTO lea_fleet_tokens ({', '.join(token)}) VALUES ({marks})"
            " ON CONFLICT (token_hash) DO NOTHING",
            token,
        )
        if added.rowcount:
            return "added"
        # What was revoked there stays dead; nothing else of it is taken.
        revoked = self._unit.session.execute(
            "UPDATE lea_fleet_tokens SET revoked_at = :revoked_at, replaced = :replaced"
            " WHERE token_hash = :token_hash AND revoked_at IS NULL"
            " AND CAST(:revoked_at AS TEXT) IS NOT NULL",
            token,
        )
        return "updated" if revoked.rowcount else "kept"

    def _event(self, event: dict[str, Any]) -> str:
        del event["id"]
        same = " AND ".join(f"{name} = :{name}" for name in ("event", "at", "actor"))
        known = self._unit.session.execute(
            f"SELECT 1 FROM lea_fleet_events WHERE {same} AND detail = :detail"
            " AND coalesce(machine_id, '') = coalesce(CAST(:machine_id AS TEXT), '')",
            event,
        ).fetchone()
        if known:
            return "kept"
        marks = ", ".join(f":{name}" for name in event)
        self._unit.session.execute(
            f"INSERT INTO lea_fleet_events ({', '.join(event)}) VALUES ({marks})", event
        )
        return "added"


def _columns(name: str, row: Row) -> dict[str, Any]:
    return dict(zip(_BY_NAME[name].columns, row))
