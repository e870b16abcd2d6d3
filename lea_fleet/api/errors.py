"""Refusals as they go out: the one error body."""

from __future__ import annotations

import logging
import sqlite3

from flask import Response

from ..auth.guard import caller_is_operator
from ..app.counting import count_problem
from ..app.database import fault_of
from ..core.problems import DatabaseProblem, Problem
from .routing import blueprint
from .responses import json_response

logger = logging.getLogger("lea_fleet")


@blueprint.errorhandler(Problem)
def on_problem(problem: Problem) -> Response:
    """Answer with the one error body."""
    count_problem(problem)
    body = problem.body()
    if isinstance(problem, DatabaseProblem):
        logger.error("%s: %s", problem.code, problem.detail)
        if not caller_is_operator():
            body["detail"] = f"{problem.title}."  # paths are no caller's business
    response = json_response(body, problem.status)
    response.mimetype = "application/problem+json"
    response.headers.update(problem.headers())
    return response


@blueprint.errorhandler(sqlite3.Error)
def on_database_error(error: sqlite3.Error) -> Response:
    """Answer 503."""
    return on_problem(fault_of(error))
