"""The view of one machine: its history and actions."""

from __future__ import annotations

import pytest

from lea_fleet.app.database import get_repository
from lea_fleet.core import clock
from lea_fleet.storage.imports import Imports
from tests.page.browser.chromium import await_answer, expect
from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill

HOSTILE = [
    "<img src=x onerror=window.hit=1>",
    "<script>window.hit=1</script>",
    "PC-\u202egnp.exe\u2066",
    "javascript:alert(1)",
    "x" * 128,
    "..%2f%00?#&",
    "שלום-1",
]


def panel(page, machine_id):
    return page.get_by_role("dialog", name=machine_id)


def test_its_story_is_told_the_newest_first(fleet, sign_in):
    installer = fleet.operator.installer(label="Paris")
    agent = installer.enroll("PC-1", hostname="PARIS-1", version="1.3.1")
    agent.heartbeat(hostname="PARIS-2")
    fleet.operator.uninstall("PC-1", reason="PC replaced")
    fleet.operator.enroll("PC-1")

    page = sign_in(fleet, "?machine=PC-1")

    story = panel(page, "PC-1").locator(".story > li")
    expect(story).to_have_count(4)
    told = story.all_inner_texts()
    events = [text.splitlines()[0] for text in told]
    assert events[1:] == ["Uninstalled", "Details changed", "Enrolled"]
    assert "Enrolled again after an uninstall" in told[0]
    assert "Uninstalled" in told[1] and "Reason: PC replaced" in told[1]
    assert "by the operator from 127.0.0.1" in told[1]
    assert "Hostname: PARIS-1 → PARIS-2" in told[2]
    assert "by the machine itself" in told[2]
    assert "by an installer with token 1" in told[3] and "Version 1.3.1" in told[3]


def test_a_long_story_is_shown_to_its_beginning(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    for _ in range(30):
        fleet.operator.post("/machines/PC-1/release")
        fleet.operator.request("DELETE", "/machines/PC-1/release")
    page = sign_in(fleet, "?machine=PC-1")
    story = panel(page, "PC-1").locator(".story > li")
    expect(story).to_have_count(20)

    page.get_by_role("button", name="Show older events").click()

    expect(story).to_have_count(61)
    expect(story.last).to_contain_text("Enrolled")
    expect(page.get_by_role("button", name="Show older events")).to_have_count(0)


def test_it_is_uninstalled_once_that_is_confirmed_by_its_name(fleet, sign_in):
    agent = fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")
    uninstall = page.get_by_role("button", name="Remove from the fleet")
    uninstall.click()
    question = page.get_by_role("dialog", name="Remove PC-1 from the fleet?")
    expect(question).to_be_visible()
    question.get_by_role("button", name="Cancel").click()
    expect(uninstall).to_be_focused()
    assert agent.heartbeat().status_code == 200

    uninstall.click()
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_label("Reason").fill("Sold <b>")
    page.keyboard.press("Enter")
    expect(question).to_be_visible()
    assert agent.heartbeat().status_code == 200
    question.get_by_role("button", name="Remove PC-1").click()

    expect(page.get_by_text("PC-1 has been removed from the fleet.")).to_be_visible()
    expect(page.get_by_text("Reason: Sold <b>")).to_be_visible()
    expect(uninstall).to_have_count(0)
    assert agent.heartbeat().json["code"] == "agent_uninstalled"
    assert fleet.operator.machine("PC-1")["uninstall_reason"] == "Sold <b>"


def test_it_is_released_and_that_is_taken_back(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    page.get_by_role("button", name="Allow re-enrollment").click()
    page.get_by_role("button", name="Allow PC-1 once").click()
    said = page.get_by_text("PC-1 may be re-enrolled once until")
    expect(said).to_be_visible()
    page.get_by_role("button", name="Cancel re-enrollment").click()
    page.get_by_role("button", name="Cancel it for PC-1").click()

    expect(page.get_by_role("button", name="Allow re-enrollment")).to_be_visible()
    assert fleet.events("PC-1") == ["release_cancelled", "released", "enrolled"]


def test_an_import_lets_it_through_until_that_is_taken_back(fleet, sign_in):
    with fleet.app.app_context():
        repository = get_repository()
        with repository.transaction():
            Imports(repository.unit).add("PC-1", {"version": "1.4"})
    page = sign_in(fleet, "?machine=PC-1")

    expect(page.get_by_text("without a time limit")).to_be_visible()
    page.get_by_role("button", name="Cancel re-enrollment").click()
    page.get_by_role("button", name="Cancel it for PC-1").click()

    expect(page.get_by_role("button", name="Allow re-enrollment")).to_be_visible()
    expect(page.get_by_text("without a time limit")).to_have_count(0)
    assert fleet.events("PC-1") == ["release_cancelled", "imported"]


def test_its_new_token_is_shown_once_and_is_good(fleet, sign_in):
    agent = fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    page.get_by_role("button", name="New token").click()
    page.get_by_role("button", name="Create a token for PC-1").click()

    token = page.get_by_label("Token", exact=True)
    agent.token = token.input_value()
    page.keyboard.press("Escape")
    expect(token).to_be_visible()
    page.get_by_role("button", name="I have copied it").click()
    expect(token).to_have_count(0)
    assert agent.heartbeat().status_code == 200
    assert agent.token not in page.content()


def test_what_the_server_refuses_is_said_and_changes_nothing(fleet, tab):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open("?machine=PC-1", token=OPERATOR_TOKEN)
    page.get_by_role("button", name="New token").click()
    fleet.operator.uninstall("PC-1")

    page.get_by_role("button", name="Create a token for PC-1").click()

    question = page.get_by_role("dialog", name="Create a new token for PC-1?")
    expect(question.get_by_role("alert")).to_contain_text("Nothing was changed.")
    visit.expect_refusals()


@pytest.mark.parametrize("machine_id", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_text_whatever_it_is(fleet, sign_in, engine, machine_id):
    other = {name: machine_id * 3 for name in ("user_name", "hostname", "version")}
    fill(engine, [{"machine_id": machine_id, **other}])

    page = sign_in(fleet)
    page.locator("a.machine").click()
    page.get_by_role("button", name="Remove from the fleet").click()
    page.locator("dialog.question .danger").click()

    expect(page.get_by_text("has been removed from the fleet.")).to_be_visible()
    rows = engine.execute("SELECT machine_id, status FROM enrolled_agents")
    assert rows == [(machine_id, "uninstalled")]
    assert page.locator("img, script:not([src])").count() == 0
    assert page.evaluate("window.hit") is None
    assert "\u202e" not in page.title()
    assert "\u202e" not in page.inner_text("body")


def test_500_characters_and_an_override_spoil_no_line(fleet, sign_in, engine):
    seen = clock.iso(clock.now())
    names = ["W" * 500, "\u202e" + "ש" * 200 + "<b>"]
    rows = [
        {"machine_id": name, "hostname": name, "user_name": name, "last_seen_at": seen}
        for name in names
    ]
    fill(engine, rows)
    for width in (1440, 360):
        viewport = {"width": width, "height": 740}
        page = sign_in(fleet, viewport=viewport)
        expect(page.locator("a.machine")).to_have_count(2)
        overflow = "document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(overflow) <= 0
        page.get_by_role("link", name="WWW").click()
        expect(page.get_by_role("button", name="Remove from the fleet")).to_be_visible()
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width
        page.get_by_role("button", name="Remove from the fleet").click()
        question = page.locator("dialog.question")
        assert question.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 0


def test_a_name_that_fits_no_path_can_still_be_uninstalled(fleet, sign_in, engine):
    fill(engine, [{"machine_id": "a/../b"}])
    page = sign_in(fleet, "?machine=a%2F..%2Fb")

    expect(page.get_by_text("cannot be used in a URL")).to_be_visible()
    expect(page.get_by_role("button", name="New token")).to_have_count(0)
    page.get_by_role("button", name="Remove from the fleet").click()
    page.get_by_role("button", name="Remove a/../b").click()

    expect(page.get_by_text("a/../b has been removed from the fleet.")).to_be_visible()


def test_a_machine_that_is_not_there_says_so(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet)
    page.goto(f"{fleet.url}?machine=PC-2")

    expect(page.get_by_text("There is no machine with this ID")).to_be_visible()


def press(page, button, answer):
    page.get_by_role("button", name=button, exact=True).click()
    page.locator("dialog.question").get_by_role("button", name=answer).click()


def test_it_is_blocked_with_a_reason_and_unblocked(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    page.get_by_role("button", name="Block", exact=True).click()
    page.get_by_label("Reason").fill("stolen")
    page.get_by_role("button", name="Block PC-1", exact=True).click()

    expect(page.get_by_text("PC-1 has been blocked.")).to_be_visible()
    shown = panel(page, "PC-1")
    expect(shown.locator(".marks")).to_contain_text("Blocked")
    expect(shown.locator(".notice", has_text="Reason: stolen")).to_be_visible()
    enrolled = fleet.operator.post("/enroll", {"machine_id": "PC-1"})
    assert enrolled.json["code"] == "machine_blocked"
    press(page, "Unblock", "Unblock PC-1")
    expect(page.get_by_text("PC-1 has been unblocked.")).to_be_visible()
    expect(shown.locator(".marks")).not_to_contain_text("Blocked")


def test_it_is_muted_for_a_while_and_that_is_taken_back(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    page.get_by_role("button", name="Mute", exact=True).click()
    page.get_by_label("For", exact=True).select_option("30 days")
    page.get_by_role("button", name="Mute PC-1", exact=True).click()

    expect(page.get_by_text("PC-1 is muted until")).to_be_visible()
    expect(panel(page, "PC-1").locator(".marks")).to_contain_text("Muted")
    expect(page.get_by_text("nobody is alerted about it")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("nobody is alerted about it")).to_be_visible()
    until = fleet.operator.get("/machines/PC-1").json["muted_until"]
    assert clock.after(clock.now(), 29 * 86400) < until
    press(page, "Unmute", "Unmute PC-1")
    expect(page.get_by_text("nobody is alerted about it")).to_have_count(0)
    assert fleet.operator.get("/machines/PC-1").json["muted_until"] is None


def test_its_agent_is_told_to_uninstall_it_and_that_is_taken_back(fleet, sign_in):
    agent = fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    press(page, "Uninstall by its agent", "Have PC-1 uninstalled")

    expect(page.get_by_text("The agent of PC-1 will be told")).to_be_visible()
    assert agent.heartbeat().json["retire"] is True
    page.reload()
    expect(page.get_by_text("has not done so yet")).to_be_visible()
    press(page, "Cancel the uninstall", "Cancel it for PC-1")
    expect(page.get_by_text("has not done so yet")).to_have_count(0)
    assert "retire" not in agent.heartbeat().json


def test_it_is_cut_off_where_somebody_else_may_have_its_token(fleet, sign_in):
    agent = fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    press(page, "Cut off", "Cut off PC-1")

    expect(page.get_by_text("Run its setup again before")).to_be_visible()
    page.reload()
    expect(page.get_by_text("May be re-enrolled once until")).to_be_visible()
    assert agent.heartbeat().json["code"] == "token_revoked"


def test_reasons_are_offered(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")

    page.get_by_role("button", name="Block", exact=True).click()

    offered = page.locator("#reasons option").evaluate_all(
        "all => all.map(o => o.value)"
    )
    assert offered == ["PC replaced", "Stolen or lost", "Sold", "Its user has left"]


def test_a_panel_that_cannot_be_loaded_opens_once_the_server_is_back(fleet, tab):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open(token=OPERATOR_TOKEN)
    await_answer(page)
    visit.context.set_offline(True)
    page.get_by_role("link", name="PC-1", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not respond.")

    visit.context.set_offline(False)
    page.get_by_role("button", name="Try again now").click()

    expect(panel(page, "PC-1").locator(".story")).to_contain_text("Enrolled")
    visit.expect_refusals()


def test_a_server_that_is_away_is_said_in_the_panel(fleet, tab):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open("?machine=PC-1", token=OPERATOR_TOKEN)
    expect(panel(page, "PC-1").locator(".story")).to_contain_text("Enrolled")
    page.keyboard.press("Escape")
    visit.context.set_offline(True)

    page.get_by_role("link", name="PC-1", exact=True).click()

    shown = panel(page, "PC-1")
    expect(shown.get_by_role("alert")).to_contain_text("The server does not respond.")
    expect(shown).not_to_contain_text("Loading")
    visit.context.set_offline(False)
    shown.get_by_role("button", name="Try again now").click()
    expect(shown.locator(".story")).to_contain_text("Enrolled")
    expect(shown.get_by_role("alert")).to_be_empty()
    visit.expect_refusals()
