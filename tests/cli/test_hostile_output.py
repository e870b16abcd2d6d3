"""Each command, whatever a command line may hold: no traceback, no code, no wait."""

from __future__ import annotations

import click
import pytest

from tests.cli.test_token import COMMANDS, every_command, example

HOSTILE = {
    "empty": "",
    "blank": " \t",
    "escape": "\x1b[2J",
    "lines": "a\r\nb\u2028c\x85",
    "turned": "\u202egpj.exe",
    "slashes": "a/../b//c",
    "dots": "..",
    "surrogate": "PC-\udc80",
    "megabyte": "x" * 1_000_000,
    "wide": "李" * 300,
    "number": "9" * 400,
    "format": "%s{0}%n",
    "sql": "'; DROP TABLE enrolled_agents; --",
}

pytestmark = pytest.mark.tables_made

hostile = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture
def run(app, tmp_path, monkeypatch):
    """Run ``flask fleet`` with these words, a few folders down; return the result."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (here / "machines.csv").write_text("machine_id\nPC-COMPTA-02\n")
    return lambda *words: app.test_cli_runner().invoke(args=["fleet", *words])


@pytest.fixture
def told(run):
    """Return what the example of a command says after ``flask fleet``."""
    return lambda words: example(run(*words, "--help"))[2:]


def assert_no_fault_of_ours(result):
    """It came to an end of its own, and wrote nothing that moves a cursor."""
    assert result.exit_code in (0, 1, 2)
    assert isinstance(result.exception, SystemExit | None)
    assert "Traceback" not in result.output
    assert result.stdout.replace("\n", "").isprintable()
    if result.exit_code:
        assert result.stdout == ""
        assert "\nError: " in f"\n{result.stderr}"


@every_command
@hostile
def test_an_argument_may_be_anything(run, operator, words, value):
    operator.enroll("PC-COMPTA-01")
    arguments = [
        found for found in COMMANDS[words].params if isinstance(found, click.Argument)
    ]
    for more in ([], ["--json"]):
        url = ["--url", "https://rpa.example.com"] if words == ("installer",) else []
        result = run(*words, *url, *more, "--", *(value for _ in arguments))

        assert_no_fault_of_ours(result)
    assert operator.machine("PC-COMPTA-01")["status"] == "active"


@every_command
@hostile
def test_an_option_may_be_anything(run, told, operator, words, value):
    operator.enroll("PC-COMPTA-01")
    said = told(words)
    for found in COMMANDS[words].params:
        if isinstance(found, click.Option) and not found.is_flag:
            assert_no_fault_of_ours(run(*said, f"{found.opts[-1]}={value}"))


@pytest.fixture
def run_locked(make_app, elsewhere, told, engine):
    """Run the example of a command on a database that nobody may read."""
    elsewhere.enroll("PC-COMPTA-01")
    elsewhere.client.application.extensions["lea_fleet"].store.close_idle()
    runner = make_app(LEA_FLEET_BUSY_TIMEOUT="0s").test_cli_runner()

    def run_locked(words):
        said = told(words)
        with engine.being_rewritten():
            return runner.invoke(args=["fleet", *said])

    return run_locked


def assert_one_line(result, engine):
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {engine.says_busy}")
    assert result.stderr.count("\n") == 1


#: Those that ask no database, or go on without it; only SQLite's backup is ours. A move
#: goes to the other engine.
OTHERS = {("openapi",), ("schema",), ("doctor",), ("backup",), ("move",)}


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words not in OTHERS], ids=" ".join
)
def test_a_database_that_nobody_may_read_is_one_line(run_locked, engine, words):
    assert_one_line(run_locked(words), engine)


@pytest.mark.sqlite
def test_no_backup_is_made_of_one_that_nobody_may_read(run_locked, engine):
    assert_one_line(run_locked(("backup",)), engine)


@pytest.mark.parametrize("words", [("openapi",), ("schema",)], ids=" ".join)
def test_what_asks_no_database_does_not_mind(run_locked, words):
    assert run_locked(words).exit_code == 0


def test_the_doctor_says_what_it_could_not_see_and_goes_on(run_locked):
    result = run_locked(("doctor",))

    assert result.exit_code == 1 and "not checked" in result.stdout
