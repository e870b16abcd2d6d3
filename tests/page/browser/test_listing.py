"""The list: search, sort and page through 100,000 machines on the server."""

from __future__ import annotations

import re

import pytest

from tests.page.browser.chromium import expect
from tests.page.browser.conftest import MANY


def shown(page):
    """Return the machines on the page, once the list has been replaced."""
    expect(page.locator(".listing.old")).to_have_count(0)
    return page.locator("a.machine").all_inner_texts()


@pytest.fixture
def page(many, sign_in):
    page = sign_in(many)
    expect(page.get_by_text(f"{MANY:,} machines")).to_be_visible()
    return page


def test_the_numbers_are_those_of_the_whole_fleet(page):
    overview = page.get_by_role("region", name="Overview")

    expect(overview).to_contain_text("98,000 active machines")
    expect(overview.get_by_role("link", name="Online")).to_contain_text("97,000")
    expect(overview.get_by_role("link", name="Stale")).to_contain_text("1,000")
    expect(overview.get_by_role("link", name="Uninstalled")).to_contain_text("2,000")
    expect(overview.get_by_role("link", name="1.3.0")).to_be_visible()
    chart = overview.get_by_role("img", name="Enrollments and uninstalls")
    expect(chart).to_be_visible()


def test_a_machine_is_found_among_100_000(page):
    page.get_by_label("Search").fill("pc-77123")

    expect(page.get_by_text("1 machine", exact=True)).to_be_visible()
    assert shown(page) == ["PC-77123"]
    assert "q=pc-77123" in page.url
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("pc-77123")
    assert shown(page) == ["PC-77123"]


def test_a_silent_machine_is_two_clicks_away(page):
    page.get_by_role("link", name="Stale").click()
    expect(page.get_by_text("1,000 machines", exact=True)).to_be_visible()
    assert shown(page)[:2] == ["PC-0", "PC-100"]
    page.get_by_role("link", name="PC-100", exact=True).click()

    expect(page.get_by_role("heading", name="PC-100", exact=True)).to_be_visible()


def test_filters_narrow_together_and_are_cleared_together(page):
    page.get_by_role("button", name="Offline").click()
    page.get_by_role("button", name="Stale").click()
    page.get_by_label("Not seen for").select_option("14d")
    page.get_by_label("Version").select_option("1.2.0")
    expect(page.get_by_text("143 machines", exact=True)).to_be_visible()
    for part in ("presence=offline%2Cstale", "silent_for=14d", "version=1.2.0"):
        assert part in page.url

    page.get_by_role("button", name="Clear filters").click()

    expect(page.get_by_text(f"{MANY:,} machines")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("143 machines", exact=True)).to_be_visible()


def test_what_was_typed_is_not_lost_where_a_filter_follows_at_once(page):
    page.evaluate("""() => {
          const search = document.getElementById("search");
          search.value = "pc-7712";
          search.dispatchEvent(new Event("input"));
          document.querySelector(".chip").click();
        }""")

    expect(page.get_by_label("Search")).to_have_value("pc-7712")
    expect(page.get_by_text("11 machines", exact=True)).to_be_visible()
    assert "q=pc-7712" in page.url and "presence=online" in page.url


def test_pages_follow_one_another_and_lead_back(page):
    first = shown(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2 of 2,000")).to_be_visible()
    second = shown(page)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 3 of 2,000")).to_be_visible()
    third = shown(page)
    page.reload()
    expect(page.get_by_text("Page 3 of 2,000")).to_be_visible()
    assert shown(page) == third

    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("Page 2 of 2,000")).to_be_visible()
    assert shown(page) == second
    page.get_by_role("button", name="First page").click()
    expect(page.get_by_text("Page 1 of 2,000")).to_be_visible()
    assert shown(page) == first
    assert len({*first, *second, *third}) == 150


def test_a_panel_that_is_opened_leaves_the_page_of_the_list_where_it_is(page):
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2 of 2,000")).to_be_visible()
    second = shown(page)

    page.get_by_role("link", name=second[0], exact=True).click()
    page.keyboard.press("Escape")

    expect(page.get_by_role("link", name=second[0], exact=True)).to_be_focused()
    assert shown(page) == second
    expect(page.get_by_role("button", name="Previous")).to_be_enabled()


def test_a_column_orders_the_list(page):
    head = page.get_by_role("columnheader", name="Machine")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert shown(page)[:3] == ["PC-0", "PC-2", "PC-3"]

    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_label("Sort by")).to_have_value("-machine_id")
    assert shown(page)[:2] == ["PC-99999", "PC-99998"]
    expect(head.get_by_role("button")).to_be_focused()


def test_what_fits_is_downloaded_for_a_spreadsheet(page):
    page.get_by_label("Search").fill("pc-7712")
    expect(page.get_by_text("11 machines", exact=True)).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()

    assert re.fullmatch(r"fleet-[\d-]{10}\.csv", download.value.suggested_filename)
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 12 and lines[0].startswith("id,machine_id")


def test_nothing_that_fits_says_what_to_do(page):
    page.get_by_label("Search").fill("no such machine")

    expect(page.get_by_text("No machines match these filters")).to_be_visible()
    page.locator(".nothing").get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text(f"{MANY:,} machines")).to_be_visible()


def test_a_link_leads_a_colleague_to_the_same_view(page, many, sign_in):
    page.get_by_label("Search").fill("pc-77123")
    page.get_by_role("link", name="PC-77123").click()
    expect(page.get_by_role("heading", name="PC-77123")).to_be_visible()

    other = sign_in(many, page.url.removeprefix(many.url))

    expect(other.get_by_role("heading", name="PC-77123")).to_be_visible()
    expect(other.get_by_label("Search", exact=True)).to_have_value("pc-77123")
