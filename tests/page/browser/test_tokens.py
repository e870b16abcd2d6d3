"""Enrollment tokens: created, shown once, used, revoked."""

from __future__ import annotations

from tests.page.browser.chromium import expect
from tests.support.api import Api


def test_a_token_is_made_and_enrolls_and_is_revoked(fleet, sign_in):
    page = sign_in(fleet)
    page.get_by_role("link", name="Create an enrollment token").click()
    expect(page.get_by_text("There are no enrollment tokens yet")).to_be_visible()
    page.get_by_label("Description").fill("Paris <b>")
    page.get_by_label("Valid for").select_option("30d")
    page.get_by_label("Maximum uses").fill("2")
    page.get_by_role("button", name="Create token").click()
    token = page.get_by_label("Token", exact=True).input_value()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == token
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_label("Token", exact=True)).to_have_count(0)
    assert token not in page.content()

    installer = Api(fleet.operator.client, token)
    installer.enroll("PC-1")

    page.get_by_role("button", name="Refresh").click()
    row = page.get_by_role("row", name="Paris <b>")
    expect(row).to_contain_text("1 of 2")
    expect(row).to_contain_text("Active")
    row.get_by_role("button", name="Revoke token 1, Paris <b>").click()
    expect(page.get_by_role("dialog")).to_contain_text("Revoke token 1, Paris <b>?")
    page.get_by_role("button", name="Revoke token 1", exact=True).click()

    expect(row).to_contain_text("Revoked")
    refused = installer.post("/enroll", {"machine_id": "PC-2"})
    assert refused.json["code"] == "token_revoked"
    page.get_by_role("link", name="Machines").click()
    expect(page.get_by_role("link", name="PC-1")).to_be_visible()


def test_a_number_that_cannot_be_is_refused_where_it_stands(fleet, sign_in):
    page = sign_in(fleet, "?view=tokens")
    uses = page.get_by_label("Maximum uses")
    for wrong in ("0", "-1", "many", "1.5", "1000001", ""):
        uses.fill(wrong)
        page.get_by_role("button", name="Create token").click()
        expect(page.get_by_text("from 1 to 1,000,000")).to_be_visible()
        expect(uses).to_be_focused()
    assert fleet.operator.get("/enrollment-tokens").json == {"enrollment_tokens": []}

    uses.fill("1,000")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("dialog", name="New enrollment token")).to_be_visible()
    (made,) = fleet.operator.get("/enrollment-tokens").json["enrollment_tokens"]
    assert made["max_uses"] == 1000
