"""Looks and behavior: languages, color schemes, widths, keyboard, errors, axe.

A screenshot of each view is kept for people to look at.
"""

from __future__ import annotations

import re

import pytest

from lea_fleet.app.database import get_host_repository, get_repository
from lea_fleet.core import clock
from lea_fleet.storage.alerts import Alerts
from lea_fleet.storage.imports import Imports
from tests.page.browser.chromium import await_answer, expect, faults, overflow, shoot
from tests.support.api import OPERATOR_TOKEN

SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
WIDTHS = pytest.mark.parametrize("width", [1440, 360])


@pytest.fixture
def busy(fleet):
    """A fleet with content for each part of the page."""
    installer = fleet.operator.installer(label="Paris, vague 1", max_uses=3)
    agent = installer.enroll("PC-1", hostname="PARIS-1", version="1.3.1")
    installer.enroll("PC-2", user_name="Zoé", user_email="zoe@exemple.fr")
    agent.heartbeat(hostname="PARIS-2")
    agent.heartbeat(hostname="PARIS-1")
    agent.heartbeat(hostname="PARIS-2")
    fleet.operator.post("/machines/PC-1/release")
    fleet.operator.enroll("PC-3", version="1.4.0")
    fleet.operator.uninstall("PC-3", reason="Vendu")
    fleet.operator.installer(label="Lyon")
    fleet.operator.request("DELETE", "/enrollment-tokens/2")
    return fleet


@pytest.fixture
def troubled(busy, engine):
    """The same with something in each section of what needs attention."""
    operator, installer = busy.operator, busy.operator.installer(label="Lyon")
    for name, details in {"PC-1": {}, "PC-2": {"hostname": "LYON-2"}}.items():
        installer.post("/enroll", {"machine_id": name, **details})
    operator.post("/machines/PC-4/block", {"reason": "Volé"})
    installer.post("/enroll", {"machine_id": "pc-4"})
    operator.post("/machines/PC-2/retire")
    operator.post("/machines/PC-2/mute", {"for": "30d"})
    operator.post("/machines/PC-3/block")
    long_ago = clock.before(clock.now(), 90 * 86400)
    columns = "(machine_id, hostname, status, enrolled_at, last_seen_at)"
    for name in ("{PC-2}", "pc-1"):
        engine.execute(
            f"INSERT INTO enrolled_agents {columns} VALUES (?, ?, ?, ?, ?)",
            *(name, "LYON-2", "active", long_ago, long_ago),
        )
    with busy.app.app_context():
        unit = get_host_repository().unit
        with unit.transaction():
            Alerts(unit).add("machine.silent", "PC-1", last_seen_at=long_ago)
            Alerts(unit).add("fleet.silent", None, online=12, usual=300)
    return busy


def ask(page):
    page.get_by_role("button", name="Remove from the fleet").click()
    expect(
        page.get_by_role("dialog", name="Remove PC-1 from the fleet?")
    ).to_be_visible()


def make(page):
    page.get_by_role("button", name="Create a token").click()
    page.get_by_label("Label").fill("Paris")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_label("Token", exact=True)).to_be_visible()


def open_statistics(page):
    page.locator(".fold").click()
    page.locator(".statistics summary").click()


def open_menu(page):
    page.locator(".more-opener").click()


def nothing(page):
    pass


VIEWS = {
    "machines": ("", nothing),
    "statistics": ("", open_statistics),
    "menu": ("", open_menu),
    "nothing found": ("?q=nobody", nothing),
    "filtered": ("?presence=online,stale&sort=machine_id", nothing),
    "machine": ("?machine=PC-1", nothing),
    "uninstalled machine": ("?machine=PC-3", nothing),
    "question": ("?machine=PC-1", ask),
    "tokens": ("?view=tokens", nothing),
    "history": ("?view=history", nothing),
    "secret": ("?view=tokens", make),
}


@WIDTHS
@SCHEMES
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_fit_for_everybody(busy, sign_in, view, scheme, width):
    path, act = VIEWS[view]
    viewport = {"width": width, "height": 900 if width > 360 else 740}
    page = sign_in(busy, path, viewport=viewport, color_scheme=scheme)
    await_answer(page)

    act(page)

    shoot(page, f"{view} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


@WIDTHS
@SCHEMES
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("path", ["?view=attention", "?machine=PC-2"])
def test_so_is_what_needs_attention(troubled, sign_in, path, language, scheme, width):
    viewport = {"width": width, "height": 1600}
    options = {"viewport": viewport, "color_scheme": scheme, "locale": language}
    page = sign_in(troubled, path, **options)
    expect(page.locator(".freshness")).to_contain_text(re.compile("now|instant"))

    view = path.partition("=")[2]
    shoot(page, f"attention {view} {language[:2]} {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


@WIDTHS
@SCHEMES
def test_so_is_the_sign_in(fleet, tab, scheme, width):
    viewport = {"width": width, "height": 740}
    visit = tab(fleet, viewport=viewport, color_scheme=scheme)
    page = visit.open(token="wrong")
    expect(page.get_by_role("alert")).to_contain_text("does not know")
    visit.expect_refusals()

    shoot(page, f"sign in {scheme} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


@WIDTHS
def test_so_is_an_empty_fleet(fleet, sign_in, width):
    page = sign_in(fleet, viewport={"width": width, "height": 740})
    expect(page.get_by_text("Your first machine in three steps")).to_be_visible()

    shoot(page, f"empty {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


def test_a_large_fleet_is_kept_as_a_picture(many, sign_in):
    for scheme in ("light", "dark"):
        page = sign_in(many, locale="fr-FR", color_scheme=scheme)
        expect(page.locator("a.machine")).to_have_count(50)
        shoot(page, f"large fleet {scheme}")


@WIDTHS
@pytest.mark.parametrize("path", ["", "?machine=PC-1", "?view=tokens", "?view=history"])
def test_french_is_for_the_french(busy, sign_in, path, width):
    viewport = {"width": width, "height": 740}
    page = sign_in(busy, path, locale="fr-FR", viewport=viewport)
    expect(page.locator(".freshness")).to_contain_text("à l’instant")

    assert page.locator("html").get_attribute("lang") == "fr"
    shoot(page, f"french {path.strip('?').replace('=', ' ')} {width}")
    assert faults(page) == []
    assert overflow(page) <= 0


def test_numbers_and_dates_are_written_as_in_french(many, sign_in):
    page = sign_in(many, "?machine=PC-1", locale="fr-FR", timezone_id="Europe/Paris")

    expect(page.locator(".strip")).to_contain_text("98\u202f000")
    enrolled = page.get_by_role("dialog").locator("dd time[datetime]").first
    expect(enrolled).to_have_text(page.evaluate(_AS_FRENCH, _datetime(enrolled)))
    expect(page.get_by_role("dialog")).to_contain_text("il y a")


_AS_FRENCH = """(iso) => new Date(iso).toLocaleString("fr-FR", {
  dateStyle: "medium", timeStyle: "short", timeZone: "Europe/Paris"})"""


def _datetime(element):
    return element.get_attribute("datetime")


def test_high_contrast_shows_what_is_chosen(busy, sign_in):
    page = sign_in(busy, "?presence=online", forced_colors="active")
    expect(page.locator("a.machine")).to_have_count(2)
    shoot(page, "high contrast")

    def width(locator):
        return locator.evaluate("(it) => getComputedStyle(it).borderTopWidth")

    pressed = page.locator(".strip [aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Online\n2"]
    assert width(pressed) == "2px"
    assert width(page.get_by_role("button", name="Offline")) == "0px"
    assert width(page.locator("nav [aria-current]")) == "2px"
    assert width(page.get_by_role("button", name="English")) == "2px"
    dot = page.locator(".badge .dot.online").first
    color = dot.evaluate("(it) => getComputedStyle(it).backgroundColor")
    assert color not in ("rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0)")


def test_an_imported_machine_that_never_came_was_never_seen(fleet, sign_in):
    with fleet.app.app_context():
        repository = get_repository()
        with repository.transaction():
            Imports(repository.unit).add("PC-1", {})
    page = sign_in(fleet)

    row = page.get_by_role("row").filter(has_text="PC-1")
    expect(row.locator(".last_seen_at")).to_have_text("Never seen")


def test_what_is_not_fit_or_not_allowed_is_noticed(fleet, tab):
    """These tests can fail: by axe, the content policy and requests refused."""
    visit = tab(fleet)
    page = visit.open()
    assert faults(page) == []

    page.evaluate("document.querySelector('label').remove()")
    page.evaluate("document.body.setAttribute('style', 'color: red')")

    assert "label" in [fault.split(":")[0] for fault in faults(page)]
    assert any("Content Security Policy" in text for text in visit.complaints)
    visit.complaints.clear()

    page.evaluate("fetch('/nothing')")
    with pytest.raises(AssertionError):
        visit.close()
    visit.expect_refusals()


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_the_page_weighs_less_than_150_kilobytes(fleet, sign_in, language):
    page = sign_in(fleet, locale=language)
    expect(page.locator("main h1")).to_have_count(1)

    weight = page.evaluate("""() => [...performance.getEntriesByType("navigation"),
            ...performance.getEntriesByType("resource")]
          .filter(({ name }) => !name.includes("/api/"))
          .reduce((sum, { decodedBodySize: bytes }) => sum + bytes, 0)""")
    assert 100_000 < weight < 150_000


def test_the_switch_between_languages_is_remembered(busy, sign_in):
    page = sign_in(busy, "?q=pc-1")
    page.get_by_role("button", name="Français").click()

    expect(page.get_by_role("link", name="Jetons", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Français")).to_be_focused()
    assert page.get_by_label("Rechercher").input_value() == "pc-1"
    page.reload()
    expect(page.get_by_role("link", name="Jetons", exact=True)).to_be_visible()
    assert page.title() == "Parc"


def test_a_keyboard_is_enough(busy, sign_in):
    page = sign_in(busy)
    expect(page.locator("a.machine")).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.type("PC-1")
    expect(page.locator("a.machine")).to_have_count(1)
    page.get_by_role("link", name="PC-1", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="PC-1")).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.get_by_role("link", name="PC-1", exact=True)).to_be_focused()
    page.get_by_role("button", name="Machine", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("th.machine_id")).to_have_attribute("aria-sort", "ascending")


def test_it_refreshes_by_itself_and_says_how_old_it_is(busy, tab):
    visit = tab(busy)
    visit.page.clock.install()
    page = visit.open(token=OPERATOR_TOKEN)
    expect(page.locator("a.machine")).to_have_count(2)
    page.get_by_role("link", name="PC-2").focus()
    await_answer(page)
    busy.operator.enroll("PC-4")

    page.clock.run_for(20_000)
    expect(page.locator(".freshness")).to_contain_text("20 seconds ago")
    page.clock.run_for(12_000)

    expect(page.get_by_role("link", name="PC-4")).to_be_visible()
    expect(page.get_by_role("link", name="PC-2")).to_be_focused()


def test_a_server_that_is_away_is_said_and_found_again(busy, tab):
    visit = tab(busy)
    page = visit.open(token=OPERATOR_TOKEN)
    expect(page.locator("a.machine")).to_have_count(2)
    await_answer(page)
    visit.context.set_offline(True)
    page.get_by_role("button", name="Refresh").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The server does not respond.")
    expect(alert).to_contain_text("The data shown is from")
    expect(page.locator(".freshness")).to_have_class("freshness failed")
    expect(page.locator("a.machine")).to_have_count(2)
    shoot(page, "server away")
    visit.expect_refusals()
    assert faults(page) == []
    visit.context.set_offline(False)
    page.get_by_role("button", name="Try again now").click()
    expect(alert).to_be_empty()
    expect(page.locator(".freshness")).to_have_class("freshness")


def test_a_database_that_cannot_be_read_is_said(fleet, tab, database):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open(token=OPERATOR_TOKEN)
    expect(page.locator("a.machine")).to_have_count(1)
    await_answer(page)
    fleet.app.extensions["lea_fleet"].store.close_idle()
    database.rename(database.with_suffix(".away"))
    database.write_text("no database at all, and long enough to be looked at " * 100)

    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_role("alert")).to_contain_text("cannot access its database")
    page.wait_for_load_state("networkidle")
    visit.expect_refusals()
