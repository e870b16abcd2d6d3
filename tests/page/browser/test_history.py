"""The history of the whole fleet: filtered, paged, and leading to each machine."""

from __future__ import annotations

import csv
import io

from tests.page.browser.chromium import expect


def lines(page):
    return page.locator(".story.fleet li")


def test_it_shows_what_happened_to_all_and_who_did_it(fleet, sign_in):
    installer = fleet.operator.installer(label="Paris <b>")
    installer.enroll("PC-1", version="1.4.0")
    fleet.operator.enroll("PC-2")
    fleet.operator.uninstall("PC-2", reason="sold")
    page = sign_in(fleet)

    page.get_by_role("link", name="History").click()

    expect(page).to_have_title("History – Fleet")
    expect(lines(page)).to_have_count(4)
    expect(lines(page).nth(0)).to_contain_text("Uninstalled")
    expect(lines(page).nth(0)).to_contain_text("Reason: sold")
    expect(lines(page).nth(2)).to_contain_text("by an installer with token 1")
    expect(lines(page).nth(3)).to_contain_text("Label: Paris <b>")
    lines(page).nth(0).get_by_role("link", name="PC-2").click()
    expect(page.get_by_role("dialog")).to_contain_text("PC-2")
    page.keyboard.press("Escape")
    expect(lines(page).nth(0).get_by_role("link")).to_be_focused()


def test_filters_are_in_the_address_and_of_the_download(fleet, sign_in):
    for number in range(3):
        fleet.operator.enroll(f"PC-{number}")
    fleet.operator.uninstall("PC-1")
    page = sign_in(fleet, "?view=history")

    page.get_by_label("Event").select_option("Uninstalled")
    expect(lines(page)).to_have_count(1)
    assert "event=uninstalled" in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["Machine"] == "PC-1"

    page.get_by_label("By", exact=True).fill("nobody")
    expect(page.get_by_text("No events match.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(lines(page)).to_have_count(4)
    page.go_back()
    expect(page.get_by_label("By", exact=True)).to_have_value("nobody")


def test_it_is_of_one_machine_and_of_the_days_until_a_date(fleet, sign_in, engine):
    for number in range(3):
        fleet.operator.enroll(f"PC-{number}")
    engine.execute(
        "UPDATE lea_fleet_events SET at = '2026-03-02T12:00:00+00:00'"
        " WHERE machine_id = 'PC-1'"
    )
    fleet.operator.uninstall("PC-1")
    page = sign_in(fleet, "?view=history")

    page.get_by_label("Machine").fill("PC-1")
    expect(lines(page)).to_have_count(2)
    page.get_by_label("Until").fill("2026-03-02")
    expect(lines(page)).to_have_count(1)
    expect(lines(page)).to_contain_text("Enrolled")
    page.get_by_label("Until").fill("2026-03-01")
    expect(page.get_by_text("No events match.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(lines(page)).to_have_count(4)
    expect(page.get_by_label("Machine")).to_have_value("")


def test_older_events_are_a_page_further(fleet, sign_in):
    for number in range(60):
        fleet.operator.enroll(f"PC-{number}")
    page = sign_in(fleet, "?view=history")
    expect(lines(page)).to_have_count(50)

    page.get_by_role("button", name="Older").click()
    expect(lines(page)).to_have_count(10)
    expect(lines(page).nth(9)).to_contain_text("PC-0")
    page.get_by_role("button", name="Newer").click()
    expect(lines(page).nth(0)).to_contain_text("PC-59")
    page.get_by_role("button", name="Older").click()
    page.get_by_role("button", name="Newest").click()
    expect(lines(page).nth(0)).to_contain_text("PC-59")
