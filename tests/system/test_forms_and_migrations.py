"""Hosts with Flask-WTF's CSRFProtect, and with Flask-Migrate on the same file."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from textwrap import dedent
from threading import Thread

import pytest
from flask import Blueprint, Flask, session
from flask_wtf import CSRFProtect

import lea_fleet
from lea_fleet import LeaFleet
from tests.support.api import OPERATOR_TOKEN, Api, assert_problem

ORDERS = ["csrf first", "fleet first", "nested, csrf first", "nested, fleet first"]


@pytest.fixture
def make_host(database):
    """Make a host that protects its forms."""
    made = []

    def make(order="csrf first", **settings):
        app = Flask("host")
        app.config.update(
            SECRET_KEY="of the host",
            RPA_API_TOKEN=OPERATOR_TOKEN,
            RPA_AGENTS_DB_PATH=database,
            **settings,
        )
        fleet, csrf = LeaFleet(), CSRFProtect()
        if "csrf first" in order:
            csrf.init_app(app)
        if "nested" in order:
            parent = Blueprint("parent", __name__, url_prefix="/api/v1")
            parent.register_blueprint(lea_fleet.blueprint, url_prefix="/agents")
            app.register_blueprint(parent)
            app.extensions["lea_fleet"].operator_loader = lambda: session.get("user")
        else:
            fleet.init_app(app)
            fleet.operator_loader(lambda: session.get("user"))
        if "fleet first" in order:
            csrf.init_app(app)
        app.register_error_handler(400, lambda error: ("the host's page", 400))

        @app.get("/login")
        def login():
            session["user"] = "zoe"
            return "welcome"

        @app.post("/form")
        def form():
            return "changed"

        @app.post("/api/v1/agents/of/the/host")
        def below_the_prefix():
            return "changed"

        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize("order", ORDERS)
def test_csrf_protect_leaves_our_routes_alone_and_protects_the_hosts(make_host, order):
    app = make_host(order)
    operator = Api(app.test_client(), OPERATOR_TOKEN)

    agent = operator.enroll("PC-1")
    assert agent.heartbeat().status_code == 200
    assert operator.request("DELETE", "/machines/PC-1/release").status_code == 200
    assert_problem(Api(app.test_client()).post("/heartbeat"), 401, "missing_token")
    for path in ("/form", "/api/v1/agents/of/the/host"):
        refused = app.test_client().post(path, headers={"X-Lea-Fleet": "1"})
        assert (refused.status_code, refused.text) == (400, "the host's page")


def test_without_csrf_protect_a_sessions_write_is_still_protected(make_host):
    app = make_host()
    browser = Api(app.test_client())
    browser.client.get("/login")

    forged = browser.post("/enroll", {"machine_id": "PC-1"})
    own = browser.post(
        "/enroll", {"machine_id": "PC-1"}, headers={"Sec-Fetch-Site": "same-origin"}
    )

    assert_problem(forged, 403, "cross_site", "fix_request")
    assert own.status_code == 201


@pytest.mark.parametrize("order", ORDERS)
def test_the_exemption_is_told_once_and_can_be_turned_off(make_host, order, caplog):
    caplog.set_level(logging.INFO, "lea_fleet")
    operator = Api(make_host(order).test_client(), OPERATOR_TOKEN)
    for number in range(3):
        operator.enroll(f"PC-{number}")
    (told,) = [line for line in caplog.messages if "CSRFProtect" in line]
    assert "LEA_FLEET_CSRF_EXEMPT" in told

    caplog.clear()
    app = make_host(order, LEA_FLEET_CSRF_EXEMPT=False)
    refused = Api(app.test_client(), OPERATOR_TOKEN).post("/heartbeat")
    assert (refused.status_code, refused.text) == (400, "the host's page")
    assert not [line for line in caplog.messages if "CSRFProtect" in line]


def test_two_first_requests_at_a_time_are_both_exempted(make_host, monkeypatch):
    app = make_host()
    answers = []

    def send():
        answer = Api(app.test_client(), OPERATOR_TOKEN).post("/heartbeat", {})
        answers.append(answer.json and answer.json["code"])

    def exempt_late(protection, view):
        monkeypatch.undo()
        other = Thread(target=send)
        other.start()
        other.join()
        protection.exempt(view)

    monkeypatch.setattr(CSRFProtect, "exempt", exempt_late)
    send()

    assert answers == ["invalid_field", "invalid_field"]


def test_another_extension_that_is_called_csrf_is_not_touched(make_app):
    app = make_app()
    app.extensions["csrf"] = object()

    assert Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")


# Flask-Migrate, in a process of its own: it changes the logging of the whole process

HOST = """
    import os
    from flask import Flask
    from flask_migrate import Migrate, init, migrate, upgrade
    from flask_sqlalchemy import SQLAlchemy
    import lea_fleet

    app = Flask("host", instance_path=os.getcwd())
    path = os.environ["RPA_AGENTS_DB_PATH"]
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    db = SQLAlchemy(app)

    class Workflow(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text, index=True)

    {model}
    Migrate(app, db, {options})
    fleet = lea_fleet.LeaFleet(app)
    with app.app_context():
        fleet.repository.enroll("PC-1")
        init()
        migrate(message="first")
        upgrade()
        print(fleet.repository.count_by_status())
"""

#: The older server's table as a host may model it.
MODEL = """
    class Agent(db.Model):
        __tablename__ = "enrolled_agents"
        id = db.Column(db.Integer, primary_key=True)
        machine_id = db.Column(db.Text, nullable=False)
        status = db.Column(db.Text)
        note = db.Column(db.Text)
"""

#: What such a host passes, as host.rst says.
FOR_THE_MODEL = """include_name=lambda name, type_, parents: (
        name == "enrolled_agents" or lea_fleet.include_name(name, type_, parents))"""


@pytest.fixture
def migration(tmp_path, database):
    """Return what Flask-Migrate wants to do to the database of a host."""

    def autogenerate(options, model=""):
        code = HOST.replace("{model}", model).replace("{options}", options)
        environment = {"RPA_API_TOKEN": OPERATOR_TOKEN, "RPA_AGENTS_DB_PATH": database}
        ran = subprocess.run(
            [sys.executable, "-c", dedent(code)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        scripts = tmp_path.glob("migrations/versions/*.py")
        (script,) = [path.read_text() for path in scripts]
        return script.partition("def downgrade")[0], ran

    return autogenerate


def test_flask_migrate_drops_nothing_of_ours_with_include_name(migration):
    script, ran = migration("include_name=lea_fleet.include_name")

    assert "op.create_table('workflow'" in script
    assert "lea_fleet" not in script and "enrolled_agents" not in script
    assert ran.stdout.endswith("{'active': 1, 'uninstalled': 0}\n"), ran.stderr


def test_flask_migrate_would_drop_our_tables_without_it(migration):
    script, _ = migration("")

    assert "op.drop_table('lea_fleet_tokens')" in script
    assert "op.drop_table('enrolled_agents')" in script


def test_a_host_may_model_the_older_servers_table_and_keeps_our_indexes(migration):
    script, _ = migration(FOR_THE_MODEL, MODEL)

    assert "batch_op.add_column(sa.Column('note'" in script
    assert "create_table('enrolled_agents'" not in script
    assert "lea_fleet" not in script


@pytest.mark.parametrize(
    ("name", "type_", "included"),
    [
        ("lea_fleet_tokens", "table", False),
        ("lea_fleet_listing", "index", False),
        ("enrolled_agents", "table", False),
        ("lea_fleet", "table", True),
        ("leaxfleet_tokens", "table", True),
        ("workflow", "table", True),
        ("lea_fleet_of_the_host", "column", True),
        (None, "schema", True),
        (None, "unique_constraint", True),
        (None, "index", True),
    ],
)
def test_include_name_names_what_is_ours_and_nothing_else(name, type_, included):
    assert lea_fleet.include_name(name, type_, {"schema_name": None}) is included
