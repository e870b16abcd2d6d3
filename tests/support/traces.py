"""People, and traces of them in the files of a database."""

from __future__ import annotations

import json
from pathlib import Path

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


def traces(database: Path, *texts: str) -> list[str]:
    """Return those of *texts* that are in the database or its WAL, in any form."""
    files = [Path(f"{database}{end}") for end in ("", "-wal")]
    stored = b"".join(file.read_bytes() for file in files if file.exists())
    return [text for text in texts if any(form in stored for form in _forms(text))]


def _forms(text: str) -> list[bytes]:
    """Return the forms of a stored text: as it is, as in events, in lower case."""
    cases = (text, text.casefold())
    plain = [case.encode() for case in cases]
    return plain + [json.dumps(case)[1:-1].encode() for case in cases]
