"""The error handler: answer problems as problem+json (RFC 9457)."""

from __future__ import annotations

from flask import Response

from ..app.receiving import discard_body
from ..app.state import count_problem
from ..auth.guard import caller_is_operator
from ..auth.reuse import note_reuse
from ..core.problems import DatabaseProblem, Problem
from .blueprint import blueprint
from .refused import note_refused
from .responses import json_response


@blueprint.errorhandler(Problem)
def on_problem(problem: Problem) -> Response:
    """Answer with the problem document; 503 details are for operators only."""
    count_problem(problem)
    note_reuse(problem)
    note_refused(problem)  # before what it may have to read is discarded
    discard_body(problem)
    body = problem.body()
    if isinstance(problem, DatabaseProblem) and not caller_is_operator():
        body["detail"] = f"{problem.title}."  # the detail may name a path
    response = json_response(body, problem.status)
    response.mimetype = "application/problem+json"
    response.headers.update(problem.headers())
    return response
