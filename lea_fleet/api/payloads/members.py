"""Validate the members of a JSON object, or query parameters, one by one."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Collection
from typing import Any, NoReturn

from ...core import clock
from ...core.cursors import read_key
from ...core.limits import LARGEST_ID, LONGEST_BODY, LONGEST_DETAIL, LONGEST_KEY
from ...core.machine import DETAILS, PERSONAL
from ...core.problems import InvalidField, InvalidJson
from ...core.server_url import private_api_url


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in *body*; an empty body is an empty object.

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


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


_NOT_STORABLE = "must be Unicode text without NUL"


class Members:
    """The members of one JSON object, and the faults found in them."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members
        self._errors: list[dict[str, str]] = []

    def refuse(self, field: str, message: str) -> Any:
        """Record the first fault of a field; :meth:`check` raises all of them."""
        if not any(error["field"] == field for error in self._errors):
            self._errors.append({"field": field, "message": message})

    def check(self) -> None:
        if self._errors:
            raise InvalidField(self._errors)

    def text(self, field: str, longest: int = LONGEST_BODY) -> str | None:
        """Return the text of *field*; None if it is absent, null, empty or blank."""
        value = self._members.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(field, "must be a string")
            return None
        fault = fault_of_text(value, longest)
        if fault:
            self.refuse(field, fault)
            return None
        return value if value.strip() else None

    def strings(self, field: str) -> list[str] | None:
        """Return the list of strings in *field*; None if it is absent or null."""
        value = self._members.get(field)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        if value is not None:
            self.refuse(field, "must be a list of strings")
        return None

    def details(self) -> dict[str, str | None]:
        """Return the details of a machine that are present, by name."""
        given = {}
        for name in DETAILS:
            if name in self._members:
                given[name] = self._detail(name)
                fault = fault_of_text(given[name] or "", LONGEST_DETAIL)
                if fault:
                    self.refuse(name, fault)
        return given

    def fitting_details(self) -> tuple[dict[str, str | None], list[dict[str, str]]]:
        """Return the details that can be stored, and the faults of the others.

        A machine must not go offline because one is too long. A description is cut; a
        name is left out, since a part of it may be somebody else's.
        """
        given: dict[str, str | None] = {}
        faults = []
        for name in DETAILS:
            if name not in self._members:
                continue
            text = self._detail(name)
            if text is None or len(text) <= LONGEST_DETAIL:
                given[name] = text
                continue
            done = "left out" if name in PERSONAL else f"cut to {LONGEST_DETAIL}"
            message = f"has more than {LONGEST_DETAIL} characters; {done}"
            faults.append({"field": name, "message": message})
            if name not in PERSONAL:
                given[name] = text[:LONGEST_DETAIL]
        return given, faults

    def _detail(self, name: str) -> str | None:
        """Return a detail without blanks around it, such as a program's line end."""
        text = self.text(name, LARGEST_ID)  # its length is judged without the blanks
        return None if text is None else text.strip()

    def boolean(self, field: str, *, default: bool) -> bool:
        value = self._members.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(field, "must be true or false")
            return default
        return value

    def duration(self, field: str, *, default: float) -> float | None:
        """Return the seconds of *field*, such as ``7d``; None for ``never``."""
        value = self._members.get(field)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(field, "must be text such as 12h, 7d or never")
            return default
        try:
            return clock.parse_lifetime(value)
        except ValueError as error:
            self.refuse(field, str(error))
            return default

    def silence(self, field: str) -> float | None:
        """Return the seconds of *field*, such as ``14d``; None if it is absent."""
        text = self.text(field)
        if text is None:
            return None
        try:
            seconds = clock.parse_lifetime(text)
        except ValueError as error:
            self.refuse(field, str(error))
            return None
        if seconds is None:
            self.refuse(field, "must be a duration such as 12h or 14d")
        return seconds

    def has(self, field: str) -> bool:
        """Return whether *field* is there: neither null nor blank."""
        value = self._members.get(field)
        return bool(value.strip()) if isinstance(value, str) else value is not None

    def time(self, field: str) -> str | None:
        """Return the timestamp in *field*, a date or time, as ISO 8601 UTC."""
        text = self.text(field)
        try:
            return None if text is None else clock.parse_time(text)
        except ValueError:
            self.refuse(
                field, "must be a date or time such as 2026-12-24T08:00:00+01:00"
            )
            return None

    def moment(self, field: str) -> str | None:
        """Return the timestamp in *field*, or as long before now as it says."""
        text = self.text(field)
        try:
            return None if text is None else clock.parse_moment(text)
        except ValueError as error:
            self.refuse(field, f"{error}; a + is written %2B")
            return None

    def choice(self, field: str, choices: Collection[str]) -> str | None:
        """Return the text of *field*, which must be one of *choices*."""
        text = self.text(field)
        if text is None or text in choices:
            return text
        self.refuse(field, f"must be {_either(choices)}")
        return None

    def choices(self, field: str, choices: Collection[str]) -> tuple[str, ...]:
        """Return the *choices* that *field* lists, separated by commas."""
        listed = tuple(filter(None, (self.text(field) or "").split(",")))
        if not set(listed) <= set(choices):
            self.refuse(field, f"must be {_either(choices)}, or several with commas")
            return ()
        return tuple(name for name in choices if name in listed)

    def flag(self, field: str) -> bool | None:
        """Return whether the text of *field* is ``true``; None if it is absent."""
        text = self.choice(field, ("true", "false"))
        return None if text is None else text == "true"

    def number(self, field: str, *, default: int, most: int) -> int:
        value = self.integer(field, most)
        return default if value is None else value

    def integer(self, field: str, most: int, least: int = 1) -> int | None:
        """Return the number in *field*; None if it is absent, null or not valid."""
        value = self._members.get(field)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # in JSON, 50.0 and 50 are the same number
        if type(value) is not int or not least <= value <= most:
            self.refuse(field, f"must be a whole number from {least} to {most}")
            return None
        return value

    def digits(self, field: str, most: int = LARGEST_ID, least: int = 1) -> int | None:
        """Parse the text of *field* as a whole number from *least* to *most*."""
        text = self.text(field)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 19):
            self.refuse(field, "must be a whole number")
        elif not least <= int(text) <= most:
            self.refuse(field, f"must be from {least} to {most}")
        else:
            return int(text)
        return None

    def key(self, field: str, length: int) -> tuple[str, ...] | None:
        """Return the key of *length* texts that the cursor in *field* stands for."""
        text = self.text(field)
        if text is None:
            return None
        try:
            return read_key(text, length)
        except ValueError as error:
            self.refuse(field, str(error))
            return None

    def api_url(self, field: str, prefix: str, default: str | None) -> str | None:
        """Return the URL of the API, with its *prefix*, on the server in *field*.

        None if neither that nor a *default* is given.
        """
        server = self.text(field, LONGEST_DETAIL) or default
        try:
            return None if server is None else private_api_url(server, prefix)
        except ValueError as error:
            self.refuse(field, str(error))
            return None

    def idempotency_key(self, key: str | None) -> str | None:
        if key is not None and not 1 <= len(key) <= LONGEST_KEY:
            self.refuse("Idempotency-Key", f"must have 1 to {LONGEST_KEY} characters")
        return key


def _either(choices: Collection[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}"


def fault_of_text(text: str, longest: int) -> str | None:
    """Return why *text* cannot be stored or is too long; None if it is valid.

    It must fit UTF-8 and have no NUL, which ends a string in C.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return _NOT_STORABLE
    if "\0" in text:
        return _NOT_STORABLE
    if len(text) > longest:
        return f"must have at most {longest} characters"
    return None
