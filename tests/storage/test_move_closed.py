"""A database that a fleet has left, or has not come to yet, takes no writes of ours."""

from __future__ import annotations

import pytest

from lea_fleet.storage.postgresql.move_target import PostgresqlTarget
from lea_fleet.storage.sqlite.move_target import SqliteTarget
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.moves import application, moved, operator_of, rows_of


class Fleet:
    """A fleet with agents of each kind, and what they and others would write."""

    def __init__(self, engine):
        with operator_of(engine) as operator:
            self.fresh = operator.enroll("fresh").token
            self.used = operator.enroll("used").token
            Api(operator.client, self.used).post("/heartbeat", {"version": "1"})
            self.installer = operator.installer().token
            operator.enroll("gone", user_name="Zoé", user_email="zoe@example.com")
            operator.uninstall("gone")

    def answers(self, client):
        """Return the answer to each kind of request that writes."""
        operator = Api(client, OPERATOR_TOKEN)
        fresh, used, installer = (
            Api(client, token) for token in (self.fresh, self.used, self.installer)
        )
        return [
            operator.post("/enroll", {"machine_id": "new"}),
            operator.post("/enroll", {"machine_id": "gone"}),
            installer.post("/enroll", {"machine_id": "newer"}),
            fresh.post("/heartbeat", {}),  # the first use of its token
            used.post("/heartbeat", {"version": "2"}),
            used.post("/machines/used/token", {}),
            used.post("/uninstall", {}),
            operator.post("/uninstall", {"machine_id": "used"}),
            operator.post("/machines/used/token", {}),
            operator.post("/machines/used/release", {}),
            operator.post("/enrollment-tokens", {"label": "x"}),
            operator.request("DELETE", "/enrollment-tokens/1"),
        ]


#: The commands that write.
COMMANDS = [
    ["enroll", "new"],
    ["uninstall", "used", "--yes"],
    ["release", "used", "--yes"],
    ["rotate", "used", "--yes"],
    ["edit", "used", "--id", "renamed"],
    ["erase", "gone", "--yes"],
    ["token", "create"],
    ["token", "revoke", "1", "--yes"],
]


@pytest.fixture
def fleet(sides):
    return Fleet(sides[0])


def test_a_closed_database_answers_every_write_with_retry(sides, fleet):
    """Of servers that were running before, and of new ones; reading goes on."""
    here, there = sides
    with operator_of(here) as before:
        before.get("/fleet")
        moved(here, there)
        rows = rows_of(here)
        with operator_of(here) as after:
            for operator in (before, after):
                for answer in fleet.answers(operator.client):
                    assert_problem(answer, 503, "database_unavailable", "retry")
                listed = operator.get("/fleet").json["totals"]
                assert (listed["active"], listed["uninstalled"]) == (2, 1)
                assert operator.machine("used")["version"] == "1"

    assert rows_of(here) == rows


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_writes_says_where_the_fleet_is(sides, fleet, words):
    here, there = sides
    moved(here, there)
    rows = rows_of(here)

    result = command(here, words)

    assert result.exit_code == 1, result.output
    assert "The fleet was moved to" in result.stderr
    assert result.stderr.count("\n") == 1
    assert rows_of(here) == rows


def test_commands_that_read_work_on_a_closed_database(sides, fleet):
    here, there = sides
    moved(here, there)

    for words in (["list"], ["show", "used"], ["summary"], ["token", "list"]):
        result = command(here, words)
        assert result.exit_code == 0, result.output


def command(engine, words):
    with application(engine) as app:
        return app.test_cli_runner().invoke(args=["fleet", *words])


def test_a_schema_that_is_being_filled_takes_no_writes(
    sqlite_file, postgresql_schema, monkeypatch
):
    """Of a server that is started on it too early; the fleet is complete at last."""
    sqlite_file.path.parent.mkdir()
    fleet, answers = Fleet(sqlite_file), []
    set_numbers = PostgresqlTarget.set_numbers

    def early(side, numbers):
        with operator_of(postgresql_schema) as operator:
            answers.extend(fleet.answers(operator.client))
        set_numbers(side, numbers)

    monkeypatch.setattr(PostgresqlTarget, "set_numbers", early)
    moved(sqlite_file, postgresql_schema)

    assert len(answers) == 12
    for answer in answers:
        assert_problem(answer, 503, "database_unavailable", "retry")
    assert rows_of(postgresql_schema) == rows_of(sqlite_file)


@pytest.mark.parametrize("step", ["fill", "open"])
def test_a_server_that_is_started_too_early_refuses_no_token(
    sides, fleet, monkeypatch, step
):
    """An agent would ask an operator then; before, its token has not come yet."""
    here, there = sides
    answers = []

    def early(original):
        def wrapped(side, *given):
            with operator_of(there) as operator:
                agent = Api(operator.client, fleet.used)
                answers.append(agent.post("/heartbeat", {"version": "2"}))
                answers.append(operator.post("/enroll", {"machine_id": "new"}))
            original(side, *given)

        return wrapped

    for target in (PostgresqlTarget, SqliteTarget):
        monkeypatch.setattr(target, step, early(getattr(target, step)))
    moved(here, there)

    assert answers
    for answer in answers:
        assert_problem(answer, 503, "database_unavailable", "retry")
    assert rows_of(there) == rows_of(here)


def test_a_server_that_is_started_after_an_undo_refuses_no_token(sides, fleet):
    here, there = sides
    moved(here, there)
    moved(here, there, "--undo")

    with operator_of(there) as operator:
        agent = Api(operator.client, fleet.used)
        answer = agent.post("/heartbeat", {"version": "2"})

    assert_problem(answer, 503, "database_unavailable", "retry")


def test_a_server_that_was_started_too_early_goes_on_once_the_fleet_is_there(
    sqlite_file, postgresql_schema
):
    sqlite_file.path.parent.mkdir()
    fleet = Fleet(sqlite_file)
    with operator_of(postgresql_schema) as operator:
        operator.get("/fleet")
        moved(sqlite_file, postgresql_schema)

        statuses = [answer.status_code for answer in fleet.answers(operator.client)]

    assert {*statuses} <= {200, 201, 409}
    assert statuses[3:5] == [200, 200]
