"""Where a database is: what its URL says of it, without its user and password."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.pq import Conninfo

#: What is needed to find the database; who uses it is left out.
_ADDRESS = ("service", "host", "hostaddr", "port", "dbname")

_LARGEST_PORT = 65535


def refuse_url(url: str) -> None:
    """Raise ValueError if libpq cannot read *url*; the text quotes nothing of it."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        # What libpq quotes may be a part of the password. Whichever marks it quotes by,
        # in whatever language, they are no letters.
        (reason,) = re.findall(r"\A[\w /-]*", str(error))
        raise ValueError(f"is not valid: {reason.strip()}") from None
    if not all(map(_is_port, str(given.get("port") or "").split(","))):
        raise ValueError("is not valid: its port is not a number from 1 to 65535")


def place_of(url: str) -> str:
    """Return the database and hosts of *url*, else of libpq's environment.

    A service is named, not looked up.
    """
    known = _known(url)
    service, name, hosts = known.get("service"), known.get("dbname"), _hosts(known)
    parts = ["PostgreSQL"]
    if name or not service:
        parts.append(name or "the default database")
    if hosts or not service:
        parts.append(f"at {hosts or 'localhost'}:{known.get('port') or '5432'}")
    if service:
        parts.append(f"of the service {service}")
    return " ".join(parts)


def absence_of(place: str, schema: str) -> str:
    """Return the clause that there is no fleet."""
    return f"There is no fleet in the schema {schema} of {place}"


def connection_string(url: str) -> str:
    """Return what a command line needs to find the database of *url*."""
    return conninfo.make_conninfo("", **_address(url))


def may_have_several_hosts(url: str) -> bool:
    known = _known(url)
    return "," in _hosts(known) or "service" in known


def _hosts(known: dict[str, str]) -> str:
    return known.get("host") or known.get("hostaddr") or ""


def _known(url: str) -> dict[str, str]:
    """Return the address of *url*, filled up from the environment but for a service."""
    given = _address(url)
    return given if "service" in given else {**_defaults(), **given}


def _address(url: str) -> dict[str, str]:
    given = conninfo.conninfo_to_dict(url)
    return {name: str(given[name]) for name in _ADDRESS if given.get(name)}


def _defaults() -> dict[str, str]:
    """Return what libpq takes from the environment, such as PGHOST."""
    values: dict[str, Any] = {
        option.keyword.decode(): option.val for option in Conninfo.get_defaults()
    }
    return {name: values[name].decode() for name in _ADDRESS if values.get(name)}


def _is_port(text: str) -> bool:
    return not text or (text.isdecimal() and 0 < int(text) <= _LARGEST_PORT)


def has_password(url: str) -> bool:
    """Return whether *url* has a password, also one of a key; no if it is not valid."""
    try:
        given = Conninfo.parse(url.encode())
    except psycopg.OperationalError:
        return False
    return any(each.val is not None and each.dispchar == b"*" for each in given)
