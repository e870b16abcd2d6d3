"""Operators who are signed in to the host, and protection against CSRF.

Their requests carry cookies, which a browser also sends with requests that another
site's page makes. So a request that writes must show that it comes from a page of this
site: by ``Sec-Fetch-Site``, which no page can forge, or by a header field that a page
of another site cannot add without permission by CORS.

A request that reads must not come from a page of another origin either: with CORS, that
page could read the answer. A link to this site, which opens a page of its own, may.
"""

from __future__ import annotations

from typing import Literal

from flask import request

from ..app.state import FleetUser, current_state
from ..core.problems import CrossSite, InsufficientScope
from .principals import Principal, operator_of

#: The header field for clients that do not send Sec-Fetch-Site.
CUSTOM_HEADER = "X-Lea-Fleet"

_READING = ("GET", "HEAD")


def signed_in_operator() -> Principal | None:
    """Return the operator that the host's operator_loader names, or None for nobody.

    None also for a read by a page of another origin. Raises InsufficientScope for a
    user who is not an operator, and CrossSite for a request that writes and may come
    from another site.
    """
    is_reading = request.method in _READING
    if is_reading and _is_cross_origin():
        return None
    vouched = current_state().operator_loader()
    if isinstance(vouched, FleetUser):
        if vouched.role is None:
            raise InsufficientScope("You are signed in, but not as an operator.")
        if not is_reading:
            _refuse_cross_site()
        return operator_of(vouched.role, _stored(vouched.name))
    # No other truthy value counts: an anonymous user may be an object, too.
    if vouched is not True and not (isinstance(vouched, str) and vouched):
        return None
    if not is_reading:
        _refuse_cross_site()
    return operator_of("admin", None if vouched is True else _stored(vouched))


def who_is_signed_in() -> Literal["operator", "other", "nobody"]:
    """Return who reads this page: an operator, another user of the host, or nobody."""
    try:
        return "nobody" if signed_in_operator() is None else "operator"
    except InsufficientScope:
        return "other"


def _stored(name: str) -> str:
    """Return *name* as events and the database can store it.

    A proxy of Werkzeug's is a str for isinstance() only, and half a surrogate pair,
    which JSON may have, is not UTF-8.
    """
    return str(name).encode("utf-8", "backslashreplace").decode()


def _is_cross_origin() -> bool:
    """Tell whether a page of another origin has sent this request, to read the answer.

    By Sec-Fetch-Site, else by Origin, which browsers add to every request with CORS and
    to no other that reads.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_link = request.headers.get("Sec-Fetch-Mode") == "navigate"
        return site not in ("same-origin", "none") and not is_link
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def _refuse_cross_site() -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is None and current_state().settings.cors and _is_cross_origin():
        raise CrossSite("This request was made by a page of another origin.")
    if site is None and CUSTOM_HEADER not in request.headers:
        raise CrossSite(f"Send Sec-Fetch-Site: same-origin, or {CUSTOM_HEADER}: 1.")
    if site not in (None, "same-origin"):
        raise CrossSite("This request was made by a page of another site.")
    if not request.is_json:
        raise CrossSite("Send Content-Type: application/json.")
