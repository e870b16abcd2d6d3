"""Tell whether a machine's hostname or user has changed, has come back, or is the same.

One host has several spellings: its NetBIOS name, which Windows cuts at 15 characters,
its name, and its name with a domain. An installer may use one and the agent another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .text import folded, normalized

#: The length of a NetBIOS name that may have been cut.
_NETBIOS = 15


class Former(NamedTuple):
    """A value that a machine gave up, folded, and when; or its host's full name."""

    name: str
    value: str
    left_at: str
    enrolled_at: str


class Past:
    """What an *agent* reported before, in its present enrollment.

    *former* are its former values, the newest first. ``full_hostname`` is the longest
    spelling of its present hostname, since several hosts share a short one.
    """

    def __init__(self, agent: Mapping[str, Any], former: Iterable[Former]) -> None:
        self._agent = agent
        self._former = [f for f in former if f.enrolled_at == agent["enrolled_at"]]
        self.full_hostname: str | None = agent["hostname"]
        for name, value, *_ in self._former:
            if name == "hostname" and is_fuller(value, self.full_hostname):
                self.full_hostname = value
                break

    def known(self, name: str) -> str | None:
        """Return the present value of *name*; of the hostname, the longest spelling."""
        if name == "hostname":
            return self.full_hostname
        value: str | None = self._agent[name]
        return value

    def has(self, name: str, value: str, since: str) -> bool:
        """Tell whether the agent gave up *value* after the timestamp *since*.

        Other spellings of the present hostname were not given up.
        """
        return any(
            former.name == name
            and former.left_at > since
            and is_same(name, former.value, value)
            and not is_same(name, former.value, self.known(name))
            for former in self._former
        )


def is_same(name: str, one: object, other: object) -> bool:
    """Tell whether two values of the detail *name* mean the same host or user."""
    if name == "hostname":
        return is_same_host(one, other)
    return folded(one) == folded(other)


def is_same_host(one: object, other: object) -> bool:
    """Tell whether two hostnames are spellings of the same name.

    A name without a domain is that of any host with this label. A name of exactly 15
    characters is the NetBIOS name of each whose label begins with it. Anything else is
    compared whole: other domains, and longer names, are other hosts.
    """
    short, full = sorted((_undotted(one), _undotted(other)), key=len)
    start, label = folded(short), folded(full.partition(".")[0])
    if folded(full) == start:
        return True
    return bool(start) and (
        start == label or len(short) == _NETBIOS and label.startswith(start)
    )


def is_fuller(one: object, other: object) -> bool:
    """Tell whether *one* is a longer spelling of the hostname *other*."""
    return len(_undotted(one)) > len(_undotted(other)) and is_same_host(one, other)


def is_longer_spelling(hostname: object, values: Iterable[str]) -> bool:
    """Tell whether *hostname* is a longer spelling of one of *values*."""
    return any(is_fuller(hostname, value) for value in values)


def _undotted(hostname: object) -> str:
    """Return *hostname* without the dot that ends a full name."""
    return normalized(hostname).removesuffix(".").rstrip()
