"""The list: search, sort and page through 100,000 machines on the server."""

from __future__ import annotations

import re

import pytest

from tests.page.browser.chromium import expect


def shown(page):
    """Return the machines on the page, once the list has been replaced."""
    expect(page.locator(".listing.old")).to_have_count(0)
    return page.locator("a.machine").all_inner_texts()


@pytest.fixture
def page(many, sign_in):
    page = sign_in(many)
    expect(figure(page, "Active")).to_contain_text("98,000")
    expect(page.locator("a.machine")).to_have_count(50)
    return page


def figure(page, name):
    return page.get_by_role("group", name="Machines by state").get_by_role(
        "button", name=name
    )


def more(page):
    """Open the menu of the toolbar."""
    page.get_by_role("button", name="More").click()


def found(page, count):
    expect(page.locator(".found")).to_have_text(f"{count} machines")


def test_the_strip_has_the_numbers_of_the_whole_fleet(page):
    numbers = {
        "Active": "98,000",
        "Online": "97,000",
        "Offline": "0",
        "Silent (> 14 days)": "1,000",
        "Pending": "0",
        "Suspected clones": "0",
        "Not up to date": "84,000",
    }
    for name, number in numbers.items():
        assert figure(page, name).inner_text().split("\n") == [name, number]


def test_the_statistics_are_loaded_when_they_are_opened_and_stay_open(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Statistics").click()

    statistics = page.get_by_role("region", name="Statistics")
    expect(statistics.get_by_role("link", name="1.3.0")).to_be_visible()
    chart = statistics.get_by_role("img", name="Enrollments and uninstalls")
    expect(chart).to_be_visible()
    assert [url for url in asked if url.endswith("chart.js")]
    page.reload()
    expect(statistics.get_by_role("link", name="1.3.0")).to_be_visible()
    page.get_by_role("button", name="Statistics").click()
    expect(statistics).to_have_count(0)
    page.reload()
    expect(page.locator("a.machine")).to_have_count(50)
    expect(statistics).to_have_count(0)


def test_only_active_machines_are_listed_unless_others_are_asked_for(page):
    page.get_by_label("Search").fill("pc-77151")
    expect(page.locator(".found")).to_have_text("0 machines")

    page.get_by_label("Presence").select_option("Uninstalled")

    expect(page.locator(".found")).to_have_text("1 machine")
    assert shown(page) == ["PC-77151"]


def test_a_machine_is_found_among_100_000(page):
    page.get_by_label("Search").fill("pc-77123")

    expect(page.locator(".found")).to_have_text("1 machine")
    assert shown(page) == ["PC-77123"]
    assert "q=pc-77123" in page.url
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("pc-77123")
    assert shown(page) == ["PC-77123"]


def test_a_silent_machine_is_two_clicks_away(page):
    figure(page, "Silent").click()
    found(page, "1,000")
    expect(figure(page, "Silent")).to_have_attribute("aria-pressed", "true")
    expect(figure(page, "Active")).to_have_attribute("aria-pressed", "false")
    assert shown(page)[:2] == ["PC-0", "PC-100"]
    page.get_by_role("link", name="PC-100", exact=True).click()

    expect(page.get_by_role("heading", name="PC-100", exact=True)).to_be_visible()


def test_filters_narrow_together_and_are_removed_each_or_together(page):
    figure(page, "Offline").click()
    figure(page, "Silent").click()
    page.get_by_label("Not seen for").select_option("14d")
    page.get_by_label("Version").select_option("1.2.0")
    found(page, "143")
    for part in ("presence=offline%2Cstale", "silent_for=14d", "version=1.2.0"):
        assert part in page.url
    chips = page.locator(".chip")
    names = ["Offline, Silent", "Version 1.2.0", "Not seen for 14 days"]
    assert chips.all_inner_texts() == names

    page.get_by_role("button", name="Remove the filter: Version 1.2.0").click()
    found(page, "1,000")
    page.get_by_role("button", name="Clear filters").click()

    expect(page.locator(".chip")).to_have_count(0)
    assert shown(page)[:2] == ["PC-0", "PC-2"]
    page.go_back()
    found(page, "1,000")


def test_what_was_typed_is_not_lost_where_a_filter_follows_at_once(page):
    page.evaluate("""() => {
          const search = document.getElementById("search");
          search.value = "pc-7712";
          search.dispatchEvent(new Event("input"));
          document.querySelector("[data-key=strip-online]").click();
        }""")

    expect(page.get_by_label("Search")).to_have_value("pc-7712")
    found(page, "11")
    assert "q=pc-7712" in page.url and "presence=online" in page.url


def test_what_was_typed_is_not_lost_where_the_page_is_drawn_again(page):
    kept = page.evaluate("""async () => {
          const { src } = document.querySelector("script[src]");
          const { Filters } = await import(src.replace("main.js", "filters.js"));
          const filters = new Filters();
          filters.search.value = "pc-77123";
          filters.search.dispatchEvent(new Event("input"));
          filters.showState();
          return filters.search.value;
        }""")

    assert kept == "pc-77123"
    expect(page.get_by_label("Search")).to_have_value("pc-77123")


def test_the_slash_key_leads_to_the_search_but_is_typed_in_a_field(page):
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    expect(page.get_by_label("Search")).to_have_value("")
    page.keyboard.type("a/b")
    expect(page.get_by_label("Search")).to_have_value("a/b")


def test_the_toolbar_and_the_head_stay_in_sight_and_hide_no_focus(page):
    row = page.locator("tbody tr").nth(40)
    row.scroll_into_view_if_needed()

    toolbar = page.locator(".toolbar").bounding_box()
    head = page.get_by_role("columnheader", name="Machine").bounding_box()
    assert toolbar["y"] == 0
    assert head["y"] == pytest.approx(toolbar["height"], abs=1)
    page.locator("a.machine").nth(49).focus()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        focused = page.evaluate("""() => {
            const it = document.activeElement;
            return it.closest(".toolbar, thead, header, .figures, .todo, .skip")
              ? null : it.getBoundingClientRect().top }""")
        assert focused is None or focused >= head["y"] + head["height"] - 1


def test_a_machine_in_another_tab_needs_no_other_sign_in(many, page):
    with page.context.expect_page() as opened:
        page.locator("tbody tr").first.click(
            modifiers=["Control"], position={"x": 500, "y": 20}
        )

    other = opened.value
    expect(other.get_by_role("heading", name="PC-0", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    other.close()


def test_pages_follow_one_another_and_lead_back(page):
    first = shown(page)
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Page 2 of 1,960")).to_be_visible()
    second = shown(page)
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Page 3 of 1,960")).to_be_visible()
    third = shown(page)
    page.reload()
    expect(page.get_by_text("Page 3 of 1,960")).to_be_visible()
    assert shown(page) == third

    page.get_by_role("button", name="Previous", exact=True).click()
    expect(page.get_by_text("Page 2 of 1,960")).to_be_visible()
    assert shown(page) == second
    page.get_by_role("button", name="First page").click()
    expect(page.get_by_text("Page 1 of 1,960")).to_be_visible()
    assert shown(page) == first
    assert len({*first, *second, *third}) == 150


def test_a_panel_that_is_opened_leaves_the_page_of_the_list_where_it_is(page):
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Page 2 of 1,960")).to_be_visible()
    second = shown(page)

    page.get_by_role("link", name=second[0], exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("link", name=second[0], exact=True)).to_be_focused()
    assert shown(page) == second
    expect(page.get_by_role("button", name="Previous", exact=True)).to_be_enabled()


def test_a_column_orders_the_list(page):
    head = page.get_by_role("columnheader", name="Machine")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert shown(page)[:3] == ["PC-0", "PC-2", "PC-3"]

    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert shown(page)[:2] == ["PC-99999", "PC-99998"]
    expect(head.get_by_role("button")).to_be_focused()
    more(page)
    expect(page.get_by_label("Sort by")).to_have_value("-machine_id")


def test_what_fits_is_downloaded_for_a_spreadsheet(page):
    page.get_by_label("Search").fill("pc-7712")
    found(page, "11")
    more(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()

    assert re.fullmatch(r"fleet-[\d-]{10}\.csv", download.value.suggested_filename)
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 12 and lines[0].startswith("Number,Machine,")


def test_nothing_that_fits_says_what_to_do(page):
    page.get_by_label("Search").fill("no such machine")

    expect(page.get_by_text("No machines match these filters")).to_be_visible()
    page.locator(".nothing").get_by_role("button", name="Clear filters").click()
    expect(page.locator("a.machine")).to_have_count(50)


def test_a_link_leads_a_colleague_to_the_same_view(page, many, sign_in):
    page.get_by_label("Search").fill("pc-77123")
    page.get_by_role("link", name="PC-77123").click()
    expect(page.get_by_role("heading", name="PC-77123")).to_be_visible()

    other = sign_in(many, page.url.removeprefix(many.url))

    expect(other.get_by_role("heading", name="PC-77123")).to_be_visible()
    expect(other.get_by_label("Search", exact=True)).to_have_value("pc-77123")
