"""What needs an operator: refused, replaced, blocked, muted machines, and alerts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from lea_fleet import create_app
from lea_fleet.app.database import get_host_repository
from lea_fleet.core import clock
from lea_fleet.storage.alerts import Alerts
from tests.page.browser.chromium import expect
from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill


@pytest.fixture
def open_view(sign_in):
    return lambda fleet: sign_in(fleet, "?view=attention")


def section(page, name):
    return page.get_by_role("region", name=name)


def refuse(installer, *names):
    for name in names:
        response = installer.post("/enroll", {"machine_id": name})
        assert response.status_code == 409, response.text


def hear(engine, machine_id):
    """Let a machine be heard now: a heartbeat that soon would write nothing."""
    engine.execute(
        "UPDATE enrolled_agents SET last_seen_at = ? WHERE machine_id = ?",
        *(clock.iso(clock.now()), machine_id),
    )


def replaced(engine):
    """Fill the fleet with a machine that another one of its hostname has replaced."""
    now = datetime.now(timezone.utc)
    long_ago, recently = now - timedelta(days=9), now - timedelta(days=2)
    seen = {"OLD": long_ago + timedelta(days=1), "NEW": now}
    came = {"OLD": long_ago, "NEW": recently}
    fill(
        engine,
        [
            {
                "machine_id": name,
                "hostname": "paris-1.example.com",
                "enrolled_at": clock.iso(came[name]),
                "last_seen_at": clock.iso(seen[name]),
            }
            for name in ("OLD", "NEW")
        ],
    )


def test_a_calm_fleet_says_so(fleet, open_view):
    fleet.operator.enroll("PC-1")

    page = open_view(fleet)

    expect(page).to_have_title("Attention – Fleet")
    expect(page.get_by_text("Nothing needs your attention.")).to_be_visible()
    expect(page.locator("section.card")).to_have_count(1)
    expect(section(page, "Alerts")).to_contain_text("Nobody is alerted.")


def test_refused_machines_are_allowed_at_once_but_for_those_alive(
    fleet, open_view, engine
):
    installer = fleet.operator.installer(label="Lyon", max_uses=10)
    for name in ("PC-1", "PC-2", "PC-3"):
        installer.enroll(name)
    refuse(installer, "PC-1", "PC-2", "PC-3")
    hear(engine, "PC-3")
    page = open_view(fleet)
    refused = section(page, "Refused machines")
    expect(refused.get_by_role("listitem")).to_have_count(3)
    expect(refused).to_contain_text("with enrollment token 1")
    expect(refused.get_by_role("listitem").filter(has_text="PC-3")).to_contain_text(
        "Still alive"
    )

    refused.get_by_role("button", name="Allow 2 machines once").click()
    question = page.get_by_role("dialog", name="Allow 2 machines to re-enroll?")
    expect(question).to_contain_text("PC-1")
    question.get_by_role("button", name="Allow 2 machines once").click()

    expect(page.get_by_text("2 machines may be re-enrolled once.")).to_be_visible()
    expect(refused.get_by_text("Re-enrollment allowed")).to_have_count(2)
    expect(refused.get_by_role("button", name="machines once")).to_have_count(0)
    query = "SELECT machine_id, enrollment_token FROM lea_fleet_releases"
    assert sorted(engine.execute(query)) == [("PC-1", 1), ("PC-2", 1)]


def test_one_that_is_alive_is_allowed_with_a_warning(fleet, open_view, engine):
    installer = fleet.operator.installer()
    installer.enroll("PC-1")
    refuse(installer, "PC-1")
    hear(engine, "PC-1")
    page = open_view(fleet)

    page.get_by_role("button", name="Allow re-enrollment: PC-1").click()
    question = page.get_by_role("dialog", name="Allow PC-1 to re-enroll?")
    expect(question).to_contain_text("heard since it was refused")
    question.get_by_role("button", name="Allow PC-1 once").click()

    expect(page.get_by_text("PC-1 may be re-enrolled once until")).to_be_visible()
    expect(page.get_by_role("heading", name="Attention")).to_be_focused()
    assert fleet.events("PC-1")[0] == "released"


def test_what_could_not_be_allowed_is_named(fleet, tab):
    installer = fleet.operator.installer()
    for name in ("PC-1", "PC-2"):
        installer.enroll(name)
    refuse(installer, "PC-1", "PC-2")
    visit = tab(fleet)
    page = visit.open("?view=attention", token=OPERATOR_TOKEN)
    page.get_by_role("button", name="Allow 2 machines once").click()
    fleet.operator.uninstall("PC-2")

    page.get_by_role("dialog").get_by_role("button", name="Allow 2").click()

    expect(page.get_by_text("1 machine may be re-enrolled once.")).to_be_visible()
    expect(page.get_by_text("PC-2 – The server has refused")).to_be_visible()
    visit.expect_refusals()


def test_one_that_is_not_to_come_in_is_blocked_and_no_longer_to_do(fleet, sign_in):
    installer = fleet.operator.installer()
    fleet.operator.enroll("PC-1")
    fleet.operator.request("DELETE", "/enrollment-tokens/1")
    assert installer.post("/enroll", {"machine_id": "PC-9"}).status_code == 401
    page = sign_in(fleet)
    page.get_by_role("link", name="1 refused machine").click()

    page.get_by_role("button", name="Block: PC-9").click()
    question = page.get_by_role("dialog", name="Block PC-9?")
    expect(question).to_contain_text("no longer under “To do”")
    question.get_by_role("button", name="Block PC-9").click()

    expect(page.get_by_text("PC-9 has been blocked.")).to_be_visible()
    page.get_by_role("link", name="Machines").click()
    expect(page.locator(".machines .list")).to_contain_text("PC-1")
    expect(page.locator(".todo")).to_be_hidden()


def test_a_stolen_one_that_tries_to_come_back_is_seen_and_unblocked(fleet, open_view):
    installer = fleet.operator.installer()
    installer.enroll("PC-1")
    fleet.operator.post("/machines/PC-1/block", {"reason": "stolen <b>"})
    fleet.operator.post("/machines/NEVER/block")
    assert installer.post("/enroll", {"machine_id": "PC-1"}).status_code == 403
    page = open_view(fleet)
    refused, blocked = section(page, "Refused"), section(page, "Blocked machines")
    expect(refused).to_contain_text("An operator has blocked it.")
    expect(blocked).to_contain_text("Reason: stolen <b>")
    expect(blocked.get_by_role("listitem").filter(has_text="NEVER")).to_contain_text(
        "It was never enrolled."
    )

    blocked.get_by_role("button", name="Unblock: PC-1").click()
    page.get_by_role("button", name="Unblock PC-1", exact=True).click()

    expect(page.get_by_text("PC-1 has been unblocked.")).to_be_visible()
    expect(blocked.get_by_role("listitem")).to_have_count(1)
    assert installer.post("/enroll", {"machine_id": "PC-1"}).status_code == 201


def test_a_machine_that_was_replaced_is_uninstalled(fleet, open_view, engine):
    replaced(engine)
    page = open_view(fleet)
    pair = section(page, "Replaced machines").get_by_role("listitem")
    expect(pair).to_contain_text("OLD was replaced by NEW")

    pair.get_by_role("button", name="Remove the former: OLD").click()
    page.get_by_role("button", name="Remove OLD", exact=True).click()

    expect(
        page.get_by_text("OLD has been removed from the fleet as replaced.")
    ).to_be_visible()
    expect(pair).to_have_count(0)
    assert fleet.operator.machine("OLD")["status"] == "uninstalled"
    assert fleet.events("NEW") == ["replaced"]


def test_muted_ones_and_those_being_uninstalled_are_listed(fleet, open_view):
    for name in ("PC-1", "PC-2"):
        fleet.operator.enroll(name)
    fleet.operator.post("/machines/PC-1/mute", {"for": "14d"})
    fleet.operator.post("/machines/PC-2/retire")
    page = open_view(fleet)

    page.get_by_role("button", name="Unmute: PC-1").click()
    page.get_by_role("button", name="Unmute PC-1", exact=True).click()
    expect(page.get_by_text("PC-1 is no longer muted.")).to_be_visible()
    page.get_by_role("button", name="Cancel the uninstall: PC-2").click()
    page.get_by_role("button", name="Cancel it for PC-2").click()

    expect(page.get_by_text("PC-2 is no longer to be uninstalled")).to_be_visible()
    expect(page.get_by_text("Nothing needs your attention.")).to_be_visible()


def test_alerts_are_listed_with_who_is_told(serve, database, open_view):
    settings = {
        "RPA_API_TOKEN": OPERATOR_TOKEN,
        "RPA_AGENTS_DB_PATH": database,
        "LEA_FLEET_WEBHOOK_URL": "https://alerts.example/secret-path",
        "LEA_FLEET_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    fleet = serve(create_app(settings))
    fleet.operator.enroll("PC-1")
    with fleet.app.app_context():
        unit = get_host_repository().unit
        with unit.transaction():
            seen = clock.before(unit.now, 3 * 86400)
            Alerts(unit).add("machine.silent", "PC-1", last_seen_at=seen)
            Alerts(unit).add("fleet.silent", None, online=12, usual=300)
    page = open_view(fleet)

    alerts = section(page, "Alerts of the last 24 hours")
    lines = alerts.get_by_role("listitem")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("12 online, 300 are usual at this hour")
    expect(lines.nth(1)).to_contain_text("Silent PC-1")
    expect(lines.nth(1)).to_contain_text("Last seen 3 days ago")
    expect(alerts).to_contain_text("https://alerts.example: flask fleet notify has")
    assert "secret-path" not in page.content()
    lines.nth(1).get_by_role("link", name="PC-1").click()
    expect(page.get_by_role("dialog", name="PC-1")).to_be_visible()
