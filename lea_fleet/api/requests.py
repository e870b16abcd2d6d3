"""Read requests: body, query parameters and preferred media type."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wsgi import get_content_length

from ..app.receiving import limit_time
from ..app.state import FleetState
from ..core.limits import LARGEST_ID, LONGEST_BODY
from ..core.problems import (
    BodyTooLarge,
    InvalidField,
    InvalidJson,
    NotFound,
    UnsupportedMediaType,
)

# With and without parameters: Werkzeug takes them for different types.
_CSV = ("text/csv", "text/csv; charset=utf-8")
_PLAIN = ("text/plain", "text/plain; version=0.0.4", "text/plain; version=1.0.0")
_OPENMETRICS = tuple(
    f"application/openmetrics-text{version}"
    for version in ("", "; version=0.0.1", "; version=1.0.0")
)


_ID = re.compile("[0-9]{1,19}")


def numbered(segment: str) -> int:
    """Return the id that a *segment* of the path is. Raises NotFound."""
    if _ID.fullmatch(segment) and int(segment) <= LARGEST_ID:
        return int(segment)
    raise NotFound("An id in this path is a number.")


def body(state: FleetState) -> bytes:
    """Return the body of the request, which must be declared as JSON, or empty.

    Raises BodyTooLarge, UnsupportedMediaType and InvalidJson. Werkzeug's own errors
    are caught here: otherwise the host's error pages would answer them.
    """
    asked = request._get_current_object()  # type: ignore[attr-defined]
    announced = get_content_length(asked.environ)
    if announced is not None and announced > LONGEST_BODY:
        raise _too_large()
    _refuse_unreadable(asked.environ, announced)
    if announced != 0 and "gunicorn.socket" in asked.environ:
        limit_time(asked.environ)
    # Werkzeug cuts a body of unknown length without an error, so allow one byte more.
    # Otherwise set no limit: with one, Werkzeug reads into a buffer of 64 KiB, twice.
    # The setting is read from the state: the request's own property costs 2 µs.
    if announced is None or state.config["MAX_CONTENT_LENGTH"] is not None:
        asked.max_content_length = LONGEST_BODY + 1
    try:
        sent: bytes = asked.get_data()
    except RequestEntityTooLarge:
        raise _too_large() from None
    except HTTPException as error:  # the client went away before the end
        raise InvalidJson(f"The body could not be read: {error.description}") from None
    except Exception as error:  # the server's own, such as gunicorn's for a bad chunk
        raise InvalidJson("The body could not be read.") from error
    if len(sent) > LONGEST_BODY:
        raise _too_large()
    # The usual value, without the parser, which would cost a heartbeat 1 %.
    plain = asked.environ.get("CONTENT_TYPE") == "application/json"
    # In chunks: a form that the host has read before leaves nothing here.
    is_form = announced is None and "HTTP_TRANSFER_ENCODING" in asked.environ
    if (sent or announced or is_form) and not plain and not asked.is_json:
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    if len(sent) < (announced or 0):
        raise InvalidJson("The body ended before its Content-Length.")
    return sent


def _refuse_unreadable(environ: dict[str, Any], announced: int | None) -> None:
    """Raise a problem for a body of which only the server knows where it ends.

    Such as one in chunks on uWSGI and under ASGI bridges: Werkzeug takes it for an
    empty body, and a request for a token of one use would be one for a hundred.
    HTTP/2 needs no length, and no server leaves its body on a bare connection.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    # Werkzeug also takes one for 0 that has more digits than Python converts.
    is_long = announced == 0 and length.strip().strip("0")
    if not (length.isascii() and length.strip().isdigit()) or is_long:
        raise InvalidJson("The body could not be read: Content-Length is not valid.")
    sent_as = environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if sent_as not in ("", "chunked", "identity"):
        raise _compressed("Transfer-Encoding")
    if environ.get("HTTP_CONTENT_ENCODING", "").lower() not in ("", "identity"):
        raise _compressed("Content-Encoding")
    if announced is not None and not sent_as:
        return
    protocol = environ.get("SERVER_PROTOCOL", "")
    # HTTP/1.0 has no chunks: waitress drops them, and says that the input is complete.
    if "wsgi.input_terminated" in environ and protocol != "HTTP/1.0":
        return
    # By the field: uWSGI passes on a missing length as an empty one, which counts as 0.
    if sent_as == "chunked" or (sent_as and not environ.get("CONTENT_LENGTH")):
        raise InvalidJson(
            "The body could not be read: this server passes on no body in chunks, or of"
            " unknown length. Send it with Content-Length."
        )
    if protocol.startswith(("HTTP/2", "HTTP/3")):
        environ["wsgi.input_terminated"] = True


def parameters() -> dict[str, list[str]]:
    """Return every value of each query parameter. Raises InvalidField."""
    try:
        return request.args.to_dict(flat=False)
    except UnicodeDecodeError:
        fault = {"field": "query", "message": "must be percent-encoded UTF-8"}
        raise InvalidField([fault]) from None


def prefers_csv() -> bool:
    """Tell whether the client prefers CSV to JSON.

    One that accepts neither gets JSON, as it would without this header field.
    """
    best = request.accept_mimetypes.best_match(["application/json", *_CSV])
    return best in _CSV


def prefers_openmetrics() -> bool:
    """Tell whether the client prefers OpenMetrics to plain text."""
    best = request.accept_mimetypes.best_match([*_PLAIN, *_OPENMETRICS])
    return best in _OPENMETRICS


def next_page(cursor: str) -> str:
    """Return the path and query of this request with another *cursor*.

    Without scheme and host: behind a proxy they may differ from the client's.
    """
    query = urlencode({**parameters(), "cursor": cursor}, doseq=True)
    return f"{quote(request.root_path + request.path)}?{query}"


def _compressed(field: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"Send the body as it is, without {field}.")


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(
        f"The body may have at most {LONGEST_BODY} bytes.", limit=LONGEST_BODY
    )
