"""Ids that look alike are accepted, and said to look alike wherever they are seen."""

from __future__ import annotations

import json

import pytest

from lea_fleet.core.machine import look
from tests.support.api import assert_invalid

GUID = "a1b2c3d4-0000-4000-8000-00000000002f"
BRACED = "{A1B2C3D4-0000-4000-8000-00000000002F}"


@pytest.fixture
def doctor(run):
    def finding():
        report = json.loads(run("doctor", "--json").stdout)
        return next(each for each in report["checks"] if each["check"] == "lookalikes")

    return finding


@pytest.fixture
def imports(run, tmp_path, monkeypatch):
    """Import these ids, and return the result."""
    monkeypatch.setenv("COLUMNS", "300")

    def import_ids(*machine_ids, words=()):
        path = tmp_path / "machines.csv"
        path.write_text("\n".join(["machine_id", *machine_ids]), encoding="utf-8")
        return run("import", str(path), "--yes", *words)

    return import_ids


@pytest.mark.parametrize(
    "one, other",
    [
        ("PC-1", "pc-1"),
        (GUID, BRACED),
        (GUID.upper(), GUID),
        (GUID, GUID.replace("-", "")),
        (GUID, "(" + GUID + ")"),
        (GUID, "urn:uuid:" + GUID),
        ("STRASSE", "straße"),
        ("PC-é", "PC-E\u0301"),
        ("PC-1", "\u200bPC\u00ad-1\u202c"),
        ("PC-1", "PC\ufe0f-1"),
        ("PC-1", "\u3164PC\u034f-1\U000e0101"),
        ("é", "e\u034f\u0301"),
        ("PC 1", "PC\u00a01"),
        ("PC 1", "PC\u202f1"),
    ],
)
def test_ids_that_look_alike(one, other):
    assert look(one) == look(other)


@pytest.mark.parametrize(
    "one, other",
    [("PC-1", "PC-11"), ("PC-1", "PC1"), ("PC-e", "PC-é"), (GUID, GUID[:-1] + "0")],
)
def test_ids_that_do_not(one, other):
    assert look(one) != look(other)


@pytest.mark.parametrize(
    "machine_id", ["\u200bPC-2", "PC\u00ad-2", "PC-2\ufeff", "PC\u202e-2", "PC\x7f2"]
)
def test_a_new_id_has_no_characters_that_nobody_sees(operator, imports, machine_id):
    assert_invalid(operator.post("/enroll", {"machine_id": machine_id}), "machine_id")
    result = imports(machine_id)
    assert result.exit_code == 1 and "characters" in result.stderr


def test_an_id_of_before_that_has_some_still_works(operator, engine):
    operator.enroll("PC-2")
    engine.execute("UPDATE enrolled_agents SET machine_id = 'PC\u200b-2'")

    assert operator.post("/heartbeat", {"machine_id": "PC\u200b-2"}).status_code == 200
    assert operator.post("/uninstall", {"machine_id": "PC\u200b-2"}).status_code == 200
    assert operator.post("/enroll", {"machine_id": "PC\u200b-2"}).status_code == 201


def test_a_letter_with_its_mark_is_one_id_in_both_unicode_forms(operator, imports):
    agent = operator.enroll("Caf\u0065\u0301")

    assert agent.answer["machine_id"] == "Caf\u00e9"
    for form in ("Caf\u0065\u0301", "Caf\u00e9"):
        assert agent.post("/heartbeat", {"machine_id": form}).status_code == 200
        assert operator.post("/heartbeat", {"machine_id": form}).status_code == 200
        assert operator.post("/enroll", {"machine_id": form}).status_code == 409
    assert len(operator.get("/fleet").json["active"]) == 1
    refused = imports("Zo\u0065\u0301", "Zo\u00e9")
    assert "already in line 2" in refused.stderr


def test_both_are_accepted_and_the_list_and_the_doctor_say_so(operator, run, doctor):
    operator.enroll(GUID)
    operator.enroll("PC-1")
    assert doctor()["level"] == "ok"
    operator.enroll(BRACED)

    lines = run("list").output.splitlines()
    assert [line.count("online~") for line in lines[1:4]] == [1, 0, 1]
    found = doctor()
    assert found["level"] == "warning"
    assert GUID in found["detail"] and BRACED in found["detail"]


def test_it_is_over_once_one_of_them_is_uninstalled(operator, run, doctor):
    operator.enroll("PC-1")
    operator.enroll("pc-1")
    operator.uninstall("PC-1")

    assert "~" not in run("list").output
    assert doctor()["level"] == "ok"


def test_a_clone_that_looks_like_another_has_both_marks(operator, run, the_clock):
    agent = operator.enroll("PC-1", hostname="A")
    operator.enroll("pc-1")
    for hostname in "BA":
        the_clock.advance(seconds=60)
        agent.heartbeat(hostname=hostname)

    assert "online!~" in run("list").output


def test_show_names_the_near_match(operator, run):
    operator.enroll(GUID)
    operator.enroll(BRACED)
    operator.uninstall(BRACED)

    (line,) = [x for x in run("show", GUID).output.splitlines() if "LOOKS LIKE" in x]
    assert BRACED in line
    assert json.loads(run("show", GUID, "--json").stdout)["lookalikes"] == [BRACED]


@pytest.mark.parametrize("typed", [GUID, GUID.upper(), GUID.replace("-", "")])
def test_show_offers_the_near_match_of_an_unknown_id(operator, run, typed):
    operator.enroll(BRACED)
    result = run("show", typed)

    assert result.exit_code == 1
    assert f"Did you mean {BRACED}?" in result.stderr


@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["done", "dry"])
def test_an_import_warns_of_each_new_machine_that_looks_like_another(
    operator, imports, words
):
    operator.enroll(BRACED)
    result = imports(GUID, "PC-1", "pc-1", BRACED, words=words)

    assert result.exit_code == 0
    warnings = [x for x in result.stderr.splitlines() if x.startswith("Warning")]
    assert warnings == [
        f"Warning: line 2, {GUID}: looks like {BRACED}, and is another machine.",
        "Warning: line 4, pc-1: looks like PC-1, and is another machine.",
    ]
    assert "3 imported" in result.stdout


def test_an_import_names_them_in_json_and_only_when_they_are_new(operator, imports):
    operator.enroll("PC-1")
    first = json.loads(imports("pc-1", words=("--json",)).stdout)
    again = json.loads(imports("pc-1", words=("--json",)).stdout)

    alike = {"line": 2, "machine_id": "pc-1", "looks_like": "PC-1"}
    assert first["lookalikes"] == [alike]
    assert "lookalikes" not in again


def test_many_are_counted(imports, operator):
    operator.get("/fleet")  # begins the database
    result = imports(*(f"{letter}-{n}" for n in range(12) for letter in ("A", "a")))

    assert "And 2 more that look alike." in result.stderr
