"""What other Flask extensions of a host have to know about this one.

Flask-WTF's CSRFProtect refuses every request that writes and has no token of its forms:
agents get the host's page for 400. Alembic, also in Flask-Migrate, compares a host's
models with all tables of its database, and drops those that it does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app

from .state import FleetState

logger = logging.getLogger("lea_fleet")

#: The table that is the older server's, and that a host may have a model of.
_OLDER_SERVERS = "enrolled_agents"
_PREFIX = "lea_fleet_"


def exempt_from_csrf(state: FleetState, blueprint: Blueprint) -> None:
    """Exempt *blueprint* from the host's CSRFProtect, if it has one.

    Called in a request, before the host's ``before_request`` functions: by then each
    extension is on the application, in whichever order the host adds them. Programs
    send a token and no cookie; for sessions, see :mod:`lea_fleet.auth.sessions`.
    """
    if state.settings.csrf_exempt:
        _exempt(current_app.extensions.get("csrf"), blueprint)
    # Last: CSRFProtect would refuse the request of another thread until then.
    state.has_looked_for_csrf = True


def _exempt(protection: Any, blueprint: Blueprint) -> None:
    if protection is None:
        return
    try:
        from flask_wtf import CSRFProtect
    except ModuleNotFoundError:  # another extension of that name
        return
    if isinstance(protection, CSRFProtect):
        protection.exempt(blueprint)
        logger.info(
            "CSRFProtect leaves the routes of lea_fleet alone, which protect"
            " themselves; LEA_FLEET_CSRF_EXEMPT=False turns that off."
        )


def include_name(
    name: str | None, type_: str, parent_names: Mapping[str, str | None]
) -> bool:
    """Tell Alembic to leave our tables and indexes alone: its ``include_name``.

    So also the table ``enrolled_agents``, unless the host has a model of it: then the
    host passes a function that returns True for this name, and asks here for others.
    """
    if type_ == "table" and name == _OLDER_SERVERS:
        return False
    return type_ not in ("table", "index") or not (name or "").startswith(_PREFIX)
