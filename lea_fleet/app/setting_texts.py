"""What people may be shown of the values of settings: never a secret."""

from __future__ import annotations

from ..core.text import scheme_and_host


def set_or_not(token: str | None) -> str:
    return "not set" if token is None else "set"


def url_shown(url: str | None) -> str:
    return "not set" if url is None else scheme_and_host(url)


def or_off(share: float | None) -> str:
    return "off" if share is None else f"{share:g}"


def hosts_shown(urls: tuple[str, ...]) -> str:
    return " ".join(map(scheme_and_host, urls)) or "not set"


def number_shown(addresses: tuple[str, ...]) -> str:
    return f"{len(addresses)} set" if addresses else "not set"


def names(listed: tuple[str, ...]) -> str:
    return ", ".join(listed) or "not set"
