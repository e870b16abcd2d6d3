"""What the TAB key does in a real bash: commands, options, machines, and no noise."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.support.api import OPERATOR_TOKEN
from tests.support.docs import environment
from tests.support.fleets import fill

_PRESS = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
COMPREPLY=()
_flask_completion flask
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


#: What a machine may call itself, and a shell does not take as one plain word.
NOT_WORDS = [
    "PC$(touch it)",
    "PC$(touch>it)",
    "PC`touch>it`",
    "PC;touch>it",
    "PC&touch>it",
    "PC$x",
    "PC`x`",
    "PC;x",
    "PC&x",
    "PC|x",
    "PC<x",
    "PC(x)",
    "PC>it",
    "PC*",
    "PC?",
    "PC[1]",
    "PC 1",
    "PC'1",
    'PC"1',
    "PC\\1",
    "PC\n1",
    "PC!1",
    "PC#1",
    "PC~",
    "PC\x1b[2J",
    "PC{a,b}",
    "--yes",
    "~root",
    "",
]


@pytest.fixture(scope="module")
def script():
    """What an operator's ``eval`` runs; Flask prints it without an application."""
    return subprocess.run(
        ["flask"],
        env=environment(_FLASK_COMPLETE="bash_source"),
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


@pytest.fixture
def press(script, engine, tmp_path):
    """Press TAB behind *words*, the last of which is being typed.

    Return what bash offers; nothing else may have been printed.
    """

    def press(*words, app="lea_fleet", token=OPERATOR_TOKEN, **variables):
        if token is not None:
            variables["RPA_API_TOKEN"] = token
        typed = ["flask", *(["--app", app] if app else []), *words]
        done = subprocess.run(
            [
                "bash",
                "--norc",
                "-c",
                _PRESS.format(script=script, words=shlex.join(typed)),
            ],
            cwd=tmp_path,
            env=environment(**engine.environment, **variables),
            capture_output=True,
            encoding="utf-8",
        )
        assert done.stderr == ""
        return done.stdout.split()

    return press


@pytest.fixture
def fleet(engine, operator, app):
    operator.installer(label="Paris")
    operator.installer(label="Lyon")
    operator.request("DELETE", "/enrollment-tokens/1")
    for name in ("Nadia", "Zoe"):
        operator.post("/operators", {"name": name, "role": "viewer"})
    operator.request("DELETE", "/operators/1")
    for shared in (True, False):
        operator.post("/views", {"name": "Gone", "shared": shared})
    names = ("PC-1", "PC-2", "pc-3", "SRV-é", "{9f2c4e03-77aa}")
    fill(engine, [{"machine_id": name} for name in names])
    app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.sqlite  # no database is asked
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fl"], ["fleet"]),
        (["fleet", "rel"], ["release"]),
        (["fleet", "token", ""], ["create", "list", "revoke"]),
        (["fleet", "release", "--without-t"], ["--without-token"]),
        (["fleet", "list", "--status", ""], ["active", "uninstalled", "all"]),
        (["fleet", "list", "--presence", "st"], ["stale"]),
        (["fleet", "list", "--sort", "mach"], ["machine_id"]),
    ],
    ids=" ".join,
)
def test_commands_and_options_are_offered(press, fleet, words, offered):
    assert press(*words) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fleet", "show", "PC"], ["PC-1", "PC-2"]),
        (["fleet", "show", "S"], ["SRV-é"]),
        (["fleet", "show", "{"], ["{9f2c4e03-77aa}"]),
        (["fleet", "show", "nobody"], []),
        (["fleet", "show", "PC-1", ""], []),
        (["fleet", "events", "PC-2"], ["PC-2"]),
        (["fleet", "enroll", "PC-2"], ["PC-2"]),
        (["fleet", "release", "--cancel", "PC-2"], ["PC-2"]),
        (["fleet", "rotate", "PC-2"], ["PC-2"]),
        (["fleet", "uninstall", "PC-1", "PC"], ["PC-1", "PC-2"]),
        (["fleet", "token", "revoke", ""], ["2"]),
        (["fleet", "operator", "revoke", ""], ["2"]),
        (["fleet", "view", "delete", ""], ["1"]),
    ],
    ids=" ".join,
)
def test_machines_tokens_and_operators_are_offered(press, fleet, words, offered):
    assert press(*words) == offered


@pytest.mark.sqlite
def test_an_order_may_be_either_way(press, fleet):
    offered = press("fleet", "list", "--sort", "")

    assert "version" in offered and "-version" in offered


def test_the_application_may_come_from_the_environment(press, fleet):
    assert press("fleet", "show", "PC", app=None, FLASK_APP="lea_fleet") == [
        "PC-1",
        "PC-2",
    ]


def test_a_host_that_uses_the_plugin_completes_as_well(press, fleet, tmp_path):
    (tmp_path / "host.py").write_text(
        "from flask import Flask\nfrom lea_fleet import LeaFleet\n"
        "app = Flask(__name__)\nLeaFleet(app)\n"
    )

    assert press("fleet", "rel", app="host") == ["release"]
    assert press("fleet", "show", "PC-1", app="host") == ["PC-1"]


def test_fifty_machines_are_enough(press, engine):
    fill(engine, [{"machine_id": f"PC-{n:04}"} for n in range(2000)])

    offered = press("fleet", "show", "PC-1")

    assert offered == [f"PC-{n}" for n in range(1000, 1050)]


def test_what_a_shell_would_not_take_as_a_word_is_never_offered(
    press, engine, tmp_path
):
    """A machine chooses its own id, and an operator presses TAB and Enter."""
    (tmp_path / "PC1").touch()  # what PC* is
    fill(engine, [{"machine_id": name} for name in (*NOT_WORDS, "PC-ok")])

    offered = press("fleet", "show", "")

    assert offered == ["PC-ok"]
    assert not (tmp_path / "it").exists()


@pytest.mark.parametrize("token", [None, "", " "])
def test_without_a_token_commands_and_machines_are_still_there(press, fleet, token):
    """It is set for the command alone, as often as not."""
    assert press("fl", token=token) == ["fleet"]
    assert press("fleet", "rel", token=token) == ["release"]
    assert press("fleet", "show", "PC", token=token) == ["PC-1", "PC-2"]


@pytest.mark.sqlite
def test_a_setting_that_cannot_be_is_for_the_command_to_complain_of(press):
    wrong = {"FLASK_LEA_FLEET_STALE_AFTER": "soon"}

    assert press("fleet", "rel", **wrong) == ["release"]


@pytest.mark.sqlite
def test_what_is_made_up_is_for_completing_only(make_app, monkeypatch):
    with pytest.raises(RuntimeError, match="RPA_API_TOKEN is not set"):
        make_app(RPA_API_TOKEN=None)

    monkeypatch.setenv("_FLASK_COMPLETE", "bash_complete")
    made = make_app(RPA_API_TOKEN=None).extensions["lea_fleet"].settings.api_token
    again = make_app(RPA_API_TOKEN=None).extensions["lea_fleet"].settings.api_token
    assert len(made) > 40 and made != again


@pytest.mark.parametrize(
    "typed", ["show", "token revoke", "operator revoke", "view delete"]
)
def test_where_there_is_no_database_none_is_begun(press, engine, typed):
    assert press("fleet", *typed.split(), "") == []
    assert not engine.exists()


def test_no_file_is_made_in_a_folder_that_is_there(press, database):
    database.parent.mkdir()

    assert press("fleet", "show", "") == []
    assert os.listdir(database.parent) == []


def test_a_hosts_database_stays_as_it_is(press, database):
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as host, host:
        host.execute("CREATE TABLE traces (at)")
    before = database.read_bytes()

    assert press("fleet", "show", "P") == []

    assert database.read_bytes() == before
    assert os.listdir(database.parent) == [database.name]


def test_a_database_that_is_none_is_left_alone(press, database):
    database.parent.mkdir()
    database.write_bytes(b"not a database" * 100)

    assert press("fleet", "show", "") == []
    assert database.read_bytes() == b"not a database" * 100


def test_a_locked_database_is_not_waited_for(press, fleet, engine):
    with engine.being_rewritten():
        assert press("fleet", "show", "", FLASK_LEA_FLEET_BUSY_TIMEOUT="60m") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_flask_has_a_script_for_each_shell(shell):
    done = subprocess.run(
        ["flask"],
        env=environment(_FLASK_COMPLETE=f"{shell}_source"),
        capture_output=True,
        encoding="utf-8",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{shell}_complete" in done.stdout


@pytest.mark.usefixtures("fleet")
def test_no_file_is_left_beside_a_database_that_nobody_uses(press, database):
    assert press("fleet", "show", "PC") == ["PC-1", "PC-2"]

    assert [path.name for path in database.parent.iterdir()] == [database.name]
