"""Enrollment tokens: created, shown once, used, revoked."""

from __future__ import annotations

import io
import zipfile

import pytest

from lea_fleet import create_app
from lea_fleet.app.installer_kit import setup_command
from tests.page.browser.chromium import expect, faults, overflow, shoot
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api

ADDRESS = "https://rpa.acme.example"


@pytest.fixture
def addressed(serve, database):
    """A server that knows where machines reach it."""
    settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
    return serve(create_app({**settings, "LEA_FLEET_PUBLIC_URL": ADDRESS}))


def made(page, label="Paris"):
    """Create a token; return the dialog that shows it."""
    page.get_by_role("button", name="Create a token").click()
    page.get_by_label("Label").fill(label)
    page.get_by_role("button", name="Create token").click()
    return page.get_by_role("dialog", name="New enrollment token")


def downloaded(dialog):
    """Download the kit; return its name and its files' contents."""
    with dialog.page.expect_download() as download:
        dialog.get_by_role("button", name="Download the kit (ZIP)").click()
    name = download.value.suggested_filename
    expect(dialog.get_by_text(f"{name} has been downloaded.")).to_be_visible()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        return name, {each: archive.read(each) for each in archive.namelist()}


def test_a_token_is_made_and_enrolls_and_is_revoked(fleet, sign_in):
    page = sign_in(fleet)
    page.get_by_role("link", name="Create an enrollment token").click()
    expect(page.get_by_text("There are no enrollment tokens yet")).to_be_visible()
    page.get_by_role("button", name="Create a token").click()
    page.get_by_label("Label").fill("Paris <b>")
    page.get_by_label("Valid for").select_option("30d")
    page.get_by_label("Maximum number of machines").fill("2")
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

    expect(row).to_have_count(0)
    expect(page.get_by_text("No token is valid at the moment.")).to_be_visible()
    page.get_by_label("Show those that are no longer valid").check()
    expect(row).to_contain_text("Revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    refused = installer.post("/enroll", {"machine_id": "PC-2"})
    assert refused.json["code"] == "token_revoked"
    page.get_by_role("link", name="Machines").click()
    expect(page.get_by_role("link", name="PC-1")).to_be_visible()


def test_a_number_that_cannot_be_is_refused_where_it_stands(fleet, sign_in):
    page = sign_in(fleet, "?view=tokens")
    page.get_by_role("button", name="Create a token").click()
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("Enter a label")).to_be_visible()
    expect(page.get_by_label("Label")).to_be_focused()
    page.get_by_label("Label").fill("Paris")
    uses = page.get_by_label("Maximum number of machines")
    for wrong in ("0", "-1", "many", "1.5", "1.000", "1000001", ""):
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


def test_a_token_without_end_is_asked_about_once_more(fleet, sign_in):
    page = sign_in(fleet, "?view=tokens")
    page.get_by_role("button", name="Create a token").click()
    page.get_by_label("Label").fill("For ever")
    page.get_by_label("Valid for").select_option("never")
    page.get_by_role("button", name="Create token").click()
    question = page.get_by_role("dialog", name="Create a token that never expires?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    assert fleet.operator.get("/enrollment-tokens").json == {"enrollment_tokens": []}

    question.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Label")).to_have_value("For ever")
    page.get_by_role("button", name="Create token").click()
    question.get_by_role("button", name="Create it without expiry").click()

    expect(page.get_by_role("dialog", name="New enrollment token")).to_be_visible()
    (made,) = fleet.operator.get("/enrollment-tokens").json["enrollment_tokens"]
    assert made["expires_at"] is None


def test_a_token_leads_to_the_machines_that_it_has_enrolled(fleet, sign_in):
    fleet.operator.enroll("PC-0")
    fleet.operator.installer(label="Paris", max_uses=10).enroll("PC-1")
    page = sign_in(fleet, "?view=tokens")

    page.get_by_role("link", name="1 of 10").click()

    expect(page.locator("a.machine")).to_have_count(1)
    expect(page.get_by_role("link", name="PC-1", exact=True)).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Enrolled with token 1")


# What it is for


def test_the_kit_and_the_command_are_for_that_token_and_the_address_set(
    addressed, sign_in
):
    page = sign_in(addressed, "?view=tokens")
    dialog = made(page)
    token = dialog.get_by_label("Token", exact=True).input_value()

    name, files = downloaded(dialog)

    assert name == "lea-fleet-kit-1.zip"
    held = files["lea-fleet-kit-1/lea-enroll-token.txt"].decode().strip()
    assert held == token
    Api(addressed.operator.client, held).enroll("PC-1")
    assert f"url={ADDRESS}{PREFIX}\n".encode() in files["lea-fleet-kit-1/lea-fleet.sh"]
    command = setup_command(f"{ADDRESS}{PREFIX}")
    field = dialog.get_by_label("Command for Linux and macOS")
    expect(field).to_have_value(command)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog.get_by_role("button", name="Copy the command").click()
    expect(dialog.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == command

    dialog.get_by_role("button", name="I have copied it").click()
    expect(page.locator("dialog.question")).to_have_count(0)
    assert token not in page.content() and "sudo" not in page.content()


def test_without_a_setting_the_address_is_proposed_and_has_to_be_confirmed(fleet, tab):
    visit = tab(fleet)
    dialog = made(visit.open("?view=tokens", token=OPERATOR_TOKEN))
    address = dialog.get_by_label("Server address")
    proposed = fleet.url.removesuffix("/fleet") + PREFIX
    expect(address).to_have_value(proposed)
    expect(dialog.get_by_role("button", name="Download the kit")).to_have_count(0)
    expect(dialog.get_by_label("Command for Linux and macOS")).to_have_count(0)
    confirm = dialog.get_by_role("button", name="Use this address")

    for wrong in ("http://rpa.acme.example", "https://a@b", "https://a?b", "rpa"):
        address.fill(wrong)
        confirm.click()
        expect(dialog.get_by_role("alert")).to_contain_text("url must")
        expect(address).to_be_focused()
        expect(address).to_have_attribute("aria-invalid", "true")
    visit.expect_refusals()

    address.fill(f" {ADDRESS}/base/ ")
    address.press("Enter")
    expect(
        dialog.get_by_text(f"For the server at {ADDRESS}/base{PREFIX}.")
    ).to_be_visible()
    expect(dialog.get_by_role("alert")).to_be_hidden()
    _, files = downloaded(dialog)
    url = f"url={ADDRESS}/base{PREFIX}\n".encode()
    assert url in files["lea-fleet-kit-1/lea-fleet.sh"]


def test_the_address_proposed_can_be_taken(fleet, sign_in):
    dialog = made(sign_in(fleet, "?view=tokens"))
    dialog.get_by_role("button", name="Use this address").click()

    _, files = downloaded(dialog)

    proposed = fleet.url.removesuffix("/fleet") + PREFIX
    assert f"url={proposed}\n".encode() in files["lea-fleet-kit-1/lea-fleet.sh"]


def test_a_kit_that_is_refused_is_told_and_the_token_stays(addressed, tab):
    visit = tab(addressed)
    dialog = made(visit.open("?view=tokens", token=OPERATOR_TOKEN))
    download = dialog.get_by_role("button", name="Download the kit (ZIP)")
    expect(download).to_be_visible()
    addressed.operator.request("DELETE", "/enrollment-tokens/1")

    download.click()

    expect(dialog.get_by_role("alert")).to_contain_text("token has been revoked")
    expect(download).to_be_enabled()
    expect(dialog.get_by_label("Token", exact=True)).to_be_visible()
    visit.expect_refusals()


def test_a_viewer_is_offered_neither(addressed, tab):
    viewer = {"name": "Nadia", "role": "viewer"}
    token = addressed.operator.post("/operators", viewer).json["token"]
    addressed.operator.installer(label="Paris")

    page = tab(addressed).open("?view=tokens", token=token)

    expect(page.get_by_role("cell", name="Paris")).to_be_visible()
    expect(page.get_by_role("button", name="Create a token")).to_be_hidden()
    for word in ("ZIP", "sudo", ADDRESS):
        assert word not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_both_dialogs_look_right_and_axe_finds_no_fault(
    fleet, sign_in, scheme, width, locale
):
    options = {"color_scheme": scheme, "locale": locale}
    options["viewport"] = {"width": width, "height": 800}
    page = sign_in(fleet, "?view=tokens", **options)
    page.locator("[data-key=create]").click()
    page.locator("#label").fill("Paris")
    page.locator("dialog .primary").click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.locator(".setup form button")
    expect(confirm).to_be_visible()
    assert faults(page) == [] and overflow(page) <= 0
    shoot(page, f"setup-question-{locale}-{scheme}-{width}")

    confirm.click()
    expect(dialog.locator("textarea")).to_be_visible()

    last = dialog.locator(".copy").nth(1).bounding_box()
    assert dialog.locator(".actions").bounding_box()["y"] >= last["y"] + last["height"]
    assert faults(page) == [] and overflow(page) <= 0
    shoot(page, f"setup-{locale}-{scheme}-{width}")
