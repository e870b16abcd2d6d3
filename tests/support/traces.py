"""People, and traces of them in a database and its files."""

from __future__ import annotations

import json
from typing import Protocol

ZOE = {
    "user_name": "Zoé Lefèvre-Œuvré",
    "user_email": "Zoé@Example.com",
    "user_id": "S-1-5-21-77",
    "hostname": "PC-DE-ZOÉ",
}
BOB = {
    "user_name": "Bob Åkesson",
    "user_email": "bob@example.com",
    "user_id": "S-1-5-21-88",
    "hostname": "PC-DE-BOB",
}


class Stored(Protocol):
    def as_bytes(self) -> bytes: ...


def traces(engine: Stored, *texts: str) -> list[str]:
    """Return those of *texts* that are anywhere in the database, in any form."""
    stored = engine.as_bytes()
    return [text for text in texts if any(form in stored for form in _forms(text))]


def _forms(text: str) -> list[bytes]:
    """Return the forms of a stored text: as it is, as in events, in lower case."""
    cases = (text, text.casefold())
    plain = [case.encode() for case in cases]
    return plain + [json.dumps(case)[1:-1].encode() for case in cases]
