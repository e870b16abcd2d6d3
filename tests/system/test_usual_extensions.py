"""A host with five popular extensions takes the plugin in by the lines of host.rst."""

from __future__ import annotations

import logging
import re
import warnings

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_cors import CORS
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, login_required, login_user
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from lea_fleet.page.assets import assets
from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

ORIGIN = "https://dashboard.example.com"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


class User(UserMixin):
    def __init__(self, name):
        self.id = self.name = name
        self.is_admin = name == "zoe"


@pytest.fixture
def host(database):
    """A host as people write it, which adds the fleet by the documented lines."""
    part = docs.section(docs.parse(docs.HOST), "A host with the usual extensions")
    (code,) = docs.blocks(part, "python")
    documented = {"__name__": "example"}
    exec(compile(code, "host.rst", "exec"), documented)

    app = Flask("host")
    database.parent.mkdir(exist_ok=True)
    app.config.update(
        SECRET_KEY="of the host",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{database}",
        RPA_API_TOKEN=OPERATOR_TOKEN,
        RPA_AGENTS_DB_PATH=str(database),
    )
    db, migrate = SQLAlchemy(app), Migrate()
    login = LoginManager(app)
    login.user_loader(User)
    CSRFProtect(app)
    CORS(app, origins=[ORIGIN], supports_credentials=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # limits in memory are for tests only
        limiter = Limiter(get_remote_address, app=app, default_limits=["5 per hour"])

    class Workflow(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    documented["add_fleet"](app, db, migrate, limiter)

    @app.get("/login/<name>")
    @limiter.exempt
    def log_in(name):
        login_user(User(name))
        return "welcome"

    @app.get("/workflows")
    @login_required
    def workflows():
        return {"workflows": db.session.query(Workflow).count()}

    @app.post("/workflows")
    def change():
        return "changed"

    app.migration = migrate
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()
    app.extensions["lea_fleet"].store.close_idle()


@pytest.fixture
def operator(host):
    return Api(host.test_client(), OPERATOR_TOKEN)


def browser_of(host, name):
    client = host.test_client()
    assert client.get(f"/login/{name}").text == "welcome"
    return Api(client)


def test_agents_live_beside_csrf_protection_and_limits(operator, caplog):
    caplog.set_level(logging.INFO, "lea_fleet")
    agent = operator.enroll("PC-1")

    for _ in range(10):  # the host's limit is five
        assert agent.heartbeat(version="2.0").status_code == 200
    assert agent.uninstall().status_code == 200
    assert any("CSRFProtect" in line for line in caplog.messages)


def test_the_hosts_users_are_operators_if_the_host_says_so(host, operator):
    operator.enroll("PC-1")
    admin, other = browser_of(host, "zoe"), browser_of(host, "max")

    assert admin.get("/fleet").json["totals"]["active"] == 1
    assert_problem(other.get("/fleet"), 403, "insufficient_scope")
    assert_problem(Api(host.test_client()).get("/fleet"), 401, "missing_token")
    released = admin.post("/machines/PC-1/release", {}, headers=OWN_PAGE)
    assert released.status_code == 200
    actor = admin.get("/machines/PC-1/events").json["events"][0]["actor"]
    assert actor["user"] == "zoe"
    forged = admin.post("/uninstall", {"machine_id": "PC-1"})
    assert_problem(forged, 403, "cross_site")


def test_the_page_and_all_its_files_are_not_limited_either(host):
    client = host.test_client()
    page = client.get("/fleet").text
    named = re.findall(r'(?:href|src)="(/fleet/assets/[^"]+)"', page)
    folder = re.search('"(/fleet/assets/[^/]+/)', page)[1]
    files = {folder + name for name in assets()} | set(named)

    assert len(named) >= 3
    for path in ["/fleet", *files] * 6:  # the host's limit is five
        assert client.get(path).status_code == 200


def test_a_dashboard_of_another_origin_needs_a_token(host, operator):
    shown = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
    asked = host.test_client().options(
        f"{PREFIX}/fleet", headers={**shown, "Access-Control-Request-Method": "GET"}
    )

    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert operator.get("/fleet", headers=shown).status_code == 200
    by_session = browser_of(host, "zoe").get("/fleet", headers=shown)
    assert_problem(by_session, 401, "missing_token")


def test_the_hosts_migrations_leave_the_fleet_alone(host, operator):
    operator.enroll("PC-1")
    options = host.extensions["migrate"].configure_args

    with host.app_context():
        database = host.extensions["sqlalchemy"]
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, database.metadata) == []


def test_the_hosts_own_routes_are_as_protected_as_before(host):
    browser = browser_of(host, "zoe")

    assert host.test_client().get("/workflows").status_code == 401
    assert browser.client.post("/workflows").status_code == 400  # no CSRF token
    statuses = [browser.client.get("/workflows").status_code for _ in range(6)]
    assert statuses[0] == 200 and statuses[-1] == 429
