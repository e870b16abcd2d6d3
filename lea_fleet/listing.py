"""The whole fleet as one JSON document, in flat memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO

from .problems import DatabaseUnavailable
from .repository import AgentRepository

#: Bytes of a listing that are kept in memory before it goes to a file.
_IN_MEMORY = 1024 * 1024


def fleet_listing(
    repository: AgentRepository, machine_id: str | None = None
) -> IO[bytes]:
    """Return a file, at its end, with the body of a listing in UTF-8.

    Lists and totals are of one moment. The read is over when this returns, so
    that a client that reads slowly keeps no snapshot of the database. Of one
    machine only where *machine_id* is given. The caller closes the file.
    Raises DatabaseUnavailable where no temporary file can be written.
    """
    listing: IO[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)
    try:
        with repository.snapshot():
            listing.write(b'{"active":[')
            _write(listing, repository.agents_as_json("active", machine_id))
            listing.write(b'],"uninstalled":[')
            _write(listing, repository.agents_as_json("uninstalled", machine_id))
            totals = json.dumps(repository.totals(machine_id), separators=(",", ":"))
            listing.write(f'],"totals":{totals}}}\n'.encode())
        listing.flush()  # what does not fit is refused now, not half sent
    except OSError as error:
        _discard(listing)
        raise DatabaseUnavailable(
            f"The listing cannot be written to a temporary file: {error.strerror}."
        ) from error
    except BaseException:
        _discard(listing)
        raise
    return listing


def _discard(listing: IO[bytes]) -> None:
    with suppress(OSError):  # closing tries once more to write what did not fit
        listing.close()


def _write(listing: IO[bytes], agents: Iterable[str]) -> None:
    separator = b""
    for agent in agents:
        listing.write(separator + agent.encode())
        separator = b","
