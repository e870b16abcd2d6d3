"""The routes of the operator's page and its files, with their security headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from werkzeug.routing import Map, Rule

from ..app.settings import ConfigurationError
from ..app.state import current_state
from ..auth.sessions import who_is_signed_in
from .assets import MIMETYPES, assets, current_version, document

#: No inline code, no other origin, no framing, and no text interpreted as markup.
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

#: Not behind the API's guard: the page and its files contain no data.
page_blueprint = Blueprint("lea_fleet_page", __name__)


def register_page(app: App, address: str | None, subdomain: str | None = None) -> None:
    """Register the page on *app* at the path *address*; None for no page.

    Raises ConfigurationError if *app* already has a page there.
    """
    refuse_taken_address(app, address, subdomain)
    if address is not None:
        app.register_blueprint(page_blueprint, address=address, subdomain=subdomain)


def refuse_taken_address(
    app: App, address: str | None, subdomain: str | None = None
) -> None:
    """Raise ConfigurationError if *app* already answers at the path *address*."""
    if address is None:
        return
    for rule in app.url_map.iter_rules():
        if rule.rule.rstrip("/") != address or "GET" not in (rule.methods or {"GET"}):
            continue
        if (rule.subdomain or "") == (subdomain or ""):
            raise ConfigurationError(
                f"This application already has a route at {address}"
                f" ({rule.endpoint}): set LEA_FLEET_PAGE to another path, or to False"
                " for no page of lea_fleet."
            )
    taken = _matching(app.url_map, address, subdomain)
    if taken is None:
        return
    # A catch-all: it depends on its converter whether it or our rule comes first.
    ours = Rule(_page_rule(address), endpoint="ours", subdomain=subdomain)
    both = Map([taken.empty(), ours], converters=app.url_map.converters)
    first = _matching(both, address, subdomain)
    if first is not None and first.endpoint != "ours":
        raise ConfigurationError(
            f"This application's route {taken.rule} answers at {address} before the"
            " page of lea_fleet: register lea_fleet before that route, or set"
            " LEA_FLEET_PAGE to another path, or to False for no page."
        )


def _matching(rules: Map, address: str, subdomain: str | None) -> Rule | None:
    """Return the rule that answers a GET at *address*, or None."""
    try:
        adapter = rules.bind("localhost", subdomain=subdomain)
        return adapter.match(address, "GET", return_rule=True)[0]
    except Exception:  # none, a redirect, or a converter that needs a request
        return None


def _page_rule(address: str) -> str:
    """Return the rule of the page at *address*.

    A variable part with one value: Werkzeug prefers a fixed part to it, so a page that
    the host declares later at the same path wins.
    """
    folder, _, name = address.rpartition("/")
    return f'{folder}/<any("{name}"):name>'


@page_blueprint.record
def _add_routes(state: BlueprintSetupState) -> None:
    """Add the routes at the *address* that was passed to the registration."""
    address = state.options["address"]
    routes: dict[str, Callable[..., Response]] = {
        _page_rule(address): page,
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
    """Return the page, with what its scripts must know before they ask the API."""
    state = current_state()
    root = request.root_path.rstrip("/")
    html = document(
        api=quote(root + state.url_prefix),
        assets=quote(f"{root}{state.settings.page}/assets/{current_version()}"),
        signed_in=who_is_signed_in(),
        host=quote(f"{root}/"),
        stale_after=str(state.settings.stale_after or ""),
    )
    return _send(html, "text/html", "private, no-cache")


def asset(version: str, name: str) -> Response:
    """Return one of the page's files, whose content never changes at its URL."""
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
