"""Connections that one command opens for itself, beside those of the store.

They look at a server that the store would refuse, such as a standby, and wait for
longer or not at all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg
from psycopg import conninfo

from .address import may_have_several_hosts
from .errors import database_problem

#: Seconds for each host, unless the URL has a connect_timeout: libpq has none. And the
#: shortest that it knows.
_CONNECT_TIMEOUT = 5
SHORTEST = 2

#: A host that does not answer is given up after 10 seconds (seen: 10.1 and 10.7, with
#: its link cut), when a standby may have taken over. Linux alone takes 15 minutes for
#: data that was sent, and asks after two hours where nothing comes. In seconds, but for
#: the first in milliseconds, and the last, how often it is asked.
_SILENCE = {
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}

#: Whatever the URL, the environment or an administrator says: psycopg would refuse a
#: name that another encoding lacks, or return bytes for text.
_UNICODE = {"client_encoding": "UTF8"}

#: Of several hosts, the one that accepts writes.
WRITABLE = {"target_session_attrs": "read-write"}


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server is silent for *patience* seconds.

    For where something between answers TCP's probes, but no longer forwards.
    """

    patience = 60.0

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        return super().wait(self._limited(gen), *args, **options)

    def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        since, send, ready = monotonic(), gen.send, None
        while True:
            try:
                wanted = send(ready)
            except StopIteration as end:
                return end.value
            ready = yield wanted
            if ready:
                since = monotonic()
            elif monotonic() - since > self.patience:
                self.close()
                raise psycopg.OperationalError(
                    f"the server has been silent for {self.patience:.0f} seconds"
                )


@contextmanager
def connected(
    url: str, place: str, *, seconds: int | None = None, options: str = ""
) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection in autocommit to any server of *url*.

    *seconds* to wait for each host replace the URL's. *options* are for a URL without
    any. What the server answers in the block, too, is raised as DatabaseProblem.
    """
    try:
        driver = _connect(url, seconds, options)
        try:
            yield driver
        finally:
            driver.close()
    except psycopg.Error as error:
        raise database_problem(error, place) from None


def _connect(url: str, seconds: int | None, options: str) -> psycopg.Connection[Any]:
    """Connect to the server that accepts writes, else to any other one."""
    # Nothing is prepared: the pooler of the store's connections may be in between.
    ours: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
    ours |= parameters(url, **{"options": options} if options else {})
    if seconds is not None:
        ours["connect_timeout"] = seconds
    elif may_have_several_hosts(url):
        try:
            return psycopg.connect(url, **{**ours, **WRITABLE})
        except psycopg.OperationalError:
            pass
    return psycopg.connect(url, **{**ours, "target_session_attrs": "any"})


def parameters(url: str, **more: Any) -> dict[str, Any]:
    """Return our parameters of a connection to *url*, and *more*.

    What *url* gives itself is left out.
    """
    ours = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "application_name": "lea_fleet",
        **_SILENCE,
        **more,
    }
    given = conninfo.conninfo_to_dict(url)
    missing = {name: value for name, value in ours.items() if name not in given}
    return {**missing, **_UNICODE}
