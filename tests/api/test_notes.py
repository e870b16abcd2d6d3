"""Notes about machines: written, found, hidden and erased."""

from __future__ import annotations

import pytest

from tests.support.api import Api, assert_problem

NOTE = "/machines/PC-1/note"


@pytest.fixture
def nadia(operator, client):
    wanted = {"name": "Nadia, helpdesk", "role": "operator"}
    return Api(client, operator.post("/operators", wanted).json["token"])


def found(operator, text):
    return operator.get("/fleet", query_string={"q": text}).json["totals"]["total"]


def test_a_note_has_its_author_and_time(operator, nadia, the_clock):
    operator.enroll()

    response = nadia.post(NOTE, {"text": " Écran cassé.\nÀ remplacer. "})

    note = {"text": "Écran cassé.\nÀ remplacer.", "author": "Nadia, helpdesk"}
    expected = {**note, "noted_at": "2026-03-02T08:00:00.123456+00:00"}
    assert response.json == {"machine_id": "PC-1", "note": expected}
    assert operator.get("/machines/PC-1").json["note"] == expected
    event = operator.get("/machines/PC-1/events").json["events"][0]
    assert (event["event"], event["detail"]) == ("noted", {})


def test_the_same_note_again_is_no_event(operator):
    operator.enroll()
    operator.post(NOTE, {"text": "Broken"})
    before = operator.get("/machines/PC-1").json["note"]

    assert operator.post(NOTE, {"text": "Broken"}).json["note"] == before

    names = [e["event"] for e in operator.get("/machines/PC-1/events").json["events"]]
    assert names.count("noted") == 1


def test_a_note_is_removed_once(operator):
    operator.enroll()
    operator.post(NOTE, {"text": "Broken"})

    for _ in range(2):
        response = operator.request("DELETE", NOTE)
        assert response.json == {"machine_id": "PC-1", "note": None}

    names = [e["event"] for e in operator.get("/machines/PC-1/events").json["events"]]
    assert names.count("note_removed") == 1


@pytest.mark.parametrize("text", [None, "", "  ", "\u200b", "x" * 2001, 1, "a\0b"])
def test_a_text_that_is_no_note_is_refused(operator, text):
    operator.enroll()

    assert_problem(operator.post(NOTE, {"text": text}), 400, "invalid_field")


def test_a_note_is_found_in_any_case_also_after_a_change(operator):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    operator.post(NOTE, {"text": "Écran CASSÉ"})

    assert found(operator, "écran cassé") == 1
    assert found(operator, "%") == 0
    operator.post(NOTE, {"text": "100 % fine"})

    assert (found(operator, "cassé"), found(operator, "0 % F")) == (0, 1)


def test_a_viewer_without_personal_data_sees_no_note(operator, client):
    operator.enroll()
    operator.post(NOTE, {"text": "Zoé's"})
    wanted = {"name": "Auditor", "role": "viewer", "personal": False}
    auditor = Api(client, operator.post("/operators", wanted).json["token"])

    assert auditor.get("/machines/PC-1").json["note"] is None
    assert auditor.get("/fleet").json["active"][0]["note"] is None
    assert "Zo" not in auditor.get("/fleet?format=csv").text


def test_an_agent_sees_neither_note_nor_tags(operator):
    agent = operator.enroll()
    operator.post(NOTE, {"text": "Zoé's"})
    operator.post("/machines/PC-1/tags", {"add": ["vip"]})

    shown = agent.get("/machines/PC-1").json

    assert list(shown) == ["agent"]
    assert not {"note", "tags"} & shown["agent"].keys()


def test_an_erasure_takes_the_note_of_the_person_and_tags_that_name_them(
    operator, run, engine
):
    operator.enroll("PC-1", user_name="Zoé", user_email="zoe@example.com")
    operator.enroll("PC-2", user_email="ana@example.com")
    operator.post(NOTE, {"text": "Prefers French"})
    operator.post("/machines/PC-1/tags", {"add": ["of=zoe@example.com", "vip"]})
    operator.post("/machines/PC-2/note", {"text": "Swapped with zoe@example.com's"})
    operator.post("/machines/PC-2/tags", {"add": ["site=lyon"]})
    operator.installer(tags=["of=zoe@example.com", "vip"])

    result = run("erase", "--user", "zoe@example.com", "--yes")

    assert result.exit_code == 0, result.stderr
    assert operator.get("/machines/PC-1").json["note"] is None
    assert operator.get("/machines/PC-1").json["tags"] == ["vip"]
    assert operator.get("/machines/PC-2").json["note"] is None
    assert operator.get("/machines/PC-2").json["tags"] == ["site=lyon"]
    (token,) = operator.get("/enrollment-tokens").json["enrollment_tokens"]
    assert token["tags"] == ["vip"]
    assert "zoe@example.com" not in str(engine.contents()).lower()


def test_an_erasure_of_an_operator_leaves_the_note_without_its_author(
    operator, client, run
):
    wanted = {"name": "nadia@example.com", "role": "operator"}
    nadia = Api(client, operator.post("/operators", wanted).json["token"])
    operator.enroll()
    nadia.post(NOTE, {"text": "Broken"})

    assert run("erase", "--user", "nadia@example.com", "--yes").exit_code == 0

    note = operator.get("/machines/PC-1").json["note"]
    assert (note["text"], note["author"]) == ("Broken", None)


def test_an_export_has_the_note_and_tags_of_a_person(operator, run):
    operator.enroll("PC-1", user_email="zoe@example.com")
    operator.post(NOTE, {"text": "Prefers French"})
    operator.post("/machines/PC-1/tags", {"add": ["vip"]})
    operator.enroll("PC-2", user_email="ana@example.com")
    operator.post("/machines/PC-2/note", {"text": "Her phone is 12"})

    told = run("export", "--user", "zoe@example.com").stdout

    assert "Prefers French" in told and '"vip"' in told
    assert "Her phone" not in told


def test_a_hostile_note_or_tag_is_harmless_in_csv_and_on_a_terminal(operator, run):
    operator.enroll()
    hostile = "=HYPERLINK(1)\x1b[2J\u202e<script>"
    operator.post(NOTE, {"text": hostile})
    operator.post("/machines/PC-1/tags", {"add": ["of=<script>'\"\u00a0x"]})

    line = operator.get("/fleet?format=csv").text.splitlines()[1]
    shown = run("show", "PC-1").stdout + run("list").stdout

    assert "'=HYPERLINK(1)" in line
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "\\x1b[2J\\u202e<script>" in shown
