"""Signing in to the page: by a token that stays in the tab, or through the host."""

from __future__ import annotations

import re

import pytest
from flask import Flask, redirect, session

from lea_fleet import FleetUser, LeaFleet
from tests.page.browser.chromium import expect, faults
from tests.support.api import OPERATOR_TOKEN


def fill_in(page, token):
    page.get_by_label("Operator token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_the_operators_token_opens_the_page_and_stays_in_the_tab(fleet, tab):
    fleet.operator.enroll("PC-1")
    visit = tab(fleet)
    page = visit.open()
    sent = []
    page.on("request", lambda request: sent.append((request.url, request.headers)))

    fill_in(page, f" {OPERATOR_TOKEN} ")

    expect(page.get_by_role("link", name="PC-1")).to_be_visible()
    asked = [headers for url, headers in sent if "/api/" in url]
    bearer = f"Bearer {OPERATOR_TOKEN}"
    assert asked and all(headers["authorization"] == bearer for headers in asked)
    assert all(OPERATOR_TOKEN not in url for url, _ in sent)
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
    other = visit.context.new_page()
    other.goto(visit.url)
    expect(other.get_by_label("Operator token")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="PC-1")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Operator token")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_wrong_token_is_told_what_to_do(fleet, tab):
    visit = tab(fleet)
    page = visit.open()

    fill_in(page, "wrong")

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("does not know this token")
    expect(alert).to_contain_text("RPA_API_TOKEN")
    expect(page.get_by_label("Operator token")).to_be_focused()
    visit.expect_refusals()
    fill_in(page, OPERATOR_TOKEN)
    expect(page.get_by_text("Your first machine in three steps")).to_be_visible()


def test_a_machines_token_is_told_that_it_is_one(fleet, tab):
    token = fleet.operator.enroll("PC-1").token
    visit = tab(fleet)
    page = visit.open()

    fill_in(page, token)

    expect(page.get_by_role("alert")).to_contain_text("not the token of an operator")
    visit.expect_refusals()


def test_a_token_that_is_changed_meanwhile_leads_back_to_the_form(fleet, tab):
    visit = tab(fleet)
    page = visit.open("?q=compta", token="was-good-yesterday")

    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    assert page.url.endswith("?q=compta")
    visit.expect_refusals()


@pytest.fixture
def host(serve, database):
    """A host with users of its own, who must sign in to see the page."""
    app = Flask("host")
    app.secret_key = "of the host"
    app.config.update(
        RPA_API_TOKEN=OPERATOR_TOKEN,
        RPA_AGENTS_DB_PATH=database,
        LEA_FLEET_PAGE="/ops/park",
    )
    fleet = LeaFleet(app, url_prefix="/rpa/agents")

    @fleet.operator_loader
    def signed_in():
        user = session.get("user")
        return FleetUser(user, None) if user == "clerk" else user

    @app.get("/login/<user>")
    def login(user):
        session["user"] = user
        return redirect("/ops/park")

    return serve(app, "/ops/park")


def test_who_is_signed_in_to_the_host_needs_no_token(host, tab):
    host.operator.prefix = "/rpa/agents"
    host.operator.enroll("PC-1")
    visit = tab(host)
    page = visit.page
    sent = []
    page.on("request", lambda request: sent.append(request))
    page.goto(host.url.replace("/ops/park", "/login/zoe"))

    page.get_by_role("link", name="PC-1").click()
    page.get_by_role("button", name="Remove from the fleet").click()
    page.get_by_role("button", name="Remove PC-1").click()

    expect(page.get_by_text("PC-1 has been removed from the fleet.")).to_be_visible()
    expect(page.get_by_text(re.compile("by zoe from 127"))).to_be_visible()
    assert all("authorization" not in request.headers for request in sent)
    writes = [request for request in sent if request.method == "POST"]
    assert [write.headers["x-lea-fleet"] for write in writes] == ["1"]


def test_a_session_that_ends_is_told_what_to_do(host, tab):
    visit = tab(host)
    page = visit.page
    page.goto(host.url.replace("/ops/park", "/login/zoe"))
    expect(page.get_by_text("Your first machine in three steps")).to_be_visible()
    visit.context.clear_cookies()

    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_role("alert")).to_contain_text("no longer signed in")
    visit.expect_refusals()


def test_a_user_of_the_host_who_is_no_operator_is_told_so(host, tab):
    page = tab(host).open()
    expect(page.get_by_label("Operator token")).to_be_focused()

    page.goto(host.url.replace("/ops/park", "/login/clerk"))

    heading = page.get_by_role("heading", name="You are not an operator of the fleet")
    expect(heading).to_be_visible()
    expect(page.get_by_label("Operator token")).to_be_hidden()
    back = page.get_by_role("link", name="Back to the application")
    expect(back).to_have_attribute("href", "/")
    assert faults(page) == []
    page.get_by_role("button", name="Use an operator token").click()
    page.get_by_label("Operator token").fill(OPERATOR_TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your first machine in three steps")).to_be_visible()


def test_who_is_signed_in_to_the_host_finds_the_way_back(host, tab):
    page = tab(host).page
    page.goto(host.url.replace("/ops/park", "/login/zoe"))

    expect(page.get_by_text("Signed in as zoe")).to_be_visible()
    expect(page.get_by_role("link", name="Back to the application")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
