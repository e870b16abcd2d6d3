"""Compare the rows of two databases, and those of one with what they were."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from .sides import Rows
from .tables import TABLES, Digest, Row, fingerprint, line_of

#: Called with a step, such as the name of a table, and how many rows are done.
Told = Callable[[str, int], None]


class Compared(NamedTuple):
    """The digest of a table, and the sorted fingerprints of its rows, 8 bytes each."""

    digest: Digest
    prints: bytes


def compare(rows: Rows, told: Told) -> dict[str, Compared]:
    """Return the digest and fingerprints of each table, as *rows* has it."""
    found = {}
    for table in TABLES:
        digest, prints = Digest(), array("q")
        for row in rows.all(table):
            line = line_of(row)
            digest.add(line)
            prints.append(fingerprint(line))
        told(f"Compared {table.name}", digest.rows)
        found[table.name] = Compared(digest, array("q", sorted(prints)).tobytes())
    return found


def prints_of(rows: Rows) -> dict[str, bytes]:
    """Return the sorted fingerprints of the rows of each table."""
    compared = compare(rows, lambda step, number: None)
    return {name: each.prints for name, each in compared.items()}


def digests_of(compared: Mapping[str, Compared]) -> dict[str, tuple[int, str]]:
    """Return the number of rows and the digest of each table."""
    return {
        name: (each.digest.rows, each.digest.text) for name, each in compared.items()
    }


class Known:
    """What was copied of a table with ids: for each row its id and hash.

    16 bytes for each machine: a dictionary takes ten times as much. Of 64 bits that
    last as long as this process, in a tenth of the time of a fingerprint: all machines
    are read under the lock.
    """

    def __init__(self) -> None:
        self.ids = array("q")
        self.prints = array("q")

    def remembered(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield *rows*, and remember them."""
        for row in rows:
            self.ids.append(row[0])
            self.prints.append(hash(row))
            yield row

    def changed(self, rows: Iterable[Row]) -> list[Row]:
        """Return the keys of *rows* that are new, gone or other ones, and remember."""
        keys: list[Row] = []
        known = iter(zip(self.ids, self.prints))
        now = Known()
        old = next(known, None)
        for row in now.remembered(rows):
            while old is not None and old[0] < row[0]:
                keys.append((old[0],))  # gone
                old = next(known, None)
            if old is not None and old[0] == row[0]:
                if old[1] != now.prints[-1]:
                    keys.append((row[0],))
                old = next(known, None)
            else:
                keys.append((row[0],))
        while old is not None:
            keys.append((old[0],))
            old = next(known, None)
        self.ids, self.prints = now.ids, now.prints
        return keys
