"""Answers as they go out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO

from flask import Response

#: Made once: json.dumps() would make another one for each answer.
_ENCODER = json.JSONEncoder(separators=(",", ":"))

#: Keeps tokens and people's names out of every cache on the way.
_UNCACHED = ("Cache-Control", "no-store")

#: Bytes of a file that are sent at a time.
_CHUNK = 64 * 1024


def json_response(members: Mapping[str, object], status: int = 200) -> Response:
    """Return *members* as JSON in ASCII: Windows' WinHttp mis-decodes the rest.

    Serialised here and not by ``app.json``, which is the host's to change.
    """
    text = _ENCODER.encode(members) + "\n"
    response = Response(text, status, content_type="application/json")
    response.headers.add(*_UNCACHED)
    return response


def text_response(text: bytes, media_type: str) -> Response:
    """Return *text* as what it is."""
    return Response(text, headers=[("Content-Type", media_type), _UNCACHED])


def file_response(file: IO[bytes], mimetype: str) -> Response:
    """Return what is in *file*, which stands at its end and is closed when sent."""
    response = Response(_chunks(file), headers=[_UNCACHED], mimetype=mimetype)
    response.content_length = file.tell()
    response.call_on_close(file.close)  # where nobody reads: HEAD, a lost client
    return response


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk
