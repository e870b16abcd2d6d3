"""Every command prints on PostgreSQL what it prints on SQLite, at the same time."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.doctor.calling import STRONG_TOKEN
from tests.support.commands_page import commands

pytestmark = pytest.mark.postgresql

#: In the order of a day; {csv} is a file of 300 machines.
STEPS = [
    "import {csv} --dry-run",
    "import {csv} --yes",
    "import {csv} --yes --json",
    "enroll PC-1 --user-name Zoë --user-email zoe@example.com --hostname NB-1",
    "enroll PC-2 --user-name Ægir --version 1.10 --json",
    "enroll PC-3 --version 1.9",
    "enroll PC-3",
    "enroll pc-3 --dry-run",
    "enroll M-007 --hostname straße --force",
    "list",
    "list --json --status all",
    "list --csv --sort -user_name",
    "list --sort version --limit 7",
    "list --search STRASSE --json",
    "list --search 100%_ --json",
    "list --presence pending --limit 3 --json",
    "show PC-1",
    "show PC-1 --json",
    "show PC-404",
    "edit PC-2 --id PC-22 --user-email amelie@example.com",
    "edit PC-22 --hostname NB-2 --dry-run",
    "edit PC-22 --id PC-1",
    "release PC-1",
    "release --without-token --yes --json",
    "release --refused --json",
    "refused --since 1d",
    "release PC-1 --cancel",
    "tag PC-1 site=Orléans vip",
    "tag late --tag site --not-muted --yes --json",
    "tag pc-1 late --all --yes",
    "untag vip --all --dry-run",
    "note PC-1 --text Écran",
    "list --tag site --json",
    "list --search écran",
    "block pc-3 --reason stolen",
    "block PC-405 --json",
    "enroll PC-3 --force",
    "list --blocked --json",
    "blocked",
    "mute PC-1 --until 2199-12-24",
    "mute PC-3 --until 2199-12-24 --json",
    "unmute PC-1",
    "retire PC-1",
    "retire PC-3 --json",
    "list --retiring --json",
    "list --ignores-retire --json",
    "retire PC-1 --cancel",
    "list --muted --status all --json",
    "unblock PC-3 --json",
    "enroll PC-3",
    "rotate PC-1 --json",
    "rotate PC-22 --now",
    "rotate M-008",
    "cut-off M-008 --json",
    "token create --label Paris --expires never",
    "token create --label Lyon --max-uses 3 --json",
    "token list",
    "token revoke 1",
    "token revoke 99",
    "token list --json",
    "operator create Nadia --role operator",
    "operator create Zoë --role viewer --expires never --json",
    "operator create Bob --role admin --dry-run",
    "operator list",
    "operator revoke 1",
    "operator revoke 99",
    "operator list --json",
    "view create Silent --filters silent_for=1s&sort=machine_id",
    "view create SILENT",
    "view create Zoë --columns machine_id,version --json",
    "view list",
    "list --view silent",
    "list --view Silent --version 1.0 --json",
    "view delete 2",
    "view delete 99",
    "view list --all --json",
    "installer {kit} --url https://rpa.example.com",
    "events",
    "events PC-1 --json",
    "events --since 1h --limit 20",
    "uninstall PC-3 --reason zoe@example.com",
    "uninstall M-001 M-002 --yes --json",
    "uninstall PC-404 M-003",
    "summary",
    "summary --json",
    "export --user zoe@example.com",
    "export --user nobody@example.com",
    "erase --user zoe@example.com",
    "erase --user zoe@example.com --yes",
    "export --user zoe@example.com --json",
    "erase M-003 --yes --json",
    "erase M-005 --yes --vacuum",
    "list --csv --status all",
    "prune --silent-for 1s",
    "prune --silent-for 1s --yes",
    "prune --uninstalled-for 1s --json",
    "prune --uninstalled-for 1s --yes",
    "prune --events-older-than 30d",
    "doctor --json",
    "summary --json",
    "events --json --limit 50",
    "openapi",
]


def masked(text, names):
    """Return *text* without what differs by chance or by the place."""
    for name in names:
        text = text.replace(str(name), "PLACE")
    text = re.sub(r"lea_(agent|enroll|enrollment|operator)_[\w-]+", "TOKEN", text)
    # PostgreSQL does not give an id again that a dry run has had.
    return _EVENT_ID.sub(r"N\1", text)


_EVENT_ID = re.compile(r'(?<="id": )\d+(,\s+(?:"machine_id": \S+\s+)?"event")')


@pytest.fixture
def database(tmp_path):
    return tmp_path / "data" / "rpa_data.db"


@pytest.fixture
def both(app, make_app, database):
    on_file = make_app(
        RPA_API_TOKEN=STRONG_TOKEN,
        RPA_AGENTS_DB_PATH=database,
        LEA_FLEET_DATABASE_URL=None,
        LEA_FLEET_DATABASE_SCHEMA=None,
    )
    return {"sqlite": on_file, "postgresql": app}


def day(app, folder, clock, database, schema, monkeypatch):
    """Run all steps, a minute apart; return what each printed."""
    monkeypatch.chdir(folder)
    places = [folder, database, schema]
    printed = {}
    for step in STEPS:
        clock.advance(minutes=1)
        words = step.format(csv="machines.csv", kit="kit").split()
        result = app.test_cli_runner().invoke(args=["fleet", *words])
        assert isinstance(result.exception, (SystemExit, type(None))), step
        shown = masked(result.stdout, places), masked(result.stderr, places)
        printed[step] = (result.exit_code, *shown)
    return printed


def test_the_same_day_on_both_engines(
    both, tmp_path, the_clock, database, schema, monkeypatch
):
    began = the_clock.time
    database.parent.mkdir()
    found = {}
    for name, app in both.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "machines.csv").write_text(_csv(), encoding="utf-8")
        the_clock.time = began
        found[name] = day(app, folder, the_clock, database, schema, monkeypatch)

    ours, theirs = found["sqlite"], found["postgresql"]
    for step in STEPS:
        if step in DIFFERENT:
            DIFFERENT[step](ours[step], theirs[step])
        else:
            assert theirs[step] == ours[step], step


def _csv():
    lines = ["machine_id,user_name,user_email,hostname,version"]
    for number in range(300):
        name = ["Zoë", "Ägid", "andré", "Çelik", "straße 100%_", "ﬁx", ""][number % 7]
        rest = f"{number}@example.com,NB-{number % 50},1.{number % 12}"
        lines.append(f"M-{number:03},{name},{rest}")
    return "\n".join(lines) + "\nbad\x07id,,,,\nM-001,twice,,,\n"


def _begun(ours, theirs):
    assert (theirs[0], theirs[1]) == (ours[0], ours[1])
    assert "Began a new database" in ours[2] and "Began a new fleet" in theirs[2]


def _not_yet(ours, theirs):
    assert (theirs[0], theirs[1]) == (ours[0], ours[1])
    assert "There is no database" in ours[2] and "There is no fleet" in theirs[2]


def _erased(ours, theirs):
    assert (theirs[0], theirs[2]) == (ours[0], ours[2])
    said = ours[1].partition(" The WAL is")[0]
    assert theirs[1].startswith(f"{said}\nIt is no longer in the tables.")


def _erased_json(ours, theirs):
    members, others = json.loads(ours[1]), json.loads(theirs[1])
    assert others.pop("may_remain_in")
    assert others == {**members, "wal_emptied": None, "log_emptied": None}


def _examined(ours, theirs):
    of = [
        {check["check"]: check for check in json.loads(told[1])["checks"]}
        for told in (ours, theirs)
    ]
    for name, check in of[0].items():
        if check["group"] != "database" and name != "values":
            assert of[1][name] == check


def _vacuumed(ours, theirs):
    _erased(ours, theirs)
    assert "VACUUM, which has run, makes" in theirs[1]


DIFFERENT = {
    "import {csv} --dry-run": _not_yet,
    "import {csv} --yes": _begun,
    "erase --user zoe@example.com --yes": _erased,
    "erase M-003 --yes --json": _erased_json,
    "erase M-005 --yes --vacuum": _vacuumed,
    "prune --uninstalled-for 1s --yes": _erased,
    "doctor --json": _examined,
}


def test_no_command_is_left_out(app):
    typed = {step.split()[0] for step in STEPS}
    named = {
        name.split()[2]
        for name in commands(app.cli.commands["fleet"], "flask fleet")
        if name != "flask fleet"
    }

    # Three are others on PostgreSQL; two have tests of their own on both engines.
    others = {"backup", "move", "schema"}
    assert named - typed == others | {"notify", "replace"}
