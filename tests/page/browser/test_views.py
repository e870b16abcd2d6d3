"""Saved views on the page: chosen, saved, changed, shared, and in the address."""

from __future__ import annotations

import pytest

from lea_fleet.core import clock
from tests.page.browser.chromium import await_answer, expect, faults, overflow, shoot
from tests.support.api import Api


@pytest.fixture
def fleet(fleet, engine):
    """Three machines, one of which is offline."""
    fleet.operator.enroll("PC-1", version="1.0", hostname="PARIS-1", user_name="Zoé")
    fleet.operator.enroll("PC-2", version="2.0", os_info="Windows 11")
    fleet.operator.enroll("PC-3", version="2.0")
    yesterday = clock.before(clock.now(), 86400)
    engine.execute(
        "UPDATE enrolled_agents SET last_seen_at = ? WHERE machine_id = 'PC-3'",
        yesterday,
    )
    return fleet


@pytest.fixture
def someone(fleet):
    """Make an operator with a role; return their client."""

    def make(role, name="Nadia", **members):
        body = {"name": name, "role": role, **members}
        made = fleet.operator.post("/operators", body).json
        return Api(fleet.operator.client, made["token"])

    return make


def save(owner, name="Second", **members):
    body = {"name": name, "filters": "version=2.0", "shared": True, **members}
    response = owner.post("/views", body)
    assert response.status_code == 201, response.text
    return response.json


def stored(owner):
    return owner.get("/views").json["views"]


def shown(page):
    """Return the machines on the page, once the list has been replaced."""
    await_answer(page)
    expect(page.locator(".listing.old")).to_have_count(0)
    return page.locator("a.machine").all_inner_texts()


def more(page, name):
    """Choose something in the menu of the toolbar."""
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name=name).click()


def heads(page):
    return page.locator(".machines thead th:not(.select)").all_inner_texts()


def chosen(page):
    return page.get_by_label("Saved view").locator("option:checked")


USUAL = ["Machine", "User", "Version", "Presence", "Last seen", "Enrolled"]


def test_a_view_is_saved_chosen_changed_renamed_shared_and_deleted(fleet, sign_in):
    page = sign_in(fleet)
    page.get_by_label("Version").select_option("2.0")
    page.get_by_role("button", name="More").click()
    page.get_by_label("Sort by").select_option("machine_id")
    page.keyboard.press("Escape")
    more(page, "Save as a view")
    page.get_by_label("Name", exact=True).fill("Second <b>")
    page.get_by_role("button", name="Save the view").click()

    expect(page.get_by_text("Second <b> has been saved.")).to_be_visible()
    expect(chosen(page)).to_have_text("Second <b>")
    (view,) = stored(fleet.operator)
    assert (view["filters"], view["shared"]) == ("version=2.0&sort=machine_id", False)
    page.wait_for_url(lambda url: url.endswith(f"?saved={view['id']}"))
    assert shown(page) == ["PC-2", "PC-3"]
    expect(page.get_by_role("button", name="Save changes")).to_have_count(0)

    page.locator("[data-key=strip-online]").click()
    assert shown(page) == ["PC-2"]
    for part in ("saved=1", "presence=online", "version=2.0", "sort=machine_id"):
        assert part in page.url
    more(page, "Save changes: Second <b>")
    page.get_by_role("button", name="Save the changes").click()
    expect(page.get_by_text("Second <b> has been changed.")).to_be_visible()
    page.wait_for_url(lambda url: url.endswith("?saved=1"))
    changed = "presence=online&version=2.0&sort=machine_id"
    assert stored(fleet.operator)[0]["filters"] == changed

    more(page, "Rename or share")
    page.get_by_label("Name", exact=True).fill("Version 2")
    page.get_by_label("Share it with everybody").check()
    page.get_by_role("button", name="Change the view").click()
    expect(page.get_by_text("Version 2 has been changed.")).to_be_visible()
    expect(page.locator("optgroup[label=Shared] option")).to_have_text("Version 2")
    assert stored(fleet.operator)[0]["filters"] == changed

    more(page, "Delete view")
    page.get_by_role("button", name="Delete the view").click()
    expect(page.get_by_text("Version 2 has been deleted.")).to_be_visible()
    page.wait_for_url(fleet.url)
    assert len(shown(page)) == 3
    assert stored(fleet.operator) == []


def test_a_name_that_is_taken_is_told_where_it_was_typed(fleet, tab, someone):
    nadia = someone("operator")
    save(nadia, shared=False)
    visit = tab(fleet)
    page = visit.open(token=nadia.token)

    more(page, "Save as a view")
    page.get_by_label("Name", exact=True).fill("second")
    page.get_by_role("button", name="Save the view").click()

    expect(page.get_by_role("alert").filter(has_text="has this name")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("third")
    page.get_by_role("button", name="Save the view").click()
    expect(chosen(page)).to_have_text("third")
    visit.expect_refusals()


def test_a_link_to_a_view_works_for_whoever_may_see_it(fleet, sign_in, tab, someone):
    nadia, viewer = someone("operator"), someone("viewer")
    view = save(nadia, columns=["machine_id", "os_info"])

    page = tab(fleet).open(f"?saved={view['id']}", token=viewer.token)

    assert shown(page) == ["PC-3", "PC-2"]
    expect(page.get_by_label("Version", exact=True)).to_have_value("2.0")
    assert heads(page) == ["Machine", "Operating system"]
    expect(page.get_by_role("cell", name="Windows 11")).to_be_visible()
    for name in ("Rename or share", "Delete view"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.locator("[data-key=strip-online]").click()
    assert shown(page) == ["PC-2"]
    page.go_back()
    assert shown(page) == ["PC-3", "PC-2"]
    page.get_by_role("button", name="Clear filters").click()
    assert len(shown(page)) == 3 and heads(page) == USUAL


@pytest.mark.parametrize("which", ["1", "99", "x"])
def test_a_link_to_a_view_that_one_may_not_see_says_so(fleet, tab, someone, which):
    save(someone("operator"), "Secret", filters="q=zoe", shared=False)

    page = tab(fleet).open(f"?saved={which}", token=someone("viewer").token)

    expect(
        page.get_by_text("does not exist, or is somebody else’s own")
    ).to_be_visible()
    assert len(shown(page)) == 3
    assert "Secret" not in page.content()
    expect(chosen(page)).to_have_text("No saved view")
    page.goto(fleet.url)
    expect(page.get_by_text("does not exist, or is")).to_be_hidden()


def test_a_viewer_saves_views_of_its_own_and_shares_none(fleet, tab, someone):
    viewer = someone("viewer")
    save(someone("operator"), "Shared")
    page = tab(fleet).open(token=viewer.token)

    more(page, "Save as a view")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Share it with everybody")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("Mine")
    page.get_by_role("button", name="Save the view").click()

    expect(chosen(page)).to_have_text("Mine")
    assert {each["name"] for each in stored(viewer)} == {"Mine", "Shared"}
    more(page, "Rename or share")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Share it with everybody")).to_have_count(0)
    page.keyboard.press("Escape")
    more(page, "Delete view")
    page.get_by_role("button", name="Delete the view").click()
    expect(page.get_by_text("Mine has been deleted.")).to_be_visible()
    assert [each["name"] for each in stored(viewer)] == ["Shared"]


def test_an_admin_changes_what_others_share_and_leaves_it_shared(
    fleet, sign_in, someone
):
    save(someone("operator"), "Nadia's")
    page = sign_in(fleet, "?saved=1")

    more(page, "Rename or share")
    expect(page.get_by_label("Share it with everybody")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("Everybody's")
    page.get_by_role("button", name="Change the view").click()

    expect(chosen(page)).to_have_text("Everybody's")
    (view,) = stored(fleet.operator)
    assert view["shared"] and view["owner"] == "Nadia"


def test_a_viewer_without_personal_data_sees_no_names_of_views(fleet, tab, someone):
    nadia, audit = someone("operator"), someone("viewer", "Audit", personal=False)
    save(nadia, "PCs of Zoé")
    save(nadia, "Searched", filters="q=Zoé")

    page = tab(fleet).open("?saved=1", token=audit.token)

    assert shown(page) == ["PC-3", "PC-2"]
    expect(chosen(page)).to_have_text("Shared view 1")
    assert "Zoé" not in page.content() and "Searched" not in page.content()


def test_a_filter_that_the_page_has_no_control_for_is_a_chip(fleet, sign_in):
    fleet.operator.post("/machines/PC-2/mute", {"for": "1d"})
    save(fleet.operator, filters="version=2.0&muted=true&blocked=false")
    page = sign_in(fleet, "?saved=1")

    assert shown(page) == ["PC-2"]
    chips = ["Version 2.0", "Blocked: no", "Muted"]
    assert page.locator(".chip").all_inner_texts() == chips
    page.locator("[data-key=strip-online]").click()
    assert shown(page) == ["PC-2"]
    more(page, "Save changes")
    page.get_by_role("button", name="Save the changes").click()
    expect(page.get_by_text("Second has been changed.")).to_be_visible()
    (view,) = stored(fleet.operator)
    wanted = "presence=online&version=2.0&blocked=false&muted=true"
    assert view["filters"] == wanted


def test_a_view_that_is_not_valid_any_more_says_so(fleet, sign_in, engine):
    save(fleet.operator, "Old")
    engine.execute("UPDATE lea_fleet_views SET filters = 'color=red<b>'")
    page = sign_in(fleet, "?saved=1")

    expect(page.get_by_text("This saved view cannot be used")).to_contain_text("color")
    assert len(shown(page)) == 3
    expect(chosen(page)).to_have_text("Old (not usable)")


def test_what_somebody_else_changes_is_shown_with_the_next_refresh(fleet, sign_in):
    save(fleet.operator)
    page = sign_in(fleet, "?saved=1")
    assert shown(page) == ["PC-3", "PC-2"]
    body = {"name": "First", "filters": "version=1.0", "shared": True}
    fleet.operator.request("PUT", "/views/1", json=body)

    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_role("link", name="PC-1", exact=True)).to_be_visible()
    assert shown(page) == ["PC-1"]
    expect(chosen(page)).to_have_text("First")
    expect(page.get_by_label("Version", exact=True)).to_have_value("1.0")


# Columns


def test_columns_are_chosen_and_kept_in_this_browser(fleet, sign_in):
    page = sign_in(fleet)
    assert shown(page) and heads(page) == USUAL
    first = page.locator("tbody tr").filter(has_text="PC-1")
    expect(first.locator(".under").first).to_have_text("PARIS-1")

    page.get_by_role("button", name="More").click()
    for name in ("User", "Enrolled"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    for name in ("Hostname", "Reason"):
        page.get_by_role("checkbox", name=name, exact=True).check()

    wanted = ["Machine", "Version", "Presence", "Last seen", "Hostname", "Reason"]
    assert heads(page) == wanted
    expect(first.locator("td.hostname")).to_have_text("PARIS-1")
    expect(first.locator(".under")).to_have_count(0)
    page.goto(fleet.url)
    shown(page)
    assert heads(page) == wanted
    page.get_by_role("columnheader", name="Hostname").get_by_role("button").click()
    assert "sort=hostname" in page.url
    more(page, "Save as a view")
    page.get_by_label("Name", exact=True).fill("By host")
    page.get_by_role("button", name="Save the view").click()
    expect(chosen(page)).to_have_text("By host")
    (view,) = stored(fleet.operator)
    assert view["columns"] == [
        "machine_id",
        "version",
        "presence",
        "last_seen_at",
        "hostname",
        "uninstall_reason",
    ]


def test_other_columns_are_a_change_of_the_view(fleet, sign_in):
    save(fleet.operator, columns=["version", "machine_id"])
    page = sign_in(fleet, "?saved=1")
    assert shown(page) and heads(page) == ["Version", "Machine"]

    page.get_by_role("button", name="More").click()
    page.get_by_role("checkbox", name="Presence").check()
    assert "columns=version%2Cmachine_id%2Cpresence" in page.url
    page.get_by_role("button", name="Save changes").click()
    page.get_by_role("button", name="Save the changes").click()

    expect(page.get_by_text("Second has been changed.")).to_be_visible()
    page.wait_for_url(lambda url: url.endswith("?saved=1"))
    (view,) = stored(fleet.operator)
    assert view["columns"] == ["version", "machine_id", "presence"]
    page.get_by_label("Saved view").select_option("")
    assert len(shown(page)) == 3 and heads(page) == USUAL


@pytest.mark.parametrize("value", ["nothing", "<b>", ",,", "version,version"])
def test_an_address_with_other_columns_breaks_nothing(fleet, sign_in, value):
    page = sign_in(fleet, f"?columns={value}")

    assert len(shown(page)) == 3
    assert heads(page) in (["Machine"], ["Machine", "Version"])


# For everybody


@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_saved_views_are_fit_for_everybody(fleet, sign_in, language, scheme, width):
    every = (
        "machine_id user_name user_email hostname os_info version presence last_seen_at"
        " enrolled_at uninstalled_at uninstall_reason"
    )
    save(fleet.operator, "W" * 64, filters="muted=false", columns=every.split())
    save(fleet.operator, "<script>alert(1)</script>", shared=False)
    viewport = {"width": width, "height": 900}
    options = {"viewport": viewport, "color_scheme": scheme, "locale": language}
    page = sign_in(fleet, "?saved=1", **options)
    expect(page.locator("a.machine")).to_have_count(3)

    page.locator(".more-opener").click()
    expect(page.locator(".columns input:checked")).to_have_count(10)
    shoot(page, f"views {language[:2]} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0
    page.locator(".view-actions button").first.click()
    shoot(page, f"saving a view {language[:2]} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


def test_columns_are_chosen_by_keyboard(fleet, sign_in):
    page = sign_in(fleet)
    shown(page)
    page.locator(".more-opener").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".columns").get_by_role("checkbox")).to_have_count(13)
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="User", exact=True)).to_be_focused()
    page.keyboard.press("Space")

    assert heads(page) == [name for name in USUAL if name != "User"]
    expect(page.get_by_role("checkbox", name="User", exact=True)).to_be_focused()
