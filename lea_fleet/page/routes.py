"""Where the page and its files stand on an application, and how they go out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App

from ..app.settings import ConfigurationError
from ..app.state import current_state
from ..auth.sessions import signed_in_operator
from .assets import MIMETYPES, assets, current_version, document

#: Nothing inline, nothing from elsewhere, in no frame; no text becomes markup.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

#: Without the guard of the API: there is nothing here to keep from anybody.
page_blueprint = Blueprint("lea_fleet_page", __name__)


def register_page(app: App, address: str | None) -> None:
    """Put the page on *app*, at *address*; nowhere where that is None.

    Raises ConfigurationError where another page is there already.
    """
    refuse_taken_address(app, address)
    if address is not None:
        app.register_blueprint(page_blueprint, address=address)


def refuse_taken_address(app: App, address: str | None) -> None:
    """Raise ConfigurationError where *app* has a page at *address* already."""
    for rule in app.url_map.iter_rules():
        if rule.rule.rstrip("/") == address and "GET" in (rule.methods or {"GET"}):
            raise ConfigurationError(
                f"This application has a page of its own at {address}: let"
                " LEA_FLEET_PAGE say another path, or False for no page of lea_fleet."
            )


@page_blueprint.record
def _add_routes(state: BlueprintSetupState) -> None:
    """Add the routes, at the *address* that the registration says."""
    address = state.options["address"]
    folder, _, name = address.rpartition("/")
    # As a variable part with one value, since a fixed part goes before it: a page of
    # the host's that is declared later is the host's.
    routes: dict[str, Callable[..., Response]] = {
        f'{folder}/<any("{name}"):name>': page,
        f"{address}/assets/<version>/<name>": asset,
    }
    for rule, view in routes.items():
        state.add_url_rule(
            rule,
            view.__name__,
            view,
            methods=["GET"],
            strict_slashes=True,
            merge_slashes=False,
            provide_automatic_options=False,
        )


def page(name: str) -> Response:
    """Show the page, which knows where the API is and whether to ask for a token."""
    state = current_state()
    root = request.root_path.rstrip("/")
    html = document(
        api=quote(root + state.url_prefix),
        assets=quote(f"{root}{state.settings.page}/assets/{current_version()}"),
        signed_in="yes" if signed_in_operator() else "no",
    )
    return _send(html, "text/html", "private, no-cache")


def asset(version: str, name: str) -> Response:
    """Send one of the page's files, which never changes under its address."""
    if version != current_version() or name not in assets():
        abort(404)
    mimetype = MIMETYPES[PurePath(name).suffix]
    return _send(assets()[name], mimetype, "public, max-age=31536000, immutable")


def _send(content: str | bytes, mimetype: str, caching: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers.update(_HEADERS)
    response.headers["Cache-Control"] = caching
    response.add_etag()
    response.make_conditional(request)
    return response
