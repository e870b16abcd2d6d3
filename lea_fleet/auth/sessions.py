"""Operators who are signed in to the host, and protection from other sites.

Their requests carry cookies, which a browser sends along with whatever page of
another site asks it to. So a request that writes has to show that it comes from
a page of this site: by ``Sec-Fetch-Site``, which no page can forge, or by a
header field that a page of another site cannot add without being allowed to.
"""

from __future__ import annotations

from flask import request

from ..app.state import current_state
from ..core.problems import CrossSite
from .principals import Principal

#: The field that a client adds whose browser sends no Sec-Fetch-Site.
CUSTOM_HEADER = "X-Lea-Fleet"

_READING = ("GET", "HEAD")


def signed_in_operator() -> Principal | None:
    """Return the operator that the host's loader vouches for, or None.

    Raises CrossSite for a request that writes and may come from elsewhere.
    """
    vouched = current_state().operator_loader()
    # Nothing else that is true: an anonymous user may be an object, too.
    if vouched is not True and not (isinstance(vouched, str) and vouched):
        return None
    if request.method not in _READING:
        _refuse_cross_site()
    return Principal("operator", user=None if vouched is True else vouched)


def _refuse_cross_site() -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is None and CUSTOM_HEADER not in request.headers:
        raise CrossSite(f"Send Sec-Fetch-Site: same-origin, or {CUSTOM_HEADER}: 1.")
    if site not in (None, "same-origin"):
        raise CrossSite("This request was made by a page of another site.")
    if not request.is_json:
        raise CrossSite("Send Content-Type: application/json.")
