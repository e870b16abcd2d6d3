"""Many machines at once: selecting, confirming, progress; tags and notes."""

from __future__ import annotations

import pytest

from lea_fleet.core import clock
from tests.page.browser.chromium import expect, faults, overflow, shoot
from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill


@pytest.fixture
def crowd(fleet, engine):
    """A server with 120 machines, PC-000 the newest."""
    fleet.operator.get("/fleet")  # which makes the tables
    now = clock.now()
    fill(
        engine,
        (
            {"machine_id": f"PC-{n:03}", "enrolled_at": clock.before(now, n + 1)}
            for n in range(120)
        ),
    )
    return fleet


def dialog(page):
    return page.get_by_role("dialog")


def bar(page):
    return page.get_by_role("region", name="Selected machines")


@pytest.fixture
def selections(crowd):
    """What the page has asked to select, as it was sent, all answered with PC-000."""
    asked = []

    def answer(route):
        asked.append(route.request.post_data_json)
        sample = [{"machine_id": "PC-000", "hostname": None, "user_name": None}]
        route.fulfill(
            status=201, json={"id": 1, "machines": 1, "steps": 1, "sample": sample}
        )

    def listen(page):
        page.route("**/selections", answer)
        return asked

    return listen


def act(page, name):
    bar(page).get_by_text("Actions").click()
    bar(page).get_by_role("button", name=name, exact=True).click()


def test_chosen_lines_are_released(crowd, sign_in):
    page = sign_in(crowd)
    page.get_by_label("Select PC-003").check()
    page.get_by_label("Select PC-007").check()
    expect(bar(page)).to_contain_text("2 machines selected")

    act(page, "Allow re-enrollment")
    expect(dialog(page)).to_contain_text("PC-003, PC-007")
    dialog(page).get_by_role("button", name="Allow re-enrollment (2 machines)").click()
    expect(dialog(page)).to_contain_text("Done for 2 machines.")
    dialog(page).get_by_role("button", name="Close").click()

    expect(bar(page)).to_be_hidden()
    assert "released" in crowd.events("PC-003")
    assert "released" in crowd.events("PC-007")
    assert crowd.events("PC-004") == []


def test_all_that_the_filter_finds_are_confirmed_by_their_number(crowd, sign_in):
    page = sign_in(crowd, "?q=PC-0")
    page.get_by_label("Select the whole page").check()
    bar(page).get_by_role("button", name="Select all 100 found").click()
    expect(bar(page)).to_contain_text("100 machines selected")
    act(page, "Remove from the fleet")

    confirm = dialog(page).get_by_role(
        "button", name="Remove from the fleet (100 machines)"
    )
    expect(dialog(page).get_by_role("button", name="Cancel")).to_be_focused()
    confirm.click()
    expect(dialog(page).get_by_role("alert")).to_contain_text("100")
    assert crowd.events("PC-001") == []

    dialog(page).get_by_label("Type 100 to confirm").fill("100")
    page.keyboard.press("Enter")
    expect(confirm).to_be_visible()
    dialog(page).get_by_label("Reason").fill("moved")
    confirm.click()
    expect(dialog(page)).to_contain_text("Done for 100 machines.")
    dialog(page).get_by_role("button", name="Close").click()

    totals = crowd.operator.get("/fleet").json["totals"]
    assert (totals["active"], totals["uninstalled"]) == (20, 100)


def test_what_changed_meanwhile_is_listed_and_left_alone(crowd, sign_in):
    page = sign_in(crowd, "?q=PC-00")
    page.get_by_label("Select the whole page").check()
    act(page, "Allow re-enrollment")
    release = dialog(page).get_by_role(
        "button", name="Allow re-enrollment (10 machines)"
    )
    expect(release).to_be_visible()
    crowd.operator.uninstall("PC-005")
    release.click()

    expect(dialog(page)).to_contain_text("Done for 9 machines.")
    expect(dialog(page)).to_contain_text("1 machine was left as it is:")
    expect(dialog(page).get_by_role("listitem")).to_contain_text("PC-005")
    assert faults(page) == []


def test_a_filter_that_changes_ends_the_selection(crowd, sign_in):
    page = sign_in(crowd)
    page.get_by_label("Select PC-003").check()

    page.locator("[data-key=strip-online]").click()

    expect(bar(page)).to_be_hidden()


def test_selected_machines_are_downloaded(crowd, sign_in):
    page = sign_in(crowd)
    page.get_by_label("Select PC-003").check()
    with page.expect_download() as downloading:
        act(page, "Download CSV")

    text = downloading.value.path().read_text("utf-8-sig")
    assert [line.split(",")[1] for line in text.splitlines()] == [
        "Machine",
        "PC-003",
    ]


def test_machines_are_tagged_and_found_by_their_tag(crowd, sign_in):
    page = sign_in(crowd, "?columns=machine_id,tags")
    page.get_by_label("Select PC-003").check()
    act(page, "Tag")
    dialog(page).get_by_label("Add tags").fill("Site=Lyon, vip")
    dialog(page).get_by_role("button", name="Tag (1 machine)").click()
    dialog(page).get_by_role("button", name="Close").click()

    row = page.get_by_role("row").filter(has_text="PC-003")
    row.get_by_role("link", name="site=lyon").click()

    expect(page.get_by_role("row")).to_have_count(2)  # and the heads
    expect(page.get_by_label("Tag", exact=True)).to_have_value("site=lyon")
    shoot(page, "tagged")


def test_tags_and_the_note_of_a_machine_are_edited_in_its_panel(crowd, sign_in):
    crowd.operator.post("/machines/PC-003/tags", {"add": ["site=lyon", "vip"]})
    page = sign_in(crowd, "?machine=PC-003")
    panel = page.get_by_role("dialog", name="PC-003", exact=True)

    panel.get_by_role("button", name="Edit tags").click()
    page.get_by_label("Tags", exact=True).fill("site=Paris")
    page.get_by_role("button", name="Save tags").click()
    expect(panel.get_by_role("link", name="site=paris")).to_be_visible()
    expect(panel.get_by_role("link", name="vip")).to_have_count(0)

    panel.get_by_role("button", name="Write a note").click()
    page.get_by_label("Note", exact=True).fill("<b>Screen</b>\nis broken")
    page.get_by_role("button", name="Save note").click()
    expect(panel).to_contain_text("<b>Screen</b>")
    assert faults(page) == []
    shoot(page, "annotated")

    panel.get_by_role("button", name="Edit note").click()
    page.get_by_label("Note", exact=True).fill("")
    page.get_by_role("button", name="Save note").click()
    expect(panel.get_by_role("button", name="Write a note")).to_be_visible()


def test_a_viewer_can_select_nothing(crowd, tab):
    wanted = {"name": "Auditor", "role": "viewer"}
    token = crowd.operator.post("/operators", wanted).json["token"]
    assert token != OPERATOR_TOKEN
    crowd.operator.post("/machines/PC-003/note", {"text": "Screen is broken"})

    page = tab(crowd).open("?machine=PC-003", token=token)

    expect(page.get_by_role("dialog", name="PC-003")).to_contain_text(
        "Screen is broken"
    )
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit tags")).to_have_count(0)


def test_chosen_lines_that_the_filter_no_longer_finds_are_left_alone(crowd, sign_in):
    crowd.operator.post("/machines/PC-003/tags", {"add": ["vip"]})
    crowd.operator.post("/machines/PC-007/tags", {"add": ["vip"]})
    page = sign_in(crowd, "?tag=vip")
    page.get_by_label("Select PC-003").check()
    page.get_by_label("Select PC-007").check()
    act(page, "Allow re-enrollment")
    expect(dialog(page)).to_contain_text("PC-003, PC-007")
    crowd.operator.post("/machines/PC-003/tags", {"remove": ["vip"]})
    dialog(page).get_by_role("button", name="Allow re-enrollment (2 machines)").click()

    expect(dialog(page)).to_contain_text("Done for 1 machine.")
    expect(dialog(page).get_by_role("listitem")).to_contain_text("PC-003")
    assert "released" not in crowd.events("PC-003")


def test_it_is_said_how_many_of_the_chosen_lines_the_filter_no_longer_finds(
    crowd, sign_in
):
    crowd.operator.post("/machines/PC-003/tags", {"add": ["vip"]})
    crowd.operator.post("/machines/PC-007/tags", {"add": ["vip"]})
    page = sign_in(crowd, "?tag=vip")
    page.get_by_label("Select the whole page").check()
    crowd.operator.post("/machines/PC-003/tags", {"remove": ["vip"]})
    act(page, "Allow re-enrollment")

    expect(dialog(page)).to_contain_text("Allow re-enrollment: 1 machine")
    expect(dialog(page)).to_contain_text(
        "1 machine that you selected no longer matches the filters"
    )


def test_lines_of_a_saved_view_are_selected_with_its_filters(crowd, sign_in):
    for name in ("PC-003", "PC-007"):
        crowd.operator.post(f"/machines/{name}/mute", {"for": "1d"})
    view = {"name": "Quiet", "filters": "muted=true&q=PC-00", "shared": True}
    saved = crowd.operator.post("/views", view).json["id"]
    page = sign_in(crowd, f"?saved={saved}")
    page.get_by_label("Select PC-003").check()
    act(page, "Allow re-enrollment")

    dialog(page).get_by_role("button", name="Allow re-enrollment (1 machine)").click()
    expect(dialog(page)).to_contain_text("Done for 1 machine.")


def test_a_selection_without_filters_is_of_the_active_machines(
    crowd, sign_in, selections
):
    page = sign_in(crowd)
    asked = selections(page)
    page.get_by_label("Select PC-003").check()
    act(page, "Uninstall by its agent")
    dialog(page).get_by_role("button", name="Cancel").click()
    page.get_by_label("Select the whole page").check()
    bar(page).get_by_role("button", name="Select all 120 found").click()
    act(page, "Uninstall by its agent")

    expect(dialog(page)).to_contain_text("PC-000")
    assert [list(each) for each in asked] == [["ids", "filter"], ["filter"]]
    assert [each["filter"] for each in asked] == [{"status": "active"}] * 2


@pytest.fixture
def steps(crowd):
    """The steps that the page asks for, as they were sent.

    Each waits until the test lets it go, or fails without an answer.
    """
    return Steps()


class Steps:
    def __init__(self):
        self.sent = []
        self._waiting = []

    def listen(self, page):
        page.route("**/selections/*", self._wait)

    def _wait(self, route):
        self.sent.append(route.request.post_data_json)
        self._waiting.append(route)

    def go(self, page):
        self._next(page).continue_()

    def lose(self, page):
        self._next(page).abort()

    def _next(self, page):
        while not self._waiting:
            page.wait_for_timeout(10)
        return self._waiting.pop(0)


def confirm_all(page, name):
    """Begin an action on all 120 machines: two steps, 100 and 20."""
    page.get_by_label("Select the whole page").check()
    bar(page).get_by_role("button", name="Select all 120 found").click()
    act(page, name)
    dialog(page).get_by_label("Type 120 to confirm").fill("120")
    dialog(page).get_by_role("button", name=f"{name} (120 machines)").click()


def report(page):
    """Return the lines of the report, once it is there."""
    expect(dialog(page).get_by_role("button", name="Close")).to_be_focused()
    return dialog(page).locator("form").inner_text().split("\n\n")


@pytest.mark.parametrize("key", ["Escape", "Cancel"])
def test_leaving_during_the_first_step_stops_after_it(crowd, sign_in, steps, key):
    page = sign_in(crowd, "?q=PC-")
    steps.listen(page)
    confirm_all(page, "Allow re-enrollment")
    stop = dialog(page).get_by_role("button", name="Stop after this step")
    expect(stop).to_be_focused()
    if key == "Escape":
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
    else:
        stop.click()
    expect(dialog(page)).to_contain_text("Stopping after this step…")
    steps.go(page)

    assert report(page) == [
        "Done for 100 machines.",
        "It was stopped: there is no result for 20 machines.",
        "Close",
    ]
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(bar(page)).to_be_hidden()
    assert len(steps.sent) == 1


def test_a_report_without_failures_has_one_line(crowd, sign_in):
    page = sign_in(crowd)
    page.get_by_label("Select PC-003").check()
    act(page, "Allow re-enrollment")
    dialog(page).get_by_role("button", name="Allow re-enrollment (1 machine)").click()

    assert report(page) == ["Done for 1 machine.", "Close"]
    assert faults(page) == []


def test_what_failed_goes_on_where_it_was_and_as_it_was(crowd, tab, steps):
    opened = tab(crowd)
    page = opened.open("?q=PC-", token=OPERATOR_TOKEN)
    steps.listen(page)
    confirm_all(page, "Mute")
    steps.go(page)
    steps.lose(page)
    alert = dialog(page).get_by_role("alert")
    expect(alert).to_contain_text("It was done for 100 machines before. You can go on.")
    expect(dialog(page).get_by_label("For", exact=True)).to_be_disabled()
    dialog(page).get_by_role("button", name="Mute (120 machines)").click()
    steps.go(page)

    assert report(page) == ["Done for 120 machines.", "Close"]
    assert [each["step"] for each in steps.sent] == [0, 1, 1]
    assert len({each["until"] for each in steps.sent}) == 1
    opened.expect_refusals()


def test_what_failed_and_is_left_is_reported(crowd, tab, steps):
    opened = tab(crowd)
    page = opened.open("?q=PC-", token=OPERATOR_TOKEN)
    steps.listen(page)
    confirm_all(page, "Allow re-enrollment")
    steps.go(page)
    steps.lose(page)
    expect(dialog(page).get_by_role("alert")).to_contain_text("You can go on.")
    dialog(page).get_by_role("button", name="Cancel").click()

    lines = report(page)
    assert lines[0] == "Done for 100 machines."
    assert lines[1].startswith("The server does not respond.")
    assert lines[2:] == [
        "It was stopped: there is no result for 20 machines.",
        "Close",
    ]
    opened.expect_refusals()


def test_what_was_refused_is_mended(crowd, tab):
    opened = tab(crowd)
    page = opened.open(token=OPERATOR_TOKEN)
    page.get_by_label("Select PC-003").check()
    act(page, "Tag")
    add = dialog(page).get_by_label("Add tags")
    submit = dialog(page).get_by_role("button", name="Tag (1 machine)")
    add.fill("=")
    submit.click()
    expect(dialog(page).get_by_role("alert")).to_contain_text("refused")
    opened.expect_refusals()
    add.fill("vip")
    submit.click()

    assert report(page) == ["Done for 1 machine.", "Close"]
    tagged = crowd.operator.get("/fleet?tag=vip").json["active"]
    assert [each["machine_id"] for each in tagged] == ["PC-003"]


def test_tags_that_are_not_there_are_asked_for(crowd, sign_in):
    page = sign_in(crowd)
    page.get_by_label("Select PC-003").check()
    act(page, "Tag")
    dialog(page).get_by_label("Add tags").fill(" , ")
    dialog(page).get_by_role("button", name="Tag (1 machine)").click()
    said = "there is nothing to add or remove"
    expect(dialog(page).get_by_role("alert")).to_contain_text(said)
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(bar(page)).to_contain_text("1 machine selected")

    page.get_by_role("link", name="PC-003", exact=True).click()
    page.get_by_role("button", name="Edit tags").click()
    page.get_by_role("button", name="Save tags").click()
    alert = page.locator("dialog.question").get_by_role("alert")
    expect(alert).to_contain_text(f"Write a tag: {said}")


@pytest.mark.parametrize(
    "language, name, said",
    [
        ("en-GB", "Write note", "not shown to the users of the machines"),
        ("fr-FR", "Annoter", "Les utilisateurs des machines ne la voient pas"),
    ],
)
def test_who_reads_notes_is_said(crowd, sign_in, language, name, said):
    page = sign_in(crowd, locale=language)
    page.get_by_role("row").nth(1).get_by_role("checkbox").check()
    page.get_by_text("Actions", exact=True).click()
    page.get_by_role("button", name=name, exact=True).click()

    expect(dialog(page)).to_contain_text(said)


def is_inside(box):
    """Tell whether all of a box is in the window, and nothing is above its middle."""
    return box.evaluate("""(element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight
          && element.contains(hit);
    }""")


@pytest.mark.parametrize("width, height", [(1280, 720), (360, 640)])
@pytest.mark.parametrize("machines", ["PC-003", "PC-"])
def test_every_action_can_be_reached(crowd, sign_in, width, height, machines):
    window = {"width": width, "height": height}
    page = sign_in(crowd, f"?q={machines}", viewport=window)
    page.get_by_label("Select PC-003").check()
    opener = bar(page).get_by_role("button", name="Actions")
    opener.click()

    items = bar(page).locator(".menu").get_by_role("button")
    expect(items).to_have_count(8)
    shoot(page, f"actions-{machines}-{width}")
    assert all(is_inside(each) for each in items.all())
    assert overflow(page) == 0
    assert faults(page) == []

    page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(opener).to_be_focused()
    opener.click()
    expect(items).to_have_count(8)
    page.mouse.click(3, height - 3)
    expect(items).to_have_count(0)


def test_the_open_menu_outlives_a_refresh(crowd, tab):
    visit = tab(crowd)
    visit.page.clock.install()
    page = visit.open("?q=PC-00&columns=machine_id,tags", token=OPERATOR_TOKEN)
    page.get_by_label("Select PC-003").check()
    bar(page).get_by_text("Actions").click()
    item = bar(page).get_by_role("button", name="Write note", exact=True)
    item.focus()
    crowd.operator.post("/machines/PC-004/tags", {"add": ["vip"]})
    page.clock.run_for(32_000)
    expect(page.get_by_role("link", name="vip")).to_be_visible()

    expect(item).to_be_focused()
