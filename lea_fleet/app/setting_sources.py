"""Where the settings come from: the application's config, else the environment."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

#: What ``app.config.from_prefixed_env()`` reads.
_FLASK = "FLASK_"

_OURS = "LEA_FLEET_"

#: Variables that commands read, instead of an option.
_OF_COMMANDS = {"LEA_FLEET_MOVE_TO"}

#: Kubernetes sets such variables in each container, for a service named lea-fleet.
_OF_A_SERVICE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$", re.ASCII)


class Found(NamedTuple):
    """The *value* of a setting, None if it is not set, and the *name* it has there."""

    name: str
    value: Any


def find_value(
    key: str, config: Mapping[str, Any], environment: Mapping[str, str]
) -> Found:
    """Find the value of the setting *key*, which is not checked yet.

    *environment* may name it with Flask's prefix too, also where the host does not
    call ``from_prefixed_env()``.
    """
    value = config.get(key)
    if value is not None:
        return _as_written(key, value, environment)
    for name in (_FLASK + key, key):
        if name in environment:
            return Found(name, environment[name])
    return Found(key, None)


def unknown(names: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence on each of *names* that looks like a setting and is not one."""
    for name in names:
        if name.startswith(_OURS) and name not in known:
            alike = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {alike[0]}?" if alike else "."
            yield f"{name} is not a setting of lea_fleet{hint}"


def unknown_variables(
    environment: Mapping[str, str], known: Collection[str]
) -> Iterator[str]:
    """Yield a sentence on each variable that looks like a setting and is not one."""
    names = {name.removeprefix(_FLASK) for name in environment.keys() - _OF_COMMANDS}
    return unknown(
        sorted(name for name in names if not _OF_A_SERVICE.search(name)), known
    )


def _as_written(key: str, value: Any, environment: Mapping[str, str]) -> Found:
    """Return the variable that *value* was made from, if it is a number.

    ``from_prefixed_env()``, with whatever prefix, makes a number of ``14``: a duration
    whose unit was forgotten. A number that the host itself has set is in seconds.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for name, text in environment.items():
            if f"_{name}".endswith(f"_{key}") and _number(text) == value:
                return Found(name, text)
    return Found(key, value)


def _number(text: str) -> float | None:
    for kind in (int, float):  # a float has 16 digits of a token that is all digits
        try:
            return kind(text)
        except ValueError:
            continue
    return None
