"""The routes: what comes in, which part of the fleet it is for, what goes out."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from typing import IO, Any

from flask import Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from . import clock, payloads, tokens
from .auth import admits, caller_is_operator, confirm, guard, target
from .cli import register_commands
from .db import discard_db, get_db, get_repository
from .listing import fleet_listing
from .problems import (
    BodyTooLarge,
    DatabaseProblem,
    DatabaseUnavailable,
    InvalidField,
    InvalidJson,
    Problem,
    UnsupportedMediaType,
    database_problem,
)
from .registration import FleetBlueprint
from .repository import Agent
from .state import current_state
from .transaction import transaction

#: Bytes of a listing that are sent at a time.
_CHUNK = 64 * 1024

logger = logging.getLogger("lea_fleet")

blueprint = FleetBlueprint("lea_fleet", __name__, cli_group="fleet")
blueprint.before_request(guard)
register_commands(blueprint.cli)


@blueprint.post("/enroll")
def enroll() -> Response:
    """Enrol a machine and hand out its token."""
    wanted = payloads.enroll_payload(_body())
    with transaction(get_db()):
        confirm()
        enrolment = get_repository().enroll(
            wanted.machine_id,
            allow_reactivate=wanted.allow_reactivate,
            **wanted.details,
        )
        api_token = _issue_token(enrolment.agent)
    answer = {
        "status": enrolment.status,
        "machine_id": enrolment.agent["machine_id"],
        "api_token": api_token,
        "heartbeat_interval": current_state().settings.heartbeat_interval,
        "agent": enrolment.agent,
    }
    return _json(answer, 201)


@blueprint.post("/uninstall")
@admits("operator", "agent", "departed")
def uninstall() -> Response:
    """Mark a machine as uninstalled; doing so again changes nothing."""
    wanted = payloads.uninstall_payload(_body())
    machine_id = _required(target(wanted.machine_id))
    with transaction(get_db()):
        confirm()
        agent = get_repository().uninstall(machine_id, wanted.reason)
    return _json({"status": "uninstalled", "machine_id": machine_id, "agent": agent})


@blueprint.post("/heartbeat")
@admits("operator", "agent")
def heartbeat() -> Response:
    """Take note that a machine is there, and of what it says about itself."""
    said = payloads.heartbeat_payload(_body())
    machine_id = _required(target(said.machine_id))
    repository = get_repository()
    if not repository.says_nothing_new(machine_id, said.details):
        with transaction(get_db(), "NORMAL"):
            confirm()
            repository.heartbeat(machine_id, **said.details)
    answer = {
        "status": "ok",
        "machine_id": machine_id,
        "heartbeat_interval": current_state().settings.heartbeat_interval,
        "server_time": clock.iso(clock.now()),
    }
    return _json(answer)


@blueprint.get("/fleet")
def fleet() -> Response:
    """List the machines, or the one that ``?machine_id=`` names."""
    machine_id = payloads.fleet_query(_parameters())
    return _file(fleet_listing(get_repository(), machine_id))


@blueprint.get("/machines/<machine_id>")
@admits("operator", "agent")
def machine(machine_id: str) -> Response:
    """Show one machine."""
    target(machine_id)
    return _json({"agent": get_repository().require(machine_id)})


@blueprint.errorhandler(Problem)
def on_problem(problem: Problem) -> Response:
    """Answer with the one error body."""
    body = problem.body()
    if isinstance(problem, DatabaseProblem):
        logger.error("%s: %s", problem.code, problem.detail)
        if not caller_is_operator():
            body["detail"] = f"{problem.title}."  # paths are no caller's business
    response = _json(body, problem.status)
    response.mimetype = "application/problem+json"
    response.headers.update(problem.headers())
    return response


@blueprint.errorhandler(sqlite3.Error)
def on_database_error(error: sqlite3.Error) -> Response:
    """Answer 503, and leave no connection to anybody that may be broken."""
    state = current_state()
    problem = database_problem(error, state.settings.database)
    if isinstance(problem, DatabaseUnavailable):
        discard_db()
        state.connections.close_idle()
    return on_problem(problem)


def _body() -> bytes:
    """Return the body of the request, which is JSON or nothing.

    Raises BodyTooLarge, UnsupportedMediaType and InvalidJson. Werkzeug's own
    errors are caught here, where they arise: a host's page for them would
    otherwise come before ours.
    """
    # One byte more: a body of unknown length is cut there without an error.
    request.max_content_length = payloads.LONGEST_BODY + 1
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise _too_large() from None
    except HTTPException as error:  # the client went away before the end
        raise InvalidJson(f"The body could not be read: {error.description}") from None
    if len(body) > payloads.LONGEST_BODY:
        raise _too_large()
    announced = request.content_length or 0
    if (body or announced) and not request.is_json:
        raise UnsupportedMediaType("Send the body as Content-Type: application/json.")
    if len(body) < announced:
        raise InvalidJson("The body ended before its Content-Length.")
    return body


def _parameters() -> dict[str, list[str]]:
    """Return every value of each query parameter. Raises InvalidField."""
    try:
        return request.args.to_dict(flat=False)
    except UnicodeDecodeError:
        fault = {"field": "query", "message": "must be percent-encoded UTF-8"}
        raise InvalidField([fault]) from None


def _too_large() -> BodyTooLarge:
    limit = payloads.LONGEST_BODY
    return BodyTooLarge(f"The body may have at most {limit} bytes.", limit=limit)


def _required(machine_id: str | None) -> str:
    if machine_id is None:
        raise InvalidField([{"field": "machine_id", "message": "is required"}])
    return machine_id


def _issue_token(agent: Agent) -> str:
    """Return the token that an enrolled *agent* is handed."""
    settings = current_state().settings
    if settings.issue == "shared":
        return settings.api_token
    token = tokens.new_agent_token()
    get_repository().tokens.add(agent, tokens.hash_token(token))
    return token


def _json(body: dict[str, Any], status: int = 200) -> Response:
    """Return *body* as JSON in ASCII: Windows' WinHttp mis-decodes the rest.

    Serialised here and not by ``app.json``, which is the host's to change.
    """
    text = json.dumps(body, separators=(",", ":")) + "\n"
    response = Response(text, status, mimetype="application/json")
    return _uncached(response)


def _file(listing: IO[bytes]) -> Response:
    response = Response(_chunks(listing), mimetype="application/json")
    response.content_length = listing.tell()
    response.call_on_close(listing.close)  # where nobody reads: HEAD, a lost client
    return _uncached(response)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _uncached(response: Response) -> Response:
    """Keep tokens and people's names out of every cache on the way."""
    response.headers["Cache-Control"] = "no-store"
    return response
