"""``python -m lea_fleet`` and ``lea-fleet``: the commands for short."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from lea_fleet.__main__ import main
from tests.support.api import OPERATOR_TOKEN
from tests.support.docs import ROOT

MODULE = ["-m", "lea_fleet"]
FLASK = ["-m", "flask", "--app", "lea_fleet", "fleet"]
SCRIPT = ["-c", "import lea_fleet.__main__ as m; m.main()"]


@pytest.fixture
def typed(engine, tmp_path):
    def typed(how, *words, **settings):
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLASK_", "RPA_", "LEA_FLEET_"))
        }
        return subprocess.run(
            [sys.executable, *how, *words],
            env={**outside, **engine.environment, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return typed


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--json"),
        ("show", "PC-1", "--json"),
        ("show", "PC-9"),
        ("token", "create", "--max-uses", "0"),
        ("openapi",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("how", [MODULE, SCRIPT], ids=["module", "script"])
def test_it_does_what_the_long_form_does(typed, operator, app, how, words):
    operator.enroll("PC-1", hostname="A")
    app.extensions["lea_fleet"].store.close_idle()
    long, short = (
        typed(each, *words, RPA_API_TOKEN=OPERATOR_TOKEN) for each in (FLASK, how)
    )

    assert (short.returncode, short.stdout) == (long.returncode, long.stdout)
    *_, last = long.stderr.splitlines() or [""]
    assert short.stderr.endswith(f"{last}\n" if last else "")


@pytest.mark.parametrize("how", [MODULE, FLASK], ids=["module", "flask"])
def test_a_weak_token_is_the_doctors_and_the_servers_to_tell(typed, app, operator, how):
    operator.get("/fleet")
    app.extensions["lea_fleet"].store.close_idle()

    listed = typed(how, "list", RPA_API_TOKEN="change-me")
    checked = typed(how, "doctor", RPA_API_TOKEN="change-me")

    assert "weak" not in listed.stderr and "0 machines" in listed.stdout
    assert "RPA_API_TOKEN is weak" in checked.stdout and checked.stderr == ""


def test_the_help_bears_its_name_and_needs_no_setting(typed):
    told = typed(MODULE, "list", "-h")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("Usage: python -m lea_fleet list [OPTIONS]")


def test_a_setting_that_is_missing_is_one_line(typed):
    told = typed(MODULE, "list")

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("Error: RPA_API_TOKEN is not set.")


def test_the_script_is_installed_under_its_name():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    (script,) = filter(None, scripts)
    name, value = script.split(" = ")

    assert name == "lea-fleet"
    assert EntryPoint(name, value, "console_scripts").load() is main
