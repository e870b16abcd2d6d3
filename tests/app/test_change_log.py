"""The change log: one line for each change by anybody, without personal data."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest

from lea_fleet import extension
from lea_fleet.app import change_log as journal
from lea_fleet.app.database import get_host_repository
from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api
from tests.support.server import running_server

LOGGER = logging.getLogger("lea_fleet")


@pytest.fixture
def lines(caplog):
    """Return the lines that were logged since the last call."""
    caplog.set_level("INFO", "lea_fleet")

    def logged():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return logged


# One line for each change


def test_each_change_is_a_line_with_the_machine_and_who_acted(operator, lines):
    installer = operator.installer(label="Paris, wave 1", expires="never")
    assert lines() == [
        "enrollment_token_created by=operator address=127.0.0.1 enrollment_token=1"
        ' label="Paris, wave 1" max_uses=100'
    ]
    agent = installer.enroll("PC-7", version="1.3.1")
    assert lines() == [
        "enrolled machine_id=PC-7 by=installer enrollment_token=1 address=127.0.0.1"
        " version=1.3.1"
    ]
    rotated = agent.post("/machines/PC-7/token").json
    Api(agent.client, rotated["api_token"]).post("/heartbeat", {"hostname": "B"})
    by_agent = "machine_id=PC-7 by=agent address=127.0.0.1"
    assert lines() == [
        f"token_rotated {by_agent}",
        f"token_revoked {by_agent} because=rotation",
        f"identity_changed {by_agent}",
    ]
    for method in ("POST", "DELETE"):
        operator.request(method, "/machines/PC-7/release")
    operator.enroll("PC-7", force=True)
    operator.uninstall("PC-7", reason="PC replaced")
    operator.enroll("PC-7")
    operator.request("DELETE", "/enrollment-tokens/1")
    by_operator = "by=operator address=127.0.0.1"
    released, *others = lines()
    assert released.startswith(f"released machine_id=PC-7 {by_operator} until=20")
    assert others == [
        f"release_cancelled machine_id=PC-7 {by_operator}",
        f"reenrolled machine_id=PC-7 {by_operator} version=1.3.1 because=force",
        f'uninstalled machine_id=PC-7 {by_operator} reason="PC replaced"',
        f"reactivated machine_id=PC-7 {by_operator} version=1.3.1",
        f"enrollment_token_revoked {by_operator} enrollment_token=1"
        ' label="Paris, wave 1" max_uses=100',
    ]


def test_what_changes_nothing_is_no_line(operator, lines):
    agent = operator.enroll("PC-7")
    lines()

    agent.heartbeat()
    agent.heartbeat(version="2")
    operator.get("/fleet")
    operator.request("DELETE", "/machines/PC-7/release")

    assert lines() == []


def test_the_hosts_own_code_leaves_lines_once_it_is_committed(app, lines):
    with app.app_context():
        repository = get_host_repository()
        with repository.transaction():
            repository.enroll("PC-7", version="2")
            repository.uninstall("PC-7")
            assert lines() == []
        with pytest.raises(RuntimeError), repository.transaction():
            repository.enroll("PC-8")
            raise RuntimeError("the host's")

    assert lines() == [
        "enrolled machine_id=PC-7 by=host version=2",
        "uninstalled machine_id=PC-7 by=host",
    ]


def test_a_command_leaves_a_line_and_prints_none(app, operator, lines, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "zoe smith")
    operator.enroll("PC-7")
    lines()

    result = app.test_cli_runner().invoke(args=["fleet", "rotate", "PC-7"])

    assert lines() == ['token_rotated machine_id=PC-7 by=cli os_user="zoe smith"']
    assert "token_rotated" not in result.output


def test_an_erasure_is_a_line_that_tells_what_kinds_were_erased(
    app, operator, lines, monkeypatch
):
    monkeypatch.setattr("getpass.getuser", lambda: "rpa")
    operator.enroll("PC-7", hostname="PC-ZOE", user_name="Zoe")
    lines()

    app.test_cli_runner().invoke(args=["fleet", "erase", "PC-7", "--yes"])

    assert lines() == [
        'erased machine_id=PC-7 by=cli os_user=rpa fields="hostname,user_name"'
    ]


# Whatever the values contain


@pytest.mark.parametrize(
    "hostile",
    [
        "1\nenrolled machine_id=PC-8 by=operator",
        "1\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029",
        "\x1b[2J\x07\x00\x7f\x9b",
        '1" by="operator',
        "1 by=operator",
        "by=operator",
        "\\",
        "\u202e\u2066\ufeff",
        "\ud800",
        "é" * 200,
        " ",
    ],
)
def test_a_change_is_one_line_whatever_is_said_in_it(hostile, lines):
    journal.note(
        {
            "event": "uninstalled",
            "machine_id": hostile,
            "actor": {"role": "host", "user": hostile},
            "detail": {"reason": hostile, "of_a_later_kind": "not told"},
        }
    )

    (line,) = lines()

    assert len(line.splitlines()) == 1 and line.isascii() and line.isprintable()
    quoted = json.dumps(hostile).replace("\x7f", "\\u007f")
    assert json.loads(quoted) == hostile
    assert line == (
        f"uninstalled machine_id={quoted} by=host user={quoted} reason={quoted}"
    )


def test_nothing_about_a_person_is_logged(operator, caplog):
    caplog.set_level("INFO", "lea_fleet")
    personal = {
        "user_name": "Distinctive Name",
        "user_email": "distinctive@example.com",
        "user_id": "distinctive-id",
        "hostname": "DISTINCTIVE-A",
        "os_info": "Distinctive OS",
    }
    agent = operator.enroll("PC-7", **personal)
    for hostname in ("DISTINCTIVE-B", "DISTINCTIVE-A"):
        agent.heartbeat(hostname=hostname, user_name=f"{hostname} again")
    agent.post("/uninstall")

    events = [record.lea_fleet["event"] for record in caplog.records]
    assert {"identity_changed", "suspected_clone"} < set(events)
    shown = "".join(f"{record.getMessage()}{vars(record)}" for record in caplog.records)
    assert "distinctive" not in shown.lower()


def test_where_nobody_listens_nothing_is_made(operator, caplog, monkeypatch):
    monkeypatch.setattr("lea_fleet.app.change_log._line", None)
    caplog.set_level("WARNING", "lea_fleet")

    operator.enroll("PC-7")


# As JSON


@pytest.fixture
def configured():
    """Restore the logger after a test that configures it."""
    before = (LOGGER.level, LOGGER.handlers[:], LOGGER.propagate)
    yield
    LOGGER.level, LOGGER.handlers[:], LOGGER.propagate = before
    logging.getLogger().manager._clear_cache()


def test_the_recipe_shows_each_change_as_json(operator, configured, capsys):
    (code,) = docs.blocks(
        docs.section(docs.parse(docs.OPERATIONS), "Logging"), "python"
    )
    exec(compile(code, "logs.py", "exec"), {})

    operator.enroll("PC é 7", version="1.3.1")
    try:
        raise RuntimeError("a fault")
    except RuntimeError:
        LOGGER.exception("It went wrong")

    change, fault = map(json.loads, capsys.readouterr().err.splitlines())
    assert change.pop("at")
    assert change == {
        "level": "INFO",
        "message": 'enrolled machine_id="PC \\u00e9 7" by=operator'
        " address=127.0.0.1 version=1.3.1",
        "event": "enrolled",
        "machine_id": "PC é 7",
        "actor": {"role": "operator", "address": "127.0.0.1"},
        "detail": {"version": "1.3.1"},
    }
    assert fault["message"] == "It went wrong" and "a fault" in fault["exception"]


# Where it is written


@pytest.fixture
def database(tmp_path):
    return tmp_path / "rpa_data.db"


def shell(command, database):
    """Run a command of the standalone application; return its output and its log."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "lea_fleet", *command],
        env=docs.environment(
            RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=str(database)
        ),
        capture_output=True,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def test_a_server_by_itself_shows_changes_and_a_command_does_not(tmp_path, database):
    with running_server(tmp_path) as server:
        server.operator.enroll("PC-7")
        code, printed, errors = shell(["fleet", "release", "PC-7"], database)
        log = server.log

    assert " INFO in change_log: enrolled machine_id=PC-7 by=operator" in log
    assert (code, errors) == (0, "")
    assert printed.startswith("PC-7: released until ") and printed.count("\n") == 1


BARE = f"""
import logging, sys
{{before}}
from lea_fleet import LeaFleet, create_app
from flask import Flask
app = {{make}}
app.test_client().post("{PREFIX}/enroll", json={{{{"machine_id": "PC-7"}}}},
    headers={{{{"Authorization": "Bearer {OPERATOR_TOKEN}"}}}})
logger = logging.getLogger("lea_fleet")
print(logger.level, len(logger.handlers), len(logging.root.handlers))
"""
HOST = "Flask('host'); LeaFleet(app)"


@pytest.mark.parametrize(
    ("before", "make", "state", "shown"),
    [
        ("", "create_app()", "20 1 0", 1),
        ("import lea_fleet; lea_fleet.create_app()", "create_app()", "20 1 0", 1),
        ("", HOST, "0 0 0", 0),
        ("logging.basicConfig()", "create_app()", "0 0 1", 0),
        ("logging.basicConfig(level='INFO')", HOST, "0 0 1", 1),
        ("logging.getLogger('lea_fleet').setLevel('ERROR')", "create_app()")
        + ("40 0 0", 0),
        ("logging.getLogger('lea_fleet').addHandler(logging.NullHandler())",)
        + ("create_app()", "0 1 0", 0),
    ],
)
def test_whoever_has_said_how_to_log_is_heeded(database, before, make, state, shown):
    done = subprocess.run(
        [sys.executable, "-c", BARE.format(before=before, make=make)],
        env=docs.environment(
            RPA_API_TOKEN=OPERATOR_TOKEN, RPA_AGENTS_DB_PATH=str(database)
        ),
        capture_output=True,
        encoding="utf-8",
    )

    assert done.stdout.strip() == state, done.stderr
    assert done.stderr.count("enrolled machine_id=PC-7 by=operator") == shown


def test_a_fault_in_a_command_is_shown(configured, monkeypatch):
    """Errors that the command does not report itself are shown."""
    monkeypatch.setattr(logging.root, "handlers", [])
    LOGGER.handlers[:], LOGGER.level = [], logging.NOTSET
    extension._show_changes()
    (handler,) = LOGGER.handlers
    handler.setStream(io.StringIO())

    LOGGER.info("a change")
    LOGGER.error("a fault")

    assert "a fault" in handler.stream.getvalue()
    assert "a change" not in handler.stream.getvalue()
