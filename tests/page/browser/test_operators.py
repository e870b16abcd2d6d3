"""Operators with a name: made on the page, and what each role is offered there."""

from __future__ import annotations

import pytest

from tests.page.browser.chromium import await_answer, expect, faults, overflow, shoot
from tests.support.api import OPERATOR_TOKEN, Api


@pytest.fixture
def open_as(fleet, tab):
    """Open the page as an operator with a role."""

    def open_page(role, path="", name="Nadia <b>", **members):
        body = {"name": name, "role": role, **members}
        made = fleet.operator.post("/operators", body)
        return tab(fleet).open(path, token=made.json["token"])

    return open_page


def views(page):
    await_answer(page)
    return page.get_by_role("navigation", name="Views").get_by_role("link")


def test_an_operator_is_made_and_can_work_with_the_token(fleet, sign_in):
    page = sign_in(fleet)
    views(page).filter(has_text="Operators").click()
    expect(page.get_by_text("There are no operators with a name yet")).to_be_visible()

    page.get_by_role("button", name="Create operator").click()
    expect(page.get_by_text("Enter a name.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Nadia <b>")
    page.get_by_label("Role").select_option("Operator")
    page.get_by_role("button", name="Create operator").click()
    token = page.get_by_label("Token", exact=True).input_value()
    page.get_by_role("button", name="I have copied it").click()

    line = page.get_by_role("listitem").filter(has_text="Nadia <b>")
    expect(line).to_contain_text("Active")
    expect(line).to_contain_text("Never used")
    nadia = Api(fleet.operator.client, token)
    nadia.enroll("PC-1")
    assert token not in page.content()

    line.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("The token of Nadia <b> has been revoked")).to_be_visible()
    expect(line).to_contain_text("Revoked")
    expect(line.get_by_role("button")).to_have_count(0)
    assert nadia.get("/fleet").json["code"] == "token_revoked"


def test_a_viewer_is_offered_nothing_that_would_be_refused(fleet, open_as):
    installer = fleet.operator.installer(label="Paris")
    installer.enroll("PC-1")
    installer.post("/enroll", {"machine_id": "PC-1"})
    fleet.operator.post("/machines/PC-2/block")

    page = open_as("viewer")

    expect(page.locator(".person")).to_have_text("Signed in as Nadia <b>")
    assert views(page).all_inner_texts() == [
        "Machines",
        "Attention",
        "History",
        "Enrollment tokens",
    ]
    page.get_by_role("link", name="PC-1", exact=True).click()
    panel = page.get_by_role("dialog", name="PC-1")
    expect(panel.get_by_role("listitem").first).to_contain_text("Enrolled")
    expect(panel.locator(".actions button")).to_have_count(0)
    page.keyboard.press("Escape")
    views(page).filter(has_text="Attention").click()
    expect(page.get_by_role("region", name="Blocked")).to_contain_text("PC-2")
    expect(page.locator("main button")).to_have_count(0)
    views(page).filter(has_text="Enrollment tokens").click()
    expect(page.get_by_role("cell", name="Paris")).to_be_visible()
    expect(page.locator("main button:visible")).to_have_count(0)


def test_a_viewer_without_personal_data_is_made_and_works(fleet, tab, sign_in):
    fleet.operator.enroll("PC-1", user_name="Zoé", hostname="PARIS-1")
    page = sign_in(fleet, "?view=operators")
    page.get_by_label("Name", exact=True).fill("Audit")
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Create operator").click()
    token = page.get_by_label("Token", exact=True).input_value()
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_role("listitem")).to_contain_text("Viewer – no personal data")
    page.get_by_label("Role").select_option("Admin")
    expect(page.get_by_role("checkbox")).to_be_disabled()
    expect(page.get_by_role("checkbox")).to_be_checked()

    page = tab(fleet).open(token=token)

    expect(page.get_by_role("link", name="PC-1", exact=True)).to_be_visible()
    assert "Zoé" not in page.content() and "PARIS-1" not in page.content()
    expect(page.get_by_label("Search", exact=True)).to_be_hidden()
    expect(page.locator("th.user_name button, th:nth-child(2) button")).to_have_count(0)
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("Tags")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Version", exact=True).click()
    expect(page.locator("th.version")).to_have_attribute("aria-sort", "ascending")
    views(page).filter(has_text="History").click()
    expect(page.get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_label("By", exact=True)).to_be_hidden()


@pytest.mark.parametrize("link", ["?q=PC", "?sort=user_name"])
def test_a_link_that_asks_for_personal_data_signs_nobody_out(fleet, tab, link):
    fleet.operator.enroll("PC-1", user_name="Zoé")
    body = {"name": "Audit", "role": "viewer", "personal": False}
    made = fleet.operator.post("/operators", body).json
    visit = tab(fleet)
    page = visit.open(link, token=made["token"])

    expect(page.get_by_role("alert")).to_contain_text("shown no personal data")
    visit.expect_refusals()
    page.goto(fleet.url)
    expect(page.get_by_role("link", name="PC-1", exact=True)).to_be_visible()


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_only_an_admin_is_offered_the_operators(fleet, open_as, role):
    fleet.operator.enroll("PC-1")
    page = open_as(role, "?view=operators")

    offered = "Operators" in views(page).all_inner_texts()
    assert offered == (role == "admin")
    expect(page.get_by_role("heading", name="Operators")).to_have_count(int(offered))
    expect(page.locator("main .list")).to_have_count(int(not offered))


def test_who_is_revoked_is_asked_to_sign_in_again(fleet, tab):
    made = fleet.operator.post("/operators", {"name": "N", "role": "viewer"}).json
    visit = tab(fleet)
    page = visit.open(token=made["token"])
    await_answer(page)
    fleet.operator.request("DELETE", "/operators/1")

    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_label("Operator token")).to_be_visible()
    visit.expect_refusals()


@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_the_operators_are_fit_for_everybody(fleet, sign_in, language, scheme, width):
    for name, role in {"Nadia, helpdesk": "operator", "Audit": "viewer"}.items():
        fleet.operator.post("/operators", {"name": name, "role": role})
    fleet.operator.request("DELETE", "/operators/2")
    viewport = {"width": width, "height": 900}
    options = {"viewport": viewport, "color_scheme": scheme, "locale": language}
    page = sign_in(fleet, "?view=operators", **options)
    expect(page.get_by_role("listitem")).to_have_count(2)

    shoot(page, f"operators {language[:2]} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


def test_the_holder_of_the_servers_token_has_no_name(fleet, tab):
    page = tab(fleet).open(token=OPERATOR_TOKEN)

    assert "Operators" in views(page).all_inner_texts()
    expect(page.locator(".person")).to_be_empty()
