"""Build responses: JSON, text and files, all uncached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO

from flask import Response

from ..core import clock

#: Created once: json.dumps() would create one for each response.
_ENCODER = json.JSONEncoder(separators=(",", ":"))

#: Keeps tokens and personal data out of caches.
_UNCACHED = ("Cache-Control", "no-store")

#: Bytes of a file that are sent at a time.
_CHUNK = 64 * 1024


def json_response(members: Mapping[str, object], status: int = 200) -> Response:
    """Return *members* as JSON in ASCII: Windows' WinHttp mis-decodes other text.

    Not serialized by ``app.json``, which the host may have changed.
    """
    text = _ENCODER.encode(members) + "\n"
    response = Response(text, status, content_type="application/json")
    response.headers.add(*_UNCACHED)
    return response


def text_response(text: bytes, media_type: str) -> Response:
    """Return *text*, already encoded, with that media type."""
    return Response(text, headers=[("Content-Type", media_type), _UNCACHED])


def file_response(file: IO[bytes], mimetype: str) -> Response:
    """Stream *file*, which is positioned at its end and is closed when sent."""
    response = Response(_chunks(file), headers=[_UNCACHED], mimetype=mimetype)
    response.content_length = file.tell()
    response.call_on_close(file.close)  # if nothing is read: HEAD, a lost client
    return response


def csv_response(file: IO[bytes], kind: str) -> Response:
    """Stream CSV as a file to save, whose name has the *kind* of rows and the date."""
    response = file_response(file, "text/csv")
    name = f"{kind}-{clock.now():%Y-%m-%d}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def attachment(content: bytes, media_type: str, name: str) -> Response:
    """Return *content* as a file to save, whose *name* is ASCII without quotes."""
    response = text_response(content, media_type)
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk
