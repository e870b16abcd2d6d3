"""Answer what no route matches below the prefix: 404 and 405 as problems.

A blueprint's error handlers are not asked about what routing raises, so the answer
would be the host's page; agents take such a page for one of a proxy, and repeat the
request. So the blueprint has rules of the lowest weight, which any other rule of the
host with the same beginning precedes; Werkzeug looks below a fixed beginning first, so
not a catch-all such as ``/<path:page>``. Where only rules of the host's match, by
another method, it is theirs to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import current_app, request
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter, Map, RequestRedirect, Rule

from ...auth.guard import require_role
from ...core import problems
from ...page import page_blueprint
from ..blueprint import UNMATCHED, blueprint


class _AnyMethod(set[str]):
    """Contains every method and lists none, so that no ``Allow`` names them."""

    def __contains__(self, method: object) -> bool:
        return method != "--"  # by which Werkzeug asks what else a path allows


class _Rest(BaseConverter):
    """Matches any text, or *only* one, after every other converter has been tried."""

    part_isolating = False
    weight = 1_000_000

    def __init__(self, url_map: Map, only: str | None = None) -> None:
        super().__init__(url_map)
        self.regex = r"[\s\S]*" if only is None else re.escape(only)


class _UnmatchedRule(Rule):
    """A rule for what is left, without a converter in the host's map."""

    def __init__(self, string: str, **options: Any) -> None:
        super().__init__(string, **options)
        self.methods = _AnyMethod()

    def get_converter(
        self,
        variable_name: str,
        converter_name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> BaseConverter:
        if variable_name == UNMATCHED:
            return _Rest(self.map, *args)
        return super().get_converter(variable_name, converter_name, args, kwargs)


@blueprint.record
def _add_rules(setup: BlueprintSetupState) -> None:
    """Add the rules, unless the prefix is empty: then all paths are the host's."""
    prefix = (setup.url_prefix or "").rstrip("/")
    if not prefix:
        return
    endpoint = f"{setup.name_prefix}.{setup.name}.unmatched".lstrip(".")
    setup.app.view_functions[endpoint] = unmatched
    paths = [f"{prefix}/<{UNMATCHED}>"]
    folder, _, name = prefix.rpartition("/")
    if "<" not in name:
        paths.append(f'{folder}/<rest("{name}"):{UNMATCHED}>')
    for path in paths:
        rule = _UnmatchedRule(
            path,
            endpoint=endpoint,
            subdomain=setup.subdomain,
            strict_slashes=True,
            merge_slashes=False,
        )
        setup.app.url_map.add(rule)


def _leave_to_host() -> None:
    """Undo the match where only the host has rules, so that the host refuses.

    Before its ``before_request`` functions: a guard lets our blueprint pass, and would
    not have looked at a request for a route of its own.
    """
    rules = _rules_by_method()
    if rules and not any(_is_ours(rule) for rule in rules.values()):
        request.url_rule = request.view_args = None
        request.routing_exception = MethodNotAllowed(valid_methods=sorted(rules))


blueprint.leave_to_host = _leave_to_host


def unmatched(**path: str) -> NoReturn:
    """Refuse a request for which neither we nor the host have a route."""
    rules = _rules_by_method()
    require_role("operator", "viewer", "installer", "agent", "monitor")
    if rules:
        raise problems.MethodNotAllowed(sorted(rules))
    raise problems.NotFound(
        "There is no route at this path: check its spelling, and for slashes too many."
    )


def _is_ours(rule: Rule) -> bool:
    """Tell whether *rule* is one of the API, or of a page below its prefix."""
    name = rule.endpoint.rpartition(".")[0]
    return current_app.blueprints.get(name) in (blueprint, page_blueprint)


def _rules_by_method() -> dict[str, Rule]:
    """Return the rule that each other method would have matched at this path."""
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None  # there is none only without a request
    found = {}
    for method in adapter.allowed_methods():
        try:
            rule, _ = adapter.match(method=method, return_rule=True)
        except RequestRedirect:  # a route of the host's, with a slash at its end
            continue
        if not isinstance(rule, _UnmatchedRule):
            found[method] = rule
    return found
