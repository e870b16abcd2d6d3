"""The page as a workplace: what is on the first screen, and what it leads to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.page.browser.chromium import expect, faults, overflow, shoot
from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill

WHOLE_ROWS = """() => {
  const rows = [...document.querySelectorAll(".machines tbody tr")];
  return rows.map((row) => row.getBoundingClientRect())
    .filter(({ top, bottom }) => top >= 0 && bottom <= innerHeight).length; }"""


def comes(page, expression, value):
    """Wait until an expression of the page has a value; the page forbids to eval()."""
    for _ in range(100):
        if page.evaluate(expression) == value:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} is {page.evaluate(expression)}, not {value}")


@pytest.fixture
def troubled(fleet, engine):
    """Sixty machines, with something of each kind to do."""
    now = datetime.now(timezone.utc)
    fill(
        engine,
        (
            {
                "machine_id": f"PC-{number:02}",
                "hostname": f"pc-{number:02}" if number % 2 else f"paris-{number:02}",
                "user_name": f"Employé {number}",
                "user_email": f"employe.{number}@example.com",
                "version": f"1.{number % 3}.0",
                "enrolled_at": (now - timedelta(days=60, minutes=number)).isoformat(),
                "last_seen_at": (
                    now - timedelta(days=20 if number < 3 else 0)
                ).isoformat(),
            }
            for number in range(60)
        ),
    )
    installer = fleet.operator.installer(label="Paris", max_uses=10)
    for number in range(9):
        installer.enroll(f"NEW-{number}", version="1.2.0")
    for name in ("PC-10", "PC-11"):
        assert installer.post("/enroll", {"machine_id": name}).status_code == 409
    fleet.operator.post("/machines/PC-12/release")
    twin = fleet.operator.enroll("TWIN", hostname="LYON-1", version="1.2.0")
    for name in ("LYON-2", "LYON-1"):
        twin.heartbeat(hostname=name)
    return fleet


def to_do(page):
    return page.get_by_role("region", name="To do")


def is_ready(page):
    expect(page.locator(".todo li").first).to_be_visible()
    expect(page.locator(".listing.old")).to_have_count(0)
    expect(page.locator("a.machine").first).to_be_visible()


# The first screen


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
@pytest.mark.parametrize(
    ("width", "height", "rows"), [(1280, 800, 12), (360, 740, 5), (768, 1024, 10)]
)
def test_the_first_screen_is_for_machines(
    troubled, sign_in, language, width, height, rows
):
    viewport = {"width": width, "height": height}
    page = sign_in(troubled, locale=language, viewport=viewport)
    is_ready(page)

    assert page.evaluate(WHOLE_ROWS) >= rows
    assert page.locator(".figures").bounding_box()["height"] <= 96
    assert page.locator(".toolbar").bounding_box()["height"] == 48
    if width > 768:
        row = page.locator("tbody tr").first
        assert row.bounding_box()["height"] == pytest.approx(40, abs=1)
    assert overflow(page) <= 0


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("width", [768, 1280])
def test_the_header_is_one_line(troubled, sign_in, language, width):
    viewport = {"width": width, "height": 800}
    page = sign_in(troubled, locale=language, viewport=viewport)
    is_ready(page)

    assert page.locator(".bar").bounding_box()["height"] <= 52


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_it_is_fit_for_everybody(troubled, sign_in, language, width, scheme):
    heights = {360: 740, 768: 1024, 1280: 800, 1920: 1080}
    viewport = {"width": width, "height": heights[width]}
    options = {"viewport": viewport, "locale": language, "color_scheme": scheme}
    page = sign_in(troubled, "?machine=PC-10&presence=online&outdated=true", **options)
    expect(page.locator(".deeds li").first).to_be_visible()

    shoot(page, f"work {language[:2]} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("forced colors", {"forced_colors": "active"}),
        ("reduced motion", {"reduced_motion": "reduce"}),
        # A window of 1280 × 800 at 200 %.
        ("200 percent", {"viewport": {"width": 640, "height": 400}}),
    ],
)
def test_it_is_fit_for_special_needs(troubled, sign_in, name, options):
    page = sign_in(troubled, "?presence=online", **options)
    is_ready(page)

    shoot(page, f"work {name}")
    assert faults(page) == []
    assert overflow(page) <= 0


# What to do


def test_what_is_to_do_is_said_and_nothing_else(troubled, sign_in):
    page = sign_in(troubled)
    is_ready(page)

    assert to_do(page).get_by_role("link").all_inner_texts() == [
        "2 refused machines",
        "1 suspected clone",
        "3 silent machines",
        "1 enrollment token ends soon",
        "1 open re-enrollment",
    ]


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("suspected clone", ["TWIN"]),
        ("silent", ["PC-00", "PC-01", "PC-02"]),
        ("open re-enrollment", ["PC-12"]),
    ],
)
def test_each_leads_to_its_machines(troubled, sign_in, what, found):
    page = sign_in(troubled, "?version=1.1.0")
    is_ready(page)

    to_do(page).get_by_role("link", name=what).click()

    expect(page.locator("a.machine")).to_have_count(len(found))
    assert page.locator("a.machine").all_inner_texts() == found


def test_refused_machines_that_are_not_alive_are_released_in_four_clicks(
    troubled, sign_in, engine
):
    engine.execute(
        "UPDATE enrolled_agents SET last_seen_at = enrolled_at"
        " WHERE machine_id IN ('PC-10', 'PC-11')"
    )
    page = sign_in(troubled)
    is_ready(page)

    to_do(page).get_by_role("link", name="refused").click()
    page.get_by_role("button", name="Allow 2 machines once").click()
    page.get_by_role("dialog").get_by_role(
        "button", name="Allow 2 machines once"
    ).click()

    expect(page.get_by_text("2 machines may be re-enrolled")).to_be_visible()
    for name in ("PC-10", "PC-11"):
        assert "released" in troubled.events(name)
    page.get_by_role("link", name="Machines", exact=True).click()
    expect(to_do(page).get_by_role("link", name="3 open")).to_be_visible()


def test_it_is_counted_again_when_that_is_asked_for_alone(troubled, sign_in):
    page = sign_in(troubled)
    is_ready(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    for _ in range(2):
        with page.expect_response("**/fleet/summary"):
            page.locator("[data-key=strip-online]").click()
    expect(page.locator(".refresh.busy")).to_have_count(0)
    assert [url for url in asked if url.endswith("/attention")] == []

    with page.expect_response("**/attention"):
        page.get_by_role("button", name="Refresh").click()


def test_a_calm_fleet_has_nothing_to_do(fleet, sign_in):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet)

    expect(page.locator("a.machine")).to_have_count(1)
    expect(to_do(page)).to_have_count(0)


def test_an_empty_fleet_shows_how_its_first_machine_comes(fleet, sign_in):
    page = sign_in(fleet)
    start = page.get_by_role("region", name="Your first machine in three steps")

    expect(start.get_by_role("listitem")).to_have_count(3)
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.get_by_label("Search")).to_be_hidden()
    start.get_by_role("link", name="Create an enrollment token").click()
    expect(page.get_by_role("button", name="Create a token")).to_be_visible()
    fleet.operator.enroll("PC-1")
    page.get_by_role("link", name="Machines", exact=True).click()
    expect(page.locator("a.machine")).to_have_count(1)
    expect(start).to_be_hidden()


# Rows and columns


def test_a_hostname_that_is_the_machines_name_is_not_repeated(troubled, sign_in):
    page = sign_in(troubled, "?q=pc-1")
    expect(page.locator("a.machine")).to_have_count(10)

    same = page.get_by_role("row").filter(has_text="PC-11").locator(".machine_id")
    other = page.get_by_role("row").filter(has_text="PC-12").locator(".machine_id")
    assert "pc-11" not in same.inner_text()
    assert "paris-12" in other.inner_text()


def test_rows_may_be_compact_and_stay_so(troubled, sign_in):
    page = sign_in(troubled)
    is_ready(page)
    page.get_by_role("button", name="More").click()
    page.get_by_label("Compact rows").check()

    row = page.locator("tbody tr").first
    assert row.bounding_box()["height"] == pytest.approx(32, abs=1)
    page.reload()
    is_ready(page)
    assert row.bounding_box()["height"] == pytest.approx(32, abs=1)


def test_no_box_covers_the_head_below_which_it_scrolls(troubled, sign_in):
    page = sign_in(troubled)
    is_ready(page)
    page.locator("tbody tr").nth(40).scroll_into_view_if_needed()

    covered = page.evaluate("""() => {
          const head = document.querySelector("th.select").getBoundingClientRect();
          const boxes = [...document.querySelectorAll("tbody .select input")];
          const box = boxes.find((each) =>
            each.getBoundingClientRect().bottom > head.top);
          scrollBy(0, box.getBoundingClientRect().top - head.top - 4);
          const { left, right, top, bottom } = box.getBoundingClientRect();
          const [x, y] = [(left + right) / 2, (top + bottom) / 2];
          return document.elementFromPoint(x, y).closest("th") !== null;
        }""")
    assert covered


# The panel


def test_the_panel_leads_to_the_machines_before_and_after(troubled, sign_in):
    page = sign_in(troubled, "?q=pc-1&sort=machine_id")
    page.get_by_role("link", name="PC-10", exact=True).click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("button", name="Previous machine")).to_be_disabled()

    panel.get_by_role("button", name="Next machine").click()

    expect(page.get_by_role("heading", name="PC-11", exact=True)).to_be_visible()
    expect(panel).to_contain_text("employe.11@example.com")
    expect(panel.get_by_role("button", name="Next machine")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="PC-12", exact=True)).to_be_visible()
    panel.get_by_role("button", name="Previous machine").click()
    expect(page.get_by_role("heading", name="PC-11", exact=True)).to_be_visible()


def test_the_panel_copies_what_others_ask_for(troubled, sign_in):
    page = sign_in(troubled, "?q=pc-1&machine=PC-10")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = f"{troubled.url}?machine=PC-10"
    wanted = {
        "Copy ID": "PC-10",
        "Copy link": link,
        "Copy the hostname": "paris-10",
        "Copy the e-mail address": "employe.10@example.com",
    }
    for name, text in wanted.items():
        page.get_by_role("button", name=name).click()
        comes(page, "navigator.clipboard.readText()", text)


def test_it_copies_without_https_too(troubled, sign_in):
    page = sign_in(troubled, "?machine=PC-10")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("""() => {
          window.clipboard = navigator.clipboard;
          Object.defineProperty(navigator, "clipboard", { value: undefined });
        }""")

    page.get_by_role("button", name="Copy ID").click()

    expect(page.locator(".copier[data-result=copied]")).to_be_visible()
    comes(page, "clipboard.readText()", "PC-10")
    expect(page.get_by_role("button", name="Copy ID")).to_be_focused()


def test_a_refresh_of_the_panel_takes_the_focus_from_nothing(troubled, sign_in):
    page = sign_in(troubled, "?machine=PC-10")
    edit = page.get_by_role("button", name="Edit tags")
    edit.focus()
    page.evaluate("""() => {
          window.before = document.activeElement;
          document.querySelector(".refresh").click();
        }""")

    comes(page, "before.isConnected", False)

    expect(edit).to_be_focused()


def test_the_panel_is_beside_the_list_where_there_is_room(troubled, sign_in):
    page = sign_in(troubled, viewport={"width": 1440, "height": 900})
    is_ready(page)
    page.get_by_role("link", name="NEW-8", exact=True).click()
    expect(page.get_by_role("heading", name="NEW-8")).to_be_focused()

    page.get_by_role("link", name="NEW-7", exact=True).click()
    expect(page.get_by_role("heading", name="NEW-7")).to_be_focused()
    panel, table = page.get_by_role("dialog"), page.locator(".machines")
    edge = table.bounding_box()["x"] + table.bounding_box()["width"]
    assert edge <= panel.bounding_box()["x"]
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("link", name="NEW-7", exact=True)).to_be_focused()


def test_the_room_beside_the_panel_is_given_back_at_the_sign_out(troubled, sign_in):
    page = sign_in(troubled, "?machine=NEW-8", viewport={"width": 1440, "height": 900})
    expect(page.get_by_role("heading", name="NEW-8")).to_be_focused()

    page.get_by_role("button", name="Sign out").click()

    box = page.locator("main.card").bounding_box()
    assert box["x"] + box["width"] / 2 == pytest.approx(720, abs=10)


def test_the_panel_says_what_became_of_the_token(fleet, sign_in):
    agent = fleet.operator.enroll("PC-1")
    page = sign_in(fleet, "?machine=PC-1")
    token = page.get_by_role("dialog").locator("dt:text-is('Token') + dd")
    expect(token).to_have_text("Never used")

    agent.heartbeat()
    page.reload()
    expect(token).to_contain_text("First used")
    fleet.operator.post("/machines/PC-1/token")
    page.reload()
    expect(token).to_contain_text("has not been used yet")


def test_a_server_that_is_away_is_said_in_the_bar_wherever_one_has_scrolled(
    troubled, tab
):
    visit = tab(troubled)
    page = visit.open(token=OPERATOR_TOKEN)
    is_ready(page)
    page.locator("tbody tr").nth(40).scroll_into_view_if_needed()
    visit.context.set_offline(True)
    page.get_by_role("button", name="Refresh").click()

    alert = page.locator(".toolbar").get_by_role("alert")
    expect(alert).to_contain_text("The server does not respond.")
    expect(alert).to_be_in_viewport()
    visit.expect_refusals()


def test_a_server_that_is_away_is_said_where_a_part_of_the_page_is_missing(fleet, tab):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open("?view=tokens", token=OPERATOR_TOKEN)
    create = page.get_by_role("button", name="Create a token")
    expect(create).to_be_visible()
    visit.context.set_offline(True)

    create.click()

    said = page.get_by_role("status").filter(has_text="does not respond")
    expect(said).to_be_visible()
    visit.expect_refusals()


# Roles


def test_a_viewer_is_offered_nothing_that_would_be_refused(troubled, tab):
    body = {"name": "Audit", "role": "viewer"}
    viewer = troubled.operator.post("/operators", body).json["token"]
    visit = tab(troubled)
    page = visit.open("?machine=PC-10", token=viewer)

    expect(page.get_by_role("dialog")).to_contain_text("employe.10@example.com")
    expect(page.locator(".deeds li")).to_have_count(0)
    expect(page.locator("tbody input[type=checkbox]")).to_have_count(0)
    asked = [request.url for request in visit.requests]
    assert not [url for url in asked if url.endswith("/presence")]
    page.goto(f"{troubled.url}?view=attention")
    expect(page.get_by_role("region", name="Refused")).to_contain_text("PC-10")
    expect(page.get_by_role("button", name="Allow")).to_have_count(0)


# Addresses that nobody has chosen


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("presence=nonsense", "nonsense"),
        ("status=nonsense", "nonsense"),
        ("silent_for=nonsense", "Not seen for nonsense"),
        ("enrollment_token=nonsense", "Enrolled with token nonsense"),
    ],
)
def test_a_filter_that_there_is_not_is_told_and_can_be_removed(
    troubled, tab, address, said
):
    visit = tab(troubled)
    page = visit.open(f"?{address}", token=OPERATOR_TOKEN)
    expect(page.get_by_role("alert")).to_contain_text("has refused the request")
    expect(page.locator(".chip")).to_have_text(said)
    visit.expect_refusals()

    page.locator(".chip").click()

    is_ready(page)
    expect(page.locator(".chip")).to_have_count(0)


@pytest.mark.parametrize("word", ["true", "false"])
def test_a_search_for_a_truth_value_is_a_search(troubled, sign_in, word):
    page = sign_in(troubled, f"?q={word}")

    expect(page.locator(".chip")).to_have_text(f"\u201c{word}\u201d")


# The chart


@pytest.mark.parametrize("most", [1, 9, 11, 21, 105, 99_999, 100_000])
def test_the_chart_shows_its_numbers_whole_and_uses_its_height(fleet, sign_in, most):
    fleet.operator.enroll("PC-1")
    page = sign_in(fleet)
    page.get_by_role("button", name="Statistics").click()
    expect(page.locator(".drawing svg")).to_be_visible()

    highest, left = page.evaluate(
        """async (most) => {
          const { src } = document.querySelector("script[src]");
          const { Chart } = await import(src.replace("main.js", "chart.js"));
          const chart = new Chart();
          document.querySelector(".statistics").replaceChildren(chart.element);
          const day = { enrollments: 0, uninstalls: 0 };
          chart.show([0, most, 0].map((enrollments, n) =>
            ({ ...day, date: `2026-11-0${n + 1}`, enrollments })));
          await new Promise(requestAnimationFrame);
          const texts = [...chart.element.querySelectorAll("text.number")];
          const number = ({ textContent: text }) => Number(text.replaceAll(",", ""));
          const left = Math.min(...texts.map((text) => text.getBBox().x));
          return [Math.max(...texts.map(number)), left];
        }""",
        most,
    )

    assert most <= highest <= max(most * 1.2, 2)
    assert left >= 0
