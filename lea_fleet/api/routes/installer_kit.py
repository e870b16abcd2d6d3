"""Routes for what sets a machine up: the installer kit, and the script of a command."""

from __future__ import annotations

from flask import Response

from ...app import installer_kit as kit
from ...app.database import get_repository
from ...app.state import current_state
from ...auth.guard import admits
from ...core.problems import InvalidField
from ...core.rows import EnrollmentToken
from ...core.tokens import hash_token
from ..blueprint import blueprint
from ..payloads.bodies import kit_payload
from ..payloads.queries import setup_query
from ..requests import body, parameters
from ..responses import attachment, json_response, text_response

#: Why a kit with an enrollment token in that state would enroll nothing.
_FAULTS = {
    "expired": "has expired",
    "revoked": "has been revoked",
    "used_up": "has no uses left",
}


@blueprint.get("/installer-kit")
def show_setup() -> Response:
    """Show where machines reach the server, and the command that enrolls one."""
    state = current_state()
    url = setup_query(parameters(), state.url_prefix, state.settings.public_url)
    command = None if url is None else kit.setup_command(url)
    return json_response({"url": url, "command": command})


@blueprint.post("/installer-kit")
def make_kit() -> Response:
    """Return the installer kit as a ZIP, with the enrollment token that was sent.

    Only its hash is stored, so that nobody else can be given a kit with it.
    """
    state = current_state()
    wanted = kit_payload(body(state), state.url_prefix, state.settings.public_url)
    number = _usable(wanted.token)["id"]
    name = f"lea-fleet-kit-{number}"
    archive = kit.zipped(kit.kit_files(wanted.url, wanted.token), name)
    return attachment(archive, "application/zip", f"{name}.zip")


@blueprint.get("/installer-kit/enroll.sh")
@admits("operator", "installer")
def enroll_script() -> Response:
    """Return enroll.sh in one file, for the command; it contains no secret."""
    return text_response(kit.enroll_script(), "text/x-shellscript; charset=utf-8")


def _usable(token: str) -> EnrollmentToken:
    """Return an enrollment token that can enroll. Raises InvalidField for another."""
    found = get_repository().enrollment_tokens.find(hash_token(token.encode()))
    fault = "is not an enrollment token of this server"
    if found is not None:
        if found["state"] == "active":
            return found
        fault = _FAULTS[found["state"]]
    raise InvalidField([{"field": "token", "message": fault}])
