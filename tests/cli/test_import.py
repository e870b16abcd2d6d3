"""``flask fleet import``: machines from a file, before their installers come."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import sys
from contextlib import closing

import click
import pytest

from lea_fleet.cli import import_command as importing, import_errors as refusals
from lea_fleet.cli import terminal
from lea_fleet.core.machine import DETAILS
from tests.support.api import OPERATOR_TOKEN, Agent, Api, assert_problem
from tests.support.fleets import ask, fill, listed
from tests.support.older_server import OlderServer

HEADING = "machine_id;user_name;version\n"
TWO = f"{HEADING}PC-1;Zoé;1.4\nPC-2;;\n"
CLI = {"role": "cli", "os_user": "amelie"}
OLDER = {"machine_id": "PC-1", "user_name": "Anne", "hostname": "A"}


@pytest.fixture
def file(tmp_path):
    """Write a file to import, and return its path."""

    def write(content):
        path = tmp_path / "machines.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def counts(run, file):
    """Import a content; return the counts that are not zero."""

    def counts(content, *words, exit_code=0):
        result = run(
            "import", file(content), "--json", *(words or ["--yes", "--create"])
        )
        assert result.exit_code == exit_code, result.output
        return not_zero(json.loads(result.stdout))

    return counts


def not_zero(said):
    names = said.keys() - {"lines", "dry_run", "ignored_columns", "errors"}
    assert said["lines"] == sum(said[name] for name in names)
    return {name: said[name] for name in names if said[name]}


def add_older(engine, **columns):
    fill(engine, [{**OLDER, **columns}])


def events(operator, machine_id="PC-1"):
    page = operator.get(f"/machines/{machine_id}/events").json["events"]
    return [(event["event"], event["detail"]) for event in page]


# What becomes of a machine


def test_what_is_new_is_active_and_has_never_been_seen(counts, operator, the_clock):
    assert counts(TWO) == {"imported": 2}

    machine = operator.machine()
    assert machine["status"] == "active"
    assert (machine["user_name"], machine["version"]) == ("Zoé", "1.4")
    assert machine["enrolled_at"] == the_clock.iso()
    assert machine["last_seen_at"] is None
    assert operator.machine("PC-2")["user_name"] is None
    (event,) = operator.get("/machines/PC-1/events").json["events"]
    assert (event["event"], event["actor"]) == ("imported", CLI)
    assert event["detail"] == {"version": "1.4"}


def test_to_be_imported_is_not_to_be_enrolled(counts, operator):
    counts(TWO)

    assert operator.get("/fleet/summary").json["by_day"][-1]["enrolments"] == 0


def test_what_is_adopted_stays_an_enrollment_of_the_older_server(
    counts, operator, engine, the_clock
):
    add_older(engine, enrolled_at=the_clock.iso())
    counts(TWO)

    assert operator.get("/fleet/summary").json["by_day"][-1]["enrolments"] == 1


def imported(counts, operator, engine):
    counts(TWO)


def adopted(counts, operator, engine):
    add_older(engine)
    counts(TWO)


def left_uninstalled(counts, operator, engine):
    operator.enroll()
    operator.uninstall()
    counts(TWO)


@pytest.mark.parametrize(
    ("happened", "status"),
    [(imported, "reenrolled"), (adopted, "reenrolled")]
    + [(left_uninstalled, "reactivated")],
)
def test_no_installer_meets_a_409(
    counts, operator, engine, the_clock, happened, status
):
    """However long it takes to come; and the next one is refused as ever."""
    happened(counts, operator, engine)
    the_clock.advance(days=400)
    installer = operator.installer()

    agent = installer.enroll("PC-1", version="2")

    assert agent.answer["status"] == status
    assert agent.heartbeat().status_code == 200
    assert operator.machine()["version"] == "2"
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")
    assert counts(TWO) == {"enrolled": 1, "unchanged": 1}


@pytest.mark.parametrize("happened", [imported, adopted, left_uninstalled])
def test_a_lost_answer_is_given_again(counts, operator, engine, happened):
    """Though the token has but one use, and the file is imported in between."""
    happened(counts, operator, engine)
    installer = operator.installer(max_uses=1)
    key = {"Idempotency-Key": "key-1"}

    first = installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)
    assert counts(TWO) == {"enrolled": 1, "unchanged": 1}
    again = installer.post("/enroll", {"machine_id": "PC-1"}, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["status"] == again.json["status"]
    assert Agent(installer.client, again.json).heartbeat().status_code == 200
    response = Agent(installer.client, first.json).heartbeat()
    assert_problem(response, 401, "token_revoked")


def test_nor_does_one_that_may_not_reactivate(counts, operator):
    counts(TWO)

    operator.installer().enroll("PC-1", allow_reactivate=False)


def test_one_of_the_older_server_is_adopted_with_what_the_file_says(
    counts, operator, engine
):
    add_older(engine, last_seen_at="2026-03-01T09:00:00+00:00")
    before = operator.machine()

    assert counts(TWO) == {"adopted": 1, "imported": 1}

    after = operator.machine()
    assert after == {**before, "user_name": "Zoé", "version": "1.4"}
    assert events(operator) == [("imported", {"version": "1.4", "because": "adopted"})]


def test_one_with_a_token_is_left_alone(counts, operator):
    agent = operator.enroll("PC-1", user_name="Anne")
    before = operator.machine()

    assert counts(TWO) == {"enrolled": 1, "imported": 1}

    assert operator.machine() == before
    assert len(events(operator)) == 1
    assert agent.heartbeat().status_code == 200
    response = operator.installer().post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")


def test_one_that_is_uninstalled_is_left_alone(counts, operator):
    operator.enroll("PC-1")
    operator.uninstall("PC-1", reason="sold")
    before = operator.machine()

    assert counts(TWO) == {"uninstalled": 1, "imported": 1}

    assert operator.machine() == before
    assert len(events(operator)) == 2


@pytest.mark.parametrize("happened", [imported, adopted])
def test_a_second_run_changes_nothing(counts, operator, engine, happened):
    happened(counts, operator, engine)
    before = engine.contents()

    assert counts(TWO) == {"unchanged": 2}

    assert engine.contents() == before


def test_what_the_file_says_anew_is_taken_until_the_machine_enrolls(counts, operator):
    counts(TWO)

    assert counts(f"{HEADING}PC-1;;1.5\nPC-2;;\n") == {"updated": 1, "unchanged": 1}

    machine = operator.machine()
    assert (machine["user_name"], machine["version"]) == ("Zoé", "1.5")
    because = {"version": "1.5", "because": "updated"}
    assert events(operator)[0] == ("imported", because)
    assert operator.installer().enroll("PC-1").answer["status"] == "reenrolled"


def test_a_release_taken_back_is_given_again_by_the_next_import(counts, operator):
    counts(TWO)
    operator.request("DELETE", "/machines/PC-1/release")
    installer = operator.installer()
    response = installer.post("/enroll", {"machine_id": "PC-1"})
    assert_problem(response, 409, "already_enrolled")

    assert counts(TWO) == {"adopted": 1, "unchanged": 1}

    installer.enroll("PC-1")


def test_a_release_by_hand_does_not_cut_short_that_of_an_import(
    run, counts, operator, the_clock
):
    counts(TWO)
    response = operator.post("/machines/PC-1/release")
    assert response.json["released_until"].startswith("9999-")
    said = run("release", "PC-1").stdout
    assert said == "PC-1: released until it enrolls\n"
    the_clock.advance(days=2)

    assert operator.installer().enroll("PC-1").answer["status"] == "reenrolled"


def test_an_older_id_with_blanks_is_the_machine_that_it_was(counts, operator, engine):
    add_older(engine, machine_id=" PC/1")

    assert counts(f"{HEADING} PC/1;;\n") == {"adopted": 1}
    assert listed(ask(operator)) == [" PC/1"]


# Without doing it, and before doing it


def fleet_of_every_kind(operator, engine):
    """Leave a machine of each kind; return a file with all, and what it comes to."""
    add_older(engine, machine_id="older")
    operator.enroll("enrolled")
    operator.enroll("uninstalled")
    operator.uninstall("uninstalled")
    names = ("new", "older", "enrolled", "uninstalled", "bad/name", "new")
    expected = {"imported": 1, "adopted": 1, "enrolled": 1, "uninstalled": 1}
    return HEADING + "".join(f"{n};;\n" for n in names), {**expected, "refused": 2}


def test_a_dry_run_counts_the_same_and_changes_nothing(counts, operator, engine):
    content, expected = fleet_of_every_kind(operator, engine)
    before = engine.contents()

    assert counts(content, "--dry-run", exit_code=1) == expected
    assert engine.contents() == before

    assert counts(content, exit_code=1) == expected
    assert engine.contents() != before


@pytest.mark.parametrize(
    "kind",
    ["journal_mode = WAL", "page_size = 1024", "encoding = 'UTF-16le'"],
)
def test_a_dry_run_leaves_the_file_of_an_older_server_as_it_is(counts, database, kind):
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA {kind}")
        connection.execute("CREATE TABLE workflows (name TEXT)")
    OlderServer(database).enroll("PC-1")
    before = database.read_bytes()

    assert counts(TWO, "--dry-run") == {"imported": 1, "adopted": 1}
    assert database.read_bytes() == before
    assert [*database.parent.iterdir()] == [database]


@pytest.mark.parametrize(
    "lacking",
    [
        "ALTER TABLE lea_fleet_tokens DROP COLUMN replaced",
        "DROP INDEX lea_fleet_listing",
    ],
)
def test_a_dry_run_leaves_the_file_of_an_older_version_as_it_is(
    counts, operator, app, database, lacking
):
    operator.enroll("PC-1")
    app.extensions["lea_fleet"].store.close_idle()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(lacking)
    before = database.read_bytes()

    assert counts(TWO, "--dry-run") == {"imported": 1, "enrolled": 1}
    assert database.read_bytes() == before


def test_a_dry_run_makes_no_database(counts, engine):
    assert counts(TWO, "--dry-run") == {"imported": 2}
    assert not engine.exists()


def test_nor_does_an_import_that_is_refused(run, file, engine):
    result = run("import", file(TWO), "--create")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "     2 imported " in result.stderr
    assert result.stderr.endswith("Repeat it with --yes to change all of them.\n")
    assert not engine.exists()


@pytest.mark.usefixtures("begun")
def test_one_machine_needs_no_yes(run, file, operator):
    assert run("import", file(TWO.removesuffix("PC-2;;\n"))).exit_code == 0
    assert run("import", file(TWO)).exit_code == 0  # the other one is there already
    assert sorted(listed(ask(operator))) == ["PC-1", "PC-2"]


def test_what_is_printed(run, file, operator):
    operator.enroll("PC-1")
    content = "machine_id;site;user name;\nPC-1;;\nPC-2;Lyon;Zoé\n"

    result = run("import", file(content), "--yes")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Done:",
        "       1 imported     new; they may enroll once",
        "       0 adopted      active without a token; they may enroll once more",
        "       0 updated      imported before; their details have changed",
        "       0 unchanged    imported before, with the same details",
        "       1 enrolled     already enrolled; not changed",
        "       0 uninstalled  uninstalled; not changed: enrolling reactivates them",
        "       0 tagged       of these machines; their tags have changed",
        "       0 refused      lines with an error",
        "Columns that were ignored: site",
    ]


# The lines that have a fault


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (";Zoé;", "machine_id is required"),
        ("PC/9;;", "machine_id must not contain a slash"),
        ("'=\x01;;", "machine_id must not contain control characters"),
        ("..;;", "machine_id must not be . or .."),
        (f"{'x' * 129};;", "machine_id must have 1 to 128 characters"),
        (f"PC-9;{'x' * 256};", "user_name must have at most 255 characters"),
        (" PC-1 ;;", "machine_id is already in line 2"),
        ("PC-9;;;x", "has 4 cells, and the heading 3"),
        ('PC-9;"a"b;', "cannot be read as CSV"),
    ],
)
def test_a_line_with_a_fault_is_said_with_its_number(run, file, operator, line, reason):
    result = run("import", file(f"{TWO}{line}\nPC-3;;\n"), "--yes", "--json")

    assert result.exit_code == 1
    assert not_zero(json.loads(result.stdout)) == {"imported": 3, "refused": 1}
    (said,) = result.stderr.splitlines()
    assert said.startswith("Line 4")
    assert reason in said
    assert sorted(listed(ask(operator))) == ["PC-1", "PC-2", "PC-3"]


@pytest.mark.usefixtures("begun")
def test_ten_are_said_and_all_are_written(run, file, tmp_path):
    errors = tmp_path / "errors.csv"
    bad = [f"=cmd/{number}" for number in range(12)]
    path = file(f"{HEADING}{''.join(f'{name};;' + chr(10) for name in bad)}PC-1;;\n")

    plain = run("import", path).stderr.splitlines()
    result = run("import", path, "--errors", errors)

    lines = result.stderr.splitlines()
    assert lines[0] == "Line 2, =cmd/0: machine_id must not contain a slash."
    assert plain[:10] == lines[:10]
    assert plain[10:] == ["And 2 more. Write them all to a file with --errors."]
    assert lines[10:] == ["And 2 more.", f"All are in {errors}."]
    assert stat.S_IMODE(errors.stat().st_mode) == 0o600
    with errors.open(encoding="utf-8-sig", newline="") as written:
        heading, *rows = csv.reader(written, delimiter=";")
    assert heading == ["line", "machine_id", "reason"]
    assert [row[:2] for row in rows] == [
        [str(number), f"'{name}"] for number, name in enumerate(bad, 2)
    ]


@pytest.mark.usefixtures("begun")
def test_a_program_is_told_the_first_hundred(run, file):
    path = file(f"{HEADING}{'PC/1;;' + chr(10)}" + "PC\x01;;\n" * 120)

    said = json.loads(run("import", path, "--json").stdout)

    assert (said["lines"], said["refused"]) == (121, 121)
    assert len(said["errors"]) == 100
    reason = "machine_id must not contain a slash"
    assert said["errors"][0] == {"line": 2, "machine_id": "PC/1", "reason": reason}


def test_no_file_is_written_where_there_is_no_fault(run, file, tmp_path):
    path = file(TWO)
    run("import", path, "--yes", "--errors", tmp_path / "errors.csv")

    assert [each for each in tmp_path.iterdir() if each.is_file()] == [path]


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("option", ["--dry-run", "--yes"])
def test_the_file_for_errors_never_replaces_the_database(
    run, file, operator, database, option, end
):
    operator.enroll("PC-1").heartbeat()
    path = file("machine_id\nPC-1\nbad/id\n")

    result = run("import", path, option, "--errors", f"{database}{end}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert operator.machine("PC-1")["status"] == "active"


@pytest.mark.usefixtures("begun")
def test_the_file_for_errors_replaces_one_like_it_and_nothing_else(run, file, tmp_path):
    path = file("machine_id\nbad/id\n")
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")

    assert run("import", path, "--errors", precious).exit_code == 2
    assert precious.read_text() == "precious"
    errors = tmp_path / "errors.csv"
    for _ in range(2):
        assert run("import", path, "--errors", errors).exit_code == 1
        assert "bad/id" in errors.read_text()


@pytest.mark.parametrize("name", ["machines.csv", ".", "missing/errors.csv"])
def test_a_file_for_errors_that_cannot_be_is_known_before(run, file, tmp_path, name):
    path = file(TWO)

    result = run("import", path, "--yes", "--errors", tmp_path / name)

    assert result.exit_code in (1, 2)
    assert "rror" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()
    assert path.read_text() == TWO


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("faults", [1, 2000])
def test_a_full_disk_is_one_line(run, file, tmp_path, monkeypatch, faults):

    def on_a_full_disk(path, mode="r", **how):
        return open(path if mode == "r" else "/dev/full", mode, **how)

    monkeypatch.setattr(refusals, "open", on_a_full_disk, raising=False)
    path = file(HEADING + "PC/1;;\n" * faults)
    before = set(tmp_path.iterdir())

    result = run("import", path, "--errors", tmp_path / "errors.csv")

    assert result.exit_code == 1
    expected = f"{tmp_path}/errors.csv cannot be written: No space left on device."
    assert expected in result.stderr
    assert set(tmp_path.iterdir()) == before


# Files that cannot be


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Line 1 is blank"),
        (b"\xef\xbb\xbf", "Line 1 is blank"),
        (b"\r\n \r\n", "Line 1 is blank"),
        (b"machine_id\nPC-1\0\n", "Line 2 has a NUL"),
        (bytes(range(1, 256)), "It is not text"),
        (b"\xff\xfem", "It is not text"),
        (b"name;version\n", "There is no column machine_id"),
        (b"\x1b[2J;b\n", r"Columns found: \x1b[2j, b."),
        (b"x" * 1000, f"Columns found: {'x' * 200}…."),
        (b"machine_id;Machine ID\n", "more than one column machine_id"),
        (b"machine_id;version;Version\n", "more than one column version"),
        (b'"machine_id\n', "cannot be read as CSV"),
        (b"x" * 2_000_000, "Line 1 has over"),
    ],
)
def test_a_file_that_is_no_table_is_refused(run, file, engine, content, said):
    path = file(content)

    result = run("import", path, "--yes")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {path} cannot be used. ")
    assert said in result.stderr
    assert not engine.exists()


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_is_no_file_is_a_wrong_argument(run, tmp_path, name):
    result = run("import", tmp_path / name)

    assert result.exit_code == 2
    assert "FILE.csv" in result.stderr


def test_a_file_that_cannot_be_read_is_one_line(run, file, monkeypatch):
    def broken(*args):
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr("shutil.copyfileobj", broken)
    path = file(TWO)

    result = run("import", path)

    assert (result.exit_code, result.stdout) == (1, "")
    expected = f"Error: {path} cannot be read: Input/output error.\n"
    assert result.stderr == expected


def test_a_heading_alone_is_no_fault(counts):
    assert counts(HEADING) == {}


@pytest.mark.usefixtures("begun")
def test_the_standard_input_is_a_file_too(run, operator):
    result = run("import", "-", "--yes", input=TWO)

    assert result.exit_code == 0, result.output
    assert len(listed(ask(operator))) == 2


@pytest.mark.parametrize("word", ["--csv", "--semicolon"])
def test_what_list_prints_can_be_imported(
    run, operator, make_app, engine, tmp_path, word
):
    operator.enroll("=1+1", user_name="@Zoé; \r\nB", version="'1")
    operator.enroll("-2", hostname='"')
    before = [operator.machine(name) for name in ("=1+1", "-2")]
    path = tmp_path / "machines.csv"
    path.write_bytes(run("list", word).stdout_bytes)
    another = engine.beside()
    app = make_app(**another.settings)

    result = app.test_cli_runner().invoke(args=["fleet", "import", str(path), "--yes"])

    assert (result.exit_code, result.stderr) == (0, f"{another.says_begun}\n")
    there = Api(app.test_client(), OPERATOR_TOKEN)
    for machine in before:
        found = there.machine(machine["machine_id"])
        for name in ("machine_id", *DETAILS):
            assert found[name] == machine[name]


def test_a_standard_input_that_is_closed_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(click.ClickException, match="Standard input is closed."):
        with importing._opened("-"):
            pass


# Transactions


@pytest.fixture
def two_lines(monkeypatch):
    monkeypatch.setattr(importing, "LINES", 2)


FIVE = HEADING + "".join(f"PC-{number};;\n" for number in range(5))


@pytest.fixture
def between(monkeypatch):
    """Let something happen between the transactions, after the first."""

    def let(happen):
        islice = importing.islice
        calls = []

        def counted(*args):
            calls.append(args)
            if len(calls) == 2:
                happen()
            return islice(*args)

        monkeypatch.setattr(importing, "islice", counted)

    return let


@pytest.mark.usefixtures("begun")
def test_others_write_between_the_transactions(
    counts, two_lines, between, operator, elsewhere
):
    def meanwhile():
        elsewhere.enroll("PC-0")  # which is released
        elsewhere.enroll("PC-4")

    between(meanwhile)

    assert counts(FIVE) == {"imported": 4, "enrolled": 1}
    assert events(operator, "PC-0")[0][0] == "reenrolled"
    assert events(operator, "PC-4")[0][0] == "enrolled"


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("pressed", [True, False], ids=["Ctrl-C", "fault"])
def test_what_was_interrupted_is_completed_by_another_run(
    run, file, counts, two_lines, between, operator, engine, pressed
):
    def stop():
        raise KeyboardInterrupt if pressed else engine.fault

    between(stop)

    result = run("import", file(FIVE), "--yes")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Stopped. What was imported so far is kept." in result.stderr
    assert len(listed(ask(operator))) == 2
    assert counts(FIVE) == {"unchanged": 2, "imported": 3}


@pytest.mark.usefixtures("begun")
def test_a_transaction_is_whole_or_not_at_all(
    run, file, two_lines, monkeypatch, operator, engine
):
    act = importing._result

    def failing(line, *args):
        if line.number == 5:
            raise engine.fault
        return act(line, *args)

    monkeypatch.setattr(importing, "_result", failing)

    assert run("import", file(FIVE), "--yes").exit_code == 1
    assert sorted(listed(ask(operator))) == ["PC-0", "PC-1"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(monkeypatch, is_terminal):
    screen = io.StringIO()
    screen.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", screen)

    with terminal.progress(10) as show:
        for position in (5, 10):
            show(position)

    assert ("50%" in screen.getvalue()) is is_terminal
    assert ("100%" in screen.getvalue()) is is_terminal


def test_an_encoding_can_be_named(run, file, operator):
    operator.get("/fleet")  # begins the database
    content = "machine_id;user_name\nPC-1;Dvořák\n".encode("cp1250")
    result = run("import", file(content), "--encoding", "cp1250")

    assert result.exit_code == 0, result.output
    assert operator.machine("PC-1")["user_name"] == "Dvořák"


@pytest.mark.parametrize("name", ["nothing", "base64", " "])
def test_what_is_no_encoding_is_exit_code_2(run, file, name):
    result = run("import", file(TWO), "--encoding", name)

    assert result.exit_code == 2
    assert "is not an encoding" in result.stderr


def test_a_file_of_dos_is_read_and_said_to_be_one(run, file, operator):
    operator.get("/fleet")  # begins the database
    content = "machine_id;version\nPC-1;Zoé \n".encode("cp850")
    result = run("import", file(content))

    assert "is read as DOS has written it (cp850)" in result.stderr
    assert operator.machine("PC-1")["version"] == "Zoé"
