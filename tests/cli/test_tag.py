"""``flask fleet tag``, ``untag``, ``note``: one machine, or all of a filter."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def machines(operator):
    for number in range(1, 5):
        operator.enroll(f"PC-{number}")


def tags_of(operator, machine_id):
    return operator.get(f"/machines/{machine_id}").json["tags"]


def test_a_machine_is_tagged_and_untagged(run, operator, machines):
    result = run("tag", "PC-1", "Site=Lyon", "vip")
    assert (result.exit_code, result.stdout) == (0, "PC-1: site=lyon, vip\n")

    told = json.loads(run("untag", "PC-1", "SITE", "--json").stdout)
    assert told == {"machine_id": "PC-1", "tags": ["vip"]}
    assert run("untag", "PC-1", "vip").stdout == "PC-1: no tags\n"


def test_the_list_and_the_machine_show_tags_and_the_note(run, machines):
    run("tag", "PC-1", "vip")
    run("note", "PC-1", "--text", "Screen is\nbroken")

    listed = run("list").stdout.splitlines()
    shown = run("show", "PC-1").stdout

    assert listed[0].endswith("TAGS") and listed[4].endswith("vip")
    assert "TAGS         vip\n" in shown
    assert "NOTE         Screen is\\nbroken (now by " in shown


def test_a_list_without_tags_has_no_column_for_them(run, machines):
    assert "TAGS" not in run("list").stdout


def test_a_note_is_written_and_removed(run, operator, machines):
    assert run("note", "PC-1", "--text", "Broken").stdout == "PC-1: noted\n"
    assert run("note", "PC-1", "--remove").stdout == "PC-1: no note\n"
    assert operator.get("/machines/PC-1").json["note"] is None


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "PC-1", "vip"),
        ("untag", "PC-1", "site"),
        ("note", "PC-1", "--text", "Other"),
        ("tag", "vip", "--all"),
        ("untag", "site", "--tag", "site"),
        ("note", "--text", "Other", "-q", "PC"),
        ("release", "--all"),
        ("uninstall", "--presence", "online", "--block"),
        ("retire", "--all"),
        ("block", "-q", "PC"),
        ("mute", "--for", "1d", "--all"),
    ],
    ids=" ".join,
)
def test_a_dry_run_changes_nothing(run, machines, engine, words):
    run("tag", "PC-1", "site=lyon")
    run("note", "PC-1", "--text", "Broken")
    before = engine.contents()

    result = run(*words, "--dry-run")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Dry run; nothing was changed.")
    assert engine.contents() == before


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("release",), {}),
        (("uninstall", "--reason", "sold"), {}),
        (("retire",), {"retirement"}),
        (("block", "--reason", "stolen"), {"block"}),
        (("mute", "--for", "14d"), {"muted_until"}),
        (("tag", "vip"), {}),
        (("untag", "site"), {}),
        (("note", "--text", "Broken"), {"note"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_filter_selects_whom_a_command_acts_on(run, operator, machines, words, state):
    run("tag", "PC-1", "site=lyon")
    run("tag", "PC-2", "site=lyon")

    refused = run(*words, "--tag", "site=lyon")
    assert refused.exit_code == 1
    assert "would change 2 machines" in refused.stderr

    told = json.loads(run(*words, "--tag", "site=lyon", "--yes", "--json").stdout)

    assert sorted(told["done"]) == ["PC-1", "PC-2"]
    assert (told["failed"], told["unmatched"]) == ([], [])
    for name in state:
        assert operator.get("/machines/PC-1").json[name] is not None
        assert operator.get("/machines/PC-3").json[name] is None
    for name in ("PC-3", "PC-4"):
        events = operator.get(f"/machines/{name}/events").json["events"]
        assert [event["event"] for event in events] == ["enrolled"]


@pytest.mark.parametrize(
    ("found", "said"),
    [("PC-4", "This would change 1 machine. "), ("PC-9", "This would change 0 m")],
)
@pytest.mark.parametrize(
    "words",
    [
        *(("release",), ("uninstall",), ("retire",), ("block",)),
        *(("mute", "--for", "1d"), ("tag", "vip"), ("untag", "site")),
        ("note", "--text", "Broken"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "script"])
def test_one_machine_or_none_that_a_filter_finds_needs_yes_too(
    run, machines, engine, monkeypatch, words, found, said, is_terminal
):
    monkeypatch.setattr("lea_fleet.cli.consent.is_somebody_there", lambda: is_terminal)
    before = engine.contents()

    result = run(*words, "-q", found, input="y\n")

    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr and "--yes" in result.stderr
    assert engine.contents() == before
    assert run(*words, "-q", found, "--yes").exit_code == 0


@pytest.mark.parametrize("command", ["tag", "untag"])
@pytest.mark.parametrize(
    "words",
    [("PC-4", "vip"), ("vip", "PC-4"), ("pc-4", "vip"), ("PC-4",)],
    ids=" ".join,
)
@pytest.mark.parametrize("chosen", [("--tag", "vip"), ("--all",)], ids=" ".join)
def test_a_machine_beside_a_filter_is_no_tag_of_all_that_match(
    run, machines, engine, command, words, chosen
):
    run("tag", "PC-1", "vip")
    before = engine.contents()

    for more in ("--yes", "--dry-run"):
        result = run(command, *words, *chosen, more)

        assert (result.exit_code, result.stdout) == (2, "")
        assert "There is a machine PC-4. Give MACHINE, or which" in result.stderr
    assert engine.contents() == before


def test_options_that_leave_nearly_all_go_with_all_or_beside_a_filter(
    run, operator, machines
):
    run("mute", "PC-1", "--for", "1d")
    operator.uninstall("PC-4")

    assert run("tag", "a", "--all", "--not-muted", "--yes").exit_code == 0
    assert run("tag", "b", "--all", "--status", "uninstalled", "--yes").exit_code == 0
    assert run("tag", "c", "-q", "PC", "--status", "all", "--yes").exit_code == 0
    assert run("tag", "d", "--muted", "--yes").exit_code == 0

    tags = [tags_of(operator, f"PC-{number}") for number in range(1, 5)]
    assert tags == [["c", "d"], ["a", "c"], ["a", "c"], ["b", "c"]]


def test_all_means_all_active_machines(run, operator, machines):
    operator.uninstall("PC-4")

    result = run("tag", "vip", "--all", "--yes")

    assert result.stdout.splitlines()[-1] == "3 done, 0 not done."
    assert [tags_of(operator, f"PC-{n}") for n in (1, 4)] == [["vip"], []]


def test_what_cannot_be_done_is_said_and_is_exit_code_1(run, operator, machines):
    operator.uninstall("PC-4")

    result = run("release", "--all", "--status", "all", "--yes")

    assert result.exit_code == 1
    assert "PC-4: not done. This machine is uninstalled" in result.stdout
    assert result.stdout.endswith("3 done, 1 not done.\n")


@pytest.mark.parametrize(
    "words",
    [
        *(("release",), ("uninstall",), ("retire",), ("block",), ("mute",)),
        *(("release", "PC-1", "--all"), ("block", "PC-1", "-q", "x")),
        *(("tag", "vip"), ("tag", "PC-1", "a b"), ("tag", "a b", "--all")),
        *(("note", "PC-1"), ("note", "--text", "x"), ("note", "PC-1", "--text", " ")),
        ("note", "PC-1", "--text", "x", "--remove"),
        ("release", "--refused", "--all"),
        ("list", "--tag", "a b"),
        *(
            ("retire", "--status", status)
            for status in ("active", "uninstalled", "all")
        ),
        ("uninstall", "--not-blocked"),
        ("block", "--not-muted", "--not-duplicate", "--status", "all"),
        ("note", "--text", "x", "--not-retiring"),
        *(("release", "--all", "-q", "PC"), ("mute", "--all", "--tag", "vip")),
        ("tag", "vip", "--all", "--not-muted", "--presence", "online"),
    ],
    ids=" ".join,
)
def test_whom_is_not_said_is_exit_code_2_and_changes_nothing(
    run, machines, engine, words
):
    before = engine.contents()

    result = run(*words, *(("--for", "1d") if words[0] == "mute" else ()), "--yes")
    if "No such option: --yes" in result.stderr:
        result = run(*words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert engine.contents() == before


def test_a_token_gives_tags(run, operator):
    words = ("token", "create", "--create", "--tag", "Site=Lyon", "--tag", "vip")
    token = run(*words).stdout.strip()
    (made,) = json.loads(run("token", "list", "--json").stdout)["enrollment_tokens"]
    assert made["tags"] == ["site=lyon", "vip"]

    body = {"machine_id": "PC-1"}
    headers = {"Authorization": f"Bearer {token}"}
    assert operator.post("/enroll", body, headers=headers).status_code == 201

    assert tags_of(operator, "PC-1") == ["site=lyon", "vip"]


def test_an_import_gives_tags_also_to_machines_that_are_enrolled(
    run, operator, machines, tmp_path
):
    path = tmp_path / "machines.csv"
    path.write_text(
        "machine_id;tags\nPC-1;Site=Lyon, vip\nNEW;site=paris\nPC-2;\nPC-3;a b\n"
    )

    preview = json.loads(run("import", str(path), "--dry-run", "--json").stdout)
    told = json.loads(run("import", str(path), "--yes", "--json").stdout)

    for counted in (preview, told):
        assert (counted["tagged"], counted["refused"]) == (2, 1)
        assert (counted["enrolled"], counted["imported"]) == (2, 1)
    assert tags_of(operator, "PC-1") == ["site=lyon", "vip"]
    assert tags_of(operator, "NEW") == ["site=paris"]
    again = json.loads(run("import", str(path), "--yes", "--json").stdout)
    assert again["tagged"] == 0


def test_an_import_of_more_tags_than_a_machine_may_have_changes_nothing_of_it(
    run, operator, tmp_path
):
    path = tmp_path / "machines.csv"
    tags = ",".join(f"t{n}" for n in range(21))
    path.write_text(f"machine_id;tags\nNEW;{tags}\n")

    assert run("import", str(path), "--yes").exit_code == 1

    assert operator.get("/machines/NEW").status_code == 404


def test_the_summary_counts_tags(run, machines):
    run("tag", "PC-1", "site=lyon")

    lines = run("summary").stdout.splitlines()

    assert "TAG        ACTIVE  ONLINE  OFFLINE  STALE  PENDING" in lines
    assert "site=lyon  1       1       0        0      0" in lines
