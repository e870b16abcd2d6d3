"""Tags: given by operators and by enrollment tokens, and what finds them."""

from __future__ import annotations

import pytest

from lea_fleet.core.limits import MOST_TAGS
from tests.support.api import Api, assert_problem

TAGS = "/machines/PC-1/tags"


def tags_of(operator, machine_id="PC-1"):
    return operator.get(f"/machines/{machine_id}").json["tags"]


def found(operator, query):
    listing = operator.get(f"/fleet?{query}").json
    return {agent["machine_id"] for agent in listing["active"] + listing["uninstalled"]}


def test_a_machine_has_one_tag_of_each_key_in_lower_case(operator):
    operator.enroll()

    response = operator.post(TAGS, {"add": ["Site=Lyon", "VIP", "vip"]})
    assert response.json == {"machine_id": "PC-1", "tags": ["site=lyon", "vip"]}
    response = operator.post(TAGS, {"add": ["site=Saint-Étienne"], "remove": ["vip"]})

    assert response.json["tags"] == ["site=saint-étienne"]
    assert tags_of(operator) == ["site=saint-étienne"]
    events = operator.get("/machines/PC-1/events").json["events"]
    assert [(event["event"], event["detail"].get("tags")) for event in events[:3]] == [
        ("tagged", ["site=saint-étienne"]),
        ("untagged", ["vip"]),
        ("tagged", ["site=lyon", "vip"]),
    ]


@pytest.mark.parametrize("value", ["\u0130\u0327", "\u03aa\u0301", "\u1fbc\u0301", "É"])
def test_a_tag_that_is_stored_can_be_looked_for(operator, value):
    """Lower case may undo the normalization of a text."""
    operator.enroll()
    (tag,) = operator.post(TAGS, {"add": [f"k={value}"]}).json["tags"]

    for asked in (tag, f"K={value}"):
        listing = operator.get("/fleet", query_string={"tag": asked})
        assert listing.status_code == 200
        assert [each["tags"] for each in listing.json["active"]] == [[tag]]


def test_a_viewer_without_personal_data_sees_no_tag_that_is_an_address(operator):
    operator.installer(tags=["of=zoe@example.com", "vip"]).enroll("PC-1")
    wanted = {"name": "Auditor", "role": "viewer", "personal": False}
    auditor = Api(operator.client, operator.post("/operators", wanted).json["token"])

    for path in ("/fleet", "/fleet?format=csv", "/machines/PC-1", "/tags"):
        shown = auditor.get(path).text
        assert "vip" in shown and "zoe" not in shown, path
    assert "zoe" not in auditor.get("/enrollment-tokens").text
    response = auditor.get("/fleet?tag=of=zoe@example.com")
    assert_problem(response, 403, "insufficient_scope")


def test_what_changes_nothing_is_no_event(operator):
    operator.enroll()
    operator.post(TAGS, {"add": ["vip"]})
    before = operator.get("/machines/PC-1/events").json

    assert operator.post(TAGS, {"add": ["VIP"], "remove": ["site"]}).status_code == 200

    assert operator.get("/machines/PC-1/events").json == before


@pytest.mark.parametrize(
    "tag",
    [
        *("", " ", "=", "=lyon", "site=", "-site", "a b", "é", "a" * 33),
        *("site=" + "x" * 65, "site=a,b", "site=a;b", "site=a\nb", "site=\u202eb"),
    ],
)
def test_a_tag_that_is_none_is_refused(operator, tag):
    operator.enroll()

    body = assert_problem(operator.post(TAGS, {"add": [tag]}), 400, "invalid_field")

    assert [error["field"] for error in body["errors"]] == ["add"]
    assert tags_of(operator) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"add": "vip"},
        {"add": [1]},
        {"add": ["site=a", "site=b"]},
        {"remove": ["!"]},
    ],
    ids=str,
)
def test_a_change_that_is_none_is_refused(operator, body):
    operator.enroll()

    assert_problem(operator.post(TAGS, body), 400, "invalid_field")


def test_a_machine_has_at_most_20_tags(operator):
    operator.enroll()
    operator.post(TAGS, {"add": [f"t{n}" for n in range(MOST_TAGS)]})
    before = tags_of(operator)

    assert_problem(operator.post(TAGS, {"add": ["one-more"]}), 400, "invalid_field")
    assert tags_of(operator) == before
    response = operator.post(TAGS, {"add": ["one-more"], "remove": ["t0"]})

    assert len(response.json["tags"]) == MOST_TAGS


def test_the_tags_of_an_unknown_machine_cannot_be_changed(operator):
    response = operator.post("/machines/PC-9/tags", {"add": ["vip"]})

    assert_problem(response, 404, "unknown_agent")


def test_a_machine_is_given_the_tags_of_its_enrollment_token(operator):
    installer = operator.installer(tags=["site=Lyon", "vip"])

    installer.enroll("PC-1")

    assert tags_of(operator) == ["site=lyon", "vip"]
    (event,) = [
        event
        for event in operator.get("/machines/PC-1/events").json["events"]
        if event["event"] == "tagged"
    ]
    assert event["actor"]["role"] == "installer"


def test_an_operators_tag_beats_the_installers_and_outlasts_it(operator):
    operator.installer(tags=["site=lyon", "dept=sales"]).enroll("PC-1")
    operator.post(TAGS, {"add": ["site=paris", "vip"]})

    operator.uninstall()
    operator.installer(tags=["site=lyon", "dept=legal"]).enroll("PC-1")

    assert tags_of(operator) == ["dept=legal", "site=paris", "vip"]


def test_an_operator_who_gives_the_tag_of_an_installer_keeps_it(operator):
    operator.installer(tags=["site=lyon"]).enroll("PC-1")
    operator.post(TAGS, {"add": ["site=lyon"]})

    operator.uninstall()
    operator.installer(tags=["site=paris"]).enroll("PC-1")

    assert tags_of(operator) == ["site=lyon"]


def test_too_many_tags_of_a_token_do_not_refuse_an_enrollment(operator):
    operator.enroll()
    operator.post(TAGS, {"add": [f"t{n}" for n in range(MOST_TAGS - 1)]})
    operator.uninstall()

    operator.installer(tags=["a", "b"]).enroll("PC-1")

    tags = tags_of(operator)
    assert len(tags) == MOST_TAGS and "a" in tags and "b" not in tags


def test_a_list_finds_machines_by_their_tags(operator):
    tags = {"PC-1": ["site=lyon", "vip"], "PC-2": ["site=lyon"], "PC-3": ["site=paris"]}
    for name, given in tags.items():
        operator.enroll(name)
        operator.post(f"/machines/{name}/tags", {"add": given})
    operator.enroll("PC-4")

    assert found(operator, "tag=site=lyon") == {"PC-1", "PC-2"}
    assert found(operator, "tag=SITE=Lyon&tag=vip") == {"PC-1"}
    assert found(operator, "tag=site%3Dlyon,vip") == {"PC-1"}
    assert found(operator, "tag=site") == {"PC-1", "PC-2", "PC-3"}
    assert found(operator, "tag=vip=yes") == set()
    assert found(operator, "tag=") == {"PC-1", "PC-2", "PC-3", "PC-4"}
    assert_problem(operator.get("/fleet?tag=a%20b"), 400, "invalid_field")


def test_lists_show_tags_and_notes_whether_there_are_any_or_not(operator):
    operator.enroll("PC-1")
    (agent,) = operator.get("/fleet").json["active"]
    assert (agent["tags"], agent["note"]) == ([], None)

    operator.post(TAGS, {"add": ["vip", "site=lyon"]})
    operator.post("/machines/PC-1/note", {"text": "Zoé's"})

    (agent,) = operator.get("/fleet").json["active"]
    assert (agent["tags"], agent["note"]) == (["site=lyon", "vip"], "Zoé's")
    lines = operator.get("/fleet?format=csv").text.splitlines()
    assert lines[0].endswith(",suspected_clone,tags,note")
    assert lines[1].endswith(',false,"site=lyon, vip",Zoé\'s')


def test_tags_are_counted_by_presence(operator):
    for name in ("PC-1", "PC-2"):
        operator.enroll(name)
        operator.post(f"/machines/{name}/tags", {"add": ["site=lyon"]})
    operator.post(TAGS, {"add": ["vip"]})
    operator.uninstall("PC-2")

    counted = operator.get("/tags").json["tags"]

    nobody = {"online": 0, "offline": 0, "stale": 0, "pending": 0, "uninstalled": 0}
    assert counted == [
        {"tag": "site=lyon", "active": 1, **nobody, "online": 1, "uninstalled": 1},
        {"tag": "vip", "active": 1, **nobody, "online": 1},
    ]
    assert operator.get("/tags?name=VIP").json["tags"] == counted[1:]


def test_a_machine_keeps_its_tags_and_note_under_a_new_id(operator, run):
    operator.enroll("PC-1")
    operator.post(TAGS, {"add": ["vip"]})
    operator.post("/machines/PC-1/note", {"text": "Zoé's"})

    assert run("edit", "PC-1", "--id", "PC-NEW").exit_code == 0

    shown = operator.get("/machines/PC-NEW").json
    assert (shown["tags"], shown["note"]["text"]) == (["vip"], "Zoé's")
