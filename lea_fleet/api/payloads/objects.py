"""JSON as it comes in: one object, in UTF-8, each member once."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any, NoReturn

from ...core.problems import InvalidJson

#: The most bytes that a body may have.
LONGEST_BODY = 64 * 1024


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; no body at all is an empty one.

    Raises InvalidJson.
    """
    if not body:
        return {}
    try:
        # A byte order mark may be ignored (RFC 8259, section 8.1).
        parsed = _DECODER.decode(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError:
        raise InvalidJson("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidJson(f"The body is not JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise InvalidJson("The body must be a JSON object.")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{json.dumps(name)} is given more than once")
        members[name] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant
)
