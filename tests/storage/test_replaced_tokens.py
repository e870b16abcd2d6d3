"""A token that was replaced stays invalid, whatever else its transaction does.

A token that was revoked by its machine's uninstall may repeat the uninstall. It is
recognized by the uninstall's timestamp, which all of one transaction has.
"""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_repository
from lea_fleet.core import tokens
from tests.support.api import Agent, assert_problem

pytestmark = pytest.mark.usefixtures("the_clock")


@pytest.fixture
def repository(app):
    with app.app_context():
        yield get_repository()


@pytest.fixture
def agent(operator):
    agent = operator.enroll("PC-1")
    agent.heartbeat()
    return agent


def replaced(repository):
    repository.replace_token("PC-1", tokens.new_agent_token())


def rotated_away(repository):
    token = tokens.new_agent_token()
    repository.rotate_token("PC-1", token)
    repository.use_token(repository.tokens.find(tokens.hash_token(token.encode())))


def enrolled_again(repository):
    repository.enroll("PC-1", force=True)


def uninstalled_and_enrolled_again(repository):
    repository.uninstall("PC-1")
    repository.enroll("PC-1")


@pytest.mark.parametrize(
    "replace",
    [replaced, rotated_away, enrolled_again, uninstalled_and_enrolled_again],
)
def test_a_token_that_is_replaced_where_its_machine_is_uninstalled_stays_dead(
    repository, agent, replace
):
    with repository.transaction():
        replace(repository)
        repository.uninstall("PC-1")

    for _ in range(2):
        assert_problem(agent.uninstall("PC-1"), 401, "agent_uninstalled")


def test_a_pending_token_that_is_replaced_there_stays_dead(
    repository, operator, client, agent
):
    answer = operator.post("/machines/PC-1/token", {}).json
    pending = Agent(client, {**agent.answer, **answer})
    with repository.transaction():
        repository.rotate_token("PC-1", tokens.new_agent_token())
        repository.uninstall("PC-1")

    assert_problem(pending.uninstall("PC-1"), 401, "agent_uninstalled")
    assert agent.uninstall("PC-1").status_code == 200


def test_a_token_that_is_only_uninstalled_may_repeat_that(repository, agent):
    with repository.transaction():
        repository.uninstall("PC-1")

    for _ in range(2):
        assert agent.uninstall("PC-1").status_code == 200
    assert_problem(agent.heartbeat(), 401, "agent_uninstalled", "reenroll")


def test_a_replaced_token_is_written_once(repository, engine, agent):
    """What an enrollment writes does not grow with the number of earlier ones."""
    for _ in range(3):
        repository.uninstall("PC-1")
        repository.enroll("PC-1")
    with engine.connected() as other:
        before = engine.version(other)
        repository.tokens.replace_all("PC-1")

        assert engine.version(other) == before
