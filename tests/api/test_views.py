"""Saved views: whose they are, who may share and change them, and what is in them."""

from __future__ import annotations

import json
from threading import Barrier, Thread

import pytest

from lea_fleet import FleetUser
from lea_fleet.app.database import get_host_repository
from lea_fleet.core.limits import MOST_OWN_VIEWS, MOST_SHARED_VIEWS
from lea_fleet.core.listing import FILTERS
from lea_fleet.core.views import COLUMNS, USUAL_COLUMNS, Wanted
from lea_fleet.storage.views import Views
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

FORBIDDEN = (403, "insufficient_scope")
UNKNOWN = (404, "unknown_view")


class Owner(Api):
    """An operator who saves views."""

    def save(self, name="Stale", **members):
        response = self.post("/views", {"name": name, **members})
        assert response.status_code == 201, response.text
        return response.json

    def put(self, view_id, **members):
        return self.request("PUT", f"/views/{view_id}", json=members)

    def remove(self, view_id):
        return self.request("DELETE", f"/views/{view_id}")

    def views(self):
        return self.get("/views").json["views"]

    def names(self):
        return [each["name"] for each in self.views()]


@pytest.fixture
def admin(client):
    """The holder of RPA_API_TOKEN."""
    return Owner(client, OPERATOR_TOKEN)


@pytest.fixture
def named(admin):
    """Make an operator with a role; return their client."""

    def make(role, name="Nadia, helpdesk", **members):
        made = admin.post("/operators", {"name": name, "role": role, **members})
        owner = Owner(admin.client, made.json["token"])
        owner.number = made.json["id"]
        return owner

    return make


# What a view is


def test_a_view_is_what_was_saved(named, the_clock):
    nadia = named("operator")

    saved = nadia.save(
        " Gone\u0301 ",
        filters="?sort=-last_seen_at&presence=stale&presence=offline&q=&silent_for=14d",
        columns=["machine_id", "hostname"],
        shared=True,
    )

    assert saved == {
        "id": 1,
        "name": "Goné",
        "shared": True,
        "own": True,
        "owner": "Nadia, helpdesk",
        "filters": "presence=offline%2Cstale&silent_for=14d&sort=-last_seen_at",
        "columns": ["machine_id", "hostname"],
        "created_at": the_clock.iso(),
        "updated_at": the_clock.iso(),
        "fault": None,
    }
    assert nadia.views() == [saved]


def test_what_is_left_out_gets_its_default(admin):
    saved = admin.save()

    assert saved["filters"] == "" and not saved["shared"] and saved["owner"] is None
    assert saved["columns"] == [*USUAL_COLUMNS]
    assert {*USUAL_COLUMNS} < {*COLUMNS}


def test_what_a_view_selects_is_what_the_list_does(admin):
    for name in ("PC-1", "PC-2", "SRV"):
        admin.enroll(name, version="1.0")
    filters = admin.save(filters="q=pc&version=1.0&sort=machine_id")["filters"]

    listed = admin.get(f"/fleet?{filters}").json["active"]

    assert [each["machine_id"] for each in listed] == ["PC-1", "PC-2"]


def test_every_filter_of_the_list_can_be_saved(admin):
    texts = {"duration": "14d", "flag": "true", "number": "3"}
    sent = "&".join(
        f"{name}={texts.get(each.kind) or ([*each.choices] or ['x'])[0]}"
        for name, each in FILTERS.items()
    )
    assert admin.save(filters=sent)["filters"] == sent


def test_a_blank_machine_id_is_one(admin):
    assert admin.save(filters="machine_id=%20&q=%20")["filters"] == "machine_id=+"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\x1b[2J"}, "name"),
        ({"name": "\u202egpj.exe"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\u200bb"}, "name"),
        ({"name": 7}, "name"),
        ({"filters": "nothing=1"}, "filters"),
        ({"filters": "limit=5"}, "filters"),
        ({"filters": "cursor=abc"}, "filters"),
        ({"filters": "presence=asleep"}, "filters"),
        ({"filters": "q=a&q=b"}, "filters"),
        ({"filters": "sort=-nothing"}, "filters"),
        ({"filters": "silent_for=99999d"}, "filters"),
        ({"filters": "q=%ff"}, "filters"),
        ({"filters": "q=%00"}, "filters"),
        ({"filters": "&".join(["q=1"] * 101)}, "filters"),
        ({"filters": "q=" + "x" * 2000}, "filters"),
        ({"filters": {"q": "a"}}, "filters"),
        ({"columns": []}, "columns"),
        ({"columns": "machine_id"}, "columns"),
        ({"columns": ["id"]}, "columns"),
        ({"columns": [{}]}, "columns"),
        ({"columns": ["version", "version"]}, "columns"),
        ({"shared": "yes"}, "shared"),
    ],
)
def test_what_is_not_valid_is_named(admin, members, field):
    body = {"name": "Stale", **members}

    problem = assert_problem(admin.post("/views", body), 400, "invalid_field")

    assert [error["field"] for error in problem["errors"]] == [field]
    assert admin.views() == []


@pytest.mark.parametrize(
    "name", ["<script>", "=1+1", "李 明", "%s{0}", "a'; --", "x" * 64]
)
def test_a_name_may_be(admin, name):
    assert admin.save(name)["name"] == name
    assert admin.names() == [name]


def test_a_filter_that_is_no_longer_known_is_listed_and_says_so(app, admin):
    with app.app_context():
        views = Views(get_host_repository().unit)
        views.create("", Wanted("Old", True, "color=red&presence=stale", ("shade",)))

    (old,) = admin.views()

    assert "color, which is no filter" in old["fault"]
    assert old["columns"] == ["shade"]
    changed = admin.put(old["id"], name="Old", filters="presence=stale")
    assert changed.json["fault"] is None


# Names


def test_a_name_is_unique_among_ones_own_and_among_the_shared(named):
    nadia, omar = named("operator"), named("operator")
    for shared in (False, True):
        nadia.save("Gone", shared=shared)
        again = nadia.post("/views", {"name": "GONE", "shared": shared})
        assert_problem(again, 409, "view_name_taken", "fix_request")
    omar.save("Gone")
    taken = omar.post("/views", {"name": "gone", "shared": True})
    assert_problem(taken, 409, "view_name_taken")


def test_a_view_keeps_its_name_and_takes_no_other_ones(admin):
    first, second = admin.save("A")["id"], admin.save("B")["id"]

    assert admin.put(first, name="a", filters="q=x").json["name"] == "a"
    assert_problem(admin.put(second, name="A"), 409, "view_name_taken")
    shared = admin.save("B", shared=True)["id"]
    assert_problem(admin.put(shared, name="B"), 409, "view_name_taken")
    assert admin.names() == ["a", "B", "B"]


def test_names_are_sorted_as_people_do(admin):
    for name in ("PC-10", "Émile", "PC-9", "eve"):
        admin.save(name, shared=True)
    assert admin.names() == ["Émile", "eve", "PC-9", "PC-10"]


def test_there_are_so_many_and_no_more(admin, named):
    nadia = named("operator")
    for number in range(MOST_OWN_VIEWS):
        nadia.save(f"{number}")
    full = nadia.post("/views", {"name": "one more"})
    assert assert_problem(full, 409, "too_many_views")["limit"] == MOST_OWN_VIEWS
    shared = nadia.save("shared", shared=True)["id"]
    assert_problem(nadia.put(shared, name="own"), 409, "too_many_views")
    admin.save("of another")
    nadia.remove(1)
    nadia.save("one more")


def test_there_are_so_many_shared_ones_and_no_more(app, named):
    nadia = named("operator")
    with app.app_context():
        unit = get_host_repository().unit
        with unit.transaction():
            for number in range(MOST_SHARED_VIEWS):
                Views(unit).create("", Wanted(f"{number}", True, "", ("version",)))
    full = nadia.post("/views", {"name": "one more", "shared": True})
    assert_problem(full, 409, "too_many_views")
    own = nadia.save("one more")["id"]
    assert_problem(nadia.put(own, name="x", shared=True), 409, "too_many_views")


def test_of_two_that_save_a_name_at_once_one_gets_it(app, make_app, admin):
    admin.get("/views")
    clients = [app.test_client(), make_app().test_client()]
    start, statuses = Barrier(2), []

    def save(client):
        start.wait()
        body = {"name": "Gone", "shared": True}
        statuses.append(Api(client, OPERATOR_TOKEN).post("/views", body).status_code)

    threads = [Thread(target=save, args=(each,)) for each in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201, 409] and admin.names() == ["Gone"]


# Whose


def test_nobody_else_sees_a_private_view(admin, named):
    owners = [named(role) for role in ("viewer", "operator", "admin")] + [admin]
    for number, owner in enumerate(owners):
        owner.save(f"of {number}", filters="q=secret")

    for number, owner in enumerate(owners):
        assert owner.names() == [f"of {number}"]
        for other in {1, 2, 3, 4} - {number + 1}:
            assert_problem(owner.put(other, name="mine"), *UNKNOWN)
            assert_problem(owner.remove(other), *UNKNOWN)
        assert owner.put(number + 1, name=f"my {number}").status_code == 200
        assert owner.remove(number + 1).json["name"] == f"my {number}"
        assert_problem(owner.remove(number + 1), *UNKNOWN)


def test_a_viewer_shares_nothing(named):
    viewer = named("viewer")
    shared = viewer.post("/views", {"name": "Stale", "shared": True})
    assert_problem(shared, *FORBIDDEN)
    own = viewer.save()["id"]

    assert_problem(viewer.put(own, name="Stale", shared=True), *FORBIDDEN)

    (listed,) = viewer.views()
    assert not listed["shared"]


def test_a_shared_view_is_seen_by_all_and_changed_by_its_maker_and_admins(admin, named):
    nadia, omar = named("operator", "Nadia"), named("operator", "Omar")
    viewer, boss = named("viewer"), named("admin", "Boss")
    view = nadia.save(filters="presence=stale", shared=True)["id"]

    for other in (omar, viewer, boss, admin):
        (seen,) = other.views()
        assert (seen["own"], seen["owner"]) == (False, "Nadia")
    for other in (omar, viewer):
        assert_problem(other.put(view, name="Mine", shared=True), *FORBIDDEN)
        assert_problem(other.put(view, name="Mine"), *FORBIDDEN)
        assert_problem(other.remove(view), *FORBIDDEN)
    for other in (boss, admin):
        changed = other.put(view, name="Better", shared=True).json
        assert (changed["owner"], changed["own"]) == ("Nadia", False)
        assert_problem(other.put(view, name="Mine"), *FORBIDDEN)
    assert not nadia.put(view, name="Own again").json["shared"]
    assert boss.views() == []
    assert nadia.put(view, name="Shared again", shared=True).status_code == 200
    assert boss.remove(view).status_code == 200
    assert nadia.views() == []


def test_what_changes_nothing_is_not_written(admin, engine, the_clock):
    view = admin.save(filters="presence=stale", shared=True)
    the_clock.advance(hours=1)
    before = engine.contents()
    same = {name: view[name] for name in ("name", "filters", "columns", "shared")}

    assert admin.put(view["id"], **same).json == view

    assert engine.contents() == before
    changed = admin.put(view["id"], **{**same, "name": "Stale PCs"}).json
    assert changed["created_at"] < changed["updated_at"] == the_clock.iso()


@pytest.mark.parametrize("view_id", ["x", "-1", "9" * 20])
def test_an_id_is_a_number(admin, view_id):
    assert_problem(admin.put(view_id, name="x"), 404, "not_found")
    assert_problem(admin.remove(view_id), 404, "not_found")


# When an operator has gone


def test_a_revocation_deletes_private_views_and_keeps_shared_ones(admin, named, engine):
    nadia, omar = named("operator", "Nadia"), named("operator", "Omar")
    for owner in (nadia, omar, admin):
        owner.save("Own")
    nadia.save("Shared", shared=True)

    admin.request("DELETE", f"/operators/{nadia.number}")

    rows = engine.execute("SELECT owner, name FROM lea_fleet_views ORDER BY id")
    left = [("operator#2", "Own"), ("", "Own"), ("operator#1", "Shared")]
    assert [tuple(row) for row in rows] == left
    assert admin.views()[1]["owner"] == "Nadia"


def test_what_an_expired_operator_saw_alone_goes_with_the_next(
    admin, named, engine, the_clock
):
    named("viewer", expires="1d").save("Own")
    named("viewer", expires="2d").save("Own")
    the_clock.advance(days=1)

    admin.save("Another")

    rows = engine.execute("SELECT owner FROM lea_fleet_views ORDER BY id")
    assert [owner for (owner,) in rows] == ["operator#2", ""]


# A host


@pytest.fixture
def host(make_app):
    """The API for whoever is signed in to the host: a client and the user."""
    app = make_app()
    signed_in = {}
    app.extensions["lea_fleet"].operator_loader = lambda: signed_in.get("user")
    client = app.test_client()

    def as_user(user):
        signed_in["user"] = user
        owner = Owner(client)
        return owner

    return as_user


def asked(owner, method, path, body=None):
    headers = {"Sec-Fetch-Site": "same-origin"}
    return owner.client.open(
        PREFIX + path, method=method, headers=headers, json=body or {}
    )


def test_a_user_of_the_host_has_views_of_their_own_whatever_the_role(host):
    zoe = FleetUser("zoe@example.com", "viewer")
    saved = asked(host(zoe), "POST", "/views", {"name": "Zoe's"})
    assert saved.status_code == 201, saved.text
    assert_problem(
        asked(host(zoe), "POST", "/views", {"name": "x", "shared": True}), *FORBIDDEN
    )

    for user in (FleetUser("bob", "viewer"), "bob", True):
        assert asked(host(user), "GET", "/views").json == {"views": []}
        assert_problem(asked(host(user), "DELETE", "/views/1"), *UNKNOWN)
    (seen,) = asked(host("zoe@example.com"), "GET", "/views").json["views"]
    assert (seen["own"], seen["owner"]) == (True, "zoe@example.com")
    shared = {"name": "Zoe's", "shared": True}
    assert asked(host("zoe@example.com"), "PUT", "/views/1", shared).status_code == 200
    assert_problem(asked(host(zoe), "PUT", "/views/1", shared), *FORBIDDEN)


def test_a_user_named_as_an_operator_is_not_them(admin, named, host):
    named("viewer").save("Nadia's")

    for user in ("operator#1", "#1", "user:zoe", "zoe\0"):
        assert (
            asked(host(FleetUser(user, "admin")), "GET", "/views").json["views"] == []
        )


# Without personal data


@pytest.fixture
def audit(named):
    return named("viewer", "Audit", personal=False)


def test_such_a_viewer_sees_no_names_and_no_view_that_searches_for_any(named, audit):
    nadia = named("operator", "ZOE the boss")
    for number, filters in enumerate(("q=ZOE", "sort=user_name", "sort=-hostname")):
        nadia.save(f"{number}", filters=filters, shared=True)
    nadia.save("PCs of ZOE", filters="presence=stale", shared=True)

    text = audit.get("/views").text

    assert "ZOE" not in text
    (seen,) = json.loads(text)["views"]
    assert (seen["name"], seen["owner"]) == (None, None)
    assert seen["filters"] == "presence=stale"
    assert_problem(audit.remove(1), *UNKNOWN)


def test_such_a_viewer_saves_no_search_for_personal_data(audit):
    for filters in ("q=zoe", "sort=-user_email"):
        refused = audit.post("/views", {"name": "x", "filters": filters})
        assert_problem(refused, *FORBIDDEN)
        own = audit.save(filters)["id"]
        assert_problem(audit.put(own, name="x", filters=filters), *FORBIDDEN)
    assert audit.names() == ["q=zoe", "sort=-user_email"]


def test_such_a_viewer_does_not_see_a_filter_that_nobody_knows(app, audit):
    with app.app_context():
        wanted = Wanted("Old", True, "person=ZOE", ("version",))
        Views(get_host_repository().unit).create("", wanted)

    assert audit.views() == []
