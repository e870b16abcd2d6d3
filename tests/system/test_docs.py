"""The documentation: every example works as shown; it is complete and correct.

The README is for a newcomer who types the commands in it. The reference names every
setting, route, code, command, column and Python name, and no others. The page about
the kit does so for the scripts.
"""

from __future__ import annotations

import inspect
import re
import sqlite3
from contextlib import closing
from dataclasses import fields
from importlib.resources import files

import pytest
from docutils import nodes

import lea_fleet
from lea_fleet import AgentRepository, LeaFleet
from lea_fleet.app.annotations import Annotations
from lea_fleet.app.machine_states import MachineStates
from lea_fleet.app.settings import Settings, setting_keys
from lea_fleet.core.problems import Problem
from lea_fleet.core.rows import OPERATOR_ROLES
from lea_fleet.storage.enrollment_tokens import EnrollmentTokens
from lea_fleet.storage.events import Events
from lea_fleet.storage.listing import Listing
from tests.support import commands_page, docs
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api

START = (
    "python3 -m venv .venv && .venv/bin/pip install -q . &&"
    " RPA_API_TOKEN=change-me .venv/bin/flask --app lea_fleet run"
)
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' &&"
    " .venv/bin/pytest --cov"
)
DOCUMENTS = pytest.mark.parametrize(
    "path", [docs.README, *docs.PAGES], ids=lambda path: path.name
)
WHOLE = pytest.mark.parametrize(
    "path", [docs.README, docs.REFERENCE], ids=lambda path: path.name
)


@pytest.fixture(scope="module")
def readme():
    return docs.parse(docs.README)


@pytest.fixture(scope="module")
def reference():
    return docs.parse(docs.REFERENCE)


@DOCUMENTS
def test_it_is_plain_restructuredtext(path):
    # Without a warning; single backquotes are a mistake for double ones.
    assert not list(docs.parse(path).findall(nodes.title_reference))


# The examples


@DOCUMENTS
def test_every_command_prints_what_the_text_shows(path, tmp_path):
    with docs.Terminal(tmp_path) as terminal:
        for command, documented in docs.steps(docs.parse(path)):
            if command != TEST:  # this test run
                expected, output = terminal.expect(documented, terminal.type(command))
                assert output == expected, command


def test_one_command_starts_it_and_one_passes_the_tests(readme):
    commands = [command for command, _ in docs.steps(readme)]

    assert commands[0] == START
    assert [command for command in commands if "pytest" in command] == [TEST]


def test_the_first_30_lines_are_all_that_a_newcomer_needs():
    top = "\n".join(docs.README.read_text("utf-8").splitlines()[:30])

    for example in (START, TEST, "curl", '"status":"enrolled"', "fleet list", "online"):
        assert example in top


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return what the Python examples in a section of a document define."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RPA_API_TOKEN", OPERATOR_TOKEN)
    apps = []

    def make(title, path=docs.HOST, instead=("", "")):
        part = docs.section(docs.parse(path), title)
        blocks = [code.replace(*instead) for code in docs.blocks(part, "python")]
        modules = [run(code) for code in blocks]
        for module in modules:
            if "create_app" in module:
                module["app"] = module["create_app"]()
            apps.append(module["app"])
        return modules

    yield make
    close(apps)


def run(code):
    """Run *code* as a new module; return its globals."""
    module = {"__name__": "example"}
    exec(compile(code, "example.py", "exec"), module)
    return module


def close(apps):
    for app in apps:
        if "lea_fleet" in app.extensions:
            app.extensions["lea_fleet"].store.close_idle()


@pytest.mark.parametrize(
    ("title", "prefix"),
    [
        ("With the application", PREFIX),
        ("With an application factory", "/fleet/v1"),
    ],
)
def test_each_way_to_add_it_to_a_host_serves_the_fleet(host, title, prefix):
    (module,) = host(title, docs.README)

    operator = Api(module["app"].test_client(), OPERATOR_TOKEN, prefix)
    assert operator.enroll("PC-1").heartbeat().status_code == 200


def statuses(client, token):
    """Return the statuses of a host with a guard for the holder of *token*."""
    headers = {"Authorization": f"Bearer {token}"}
    requests = [
        ("GET", "/health"),
        ("POST", "/api/v1/traces"),
        ("POST", "/api/v1/workflows"),
        ("POST", f"{PREFIX}/heartbeat"),
    ]
    answers = [client.open(path, method=how, headers=headers) for how, path in requests]
    return [answer.status_code for answer in answers]


def add_routes(app):
    app.get("/health")(lambda: "ok")
    app.post("/api/v1/traces", endpoint="traces")(lambda: "thanks")
    app.post("/api/v1/workflows", endpoint="workflows")(lambda: "saved")


def test_a_guard_that_compares_tokens_lets_agents_in_as_the_host_says(host):
    (module,) = host("A host that guards every request")
    add_routes(module["app"])
    client = module["app"].test_client()
    agent = Api(client, OPERATOR_TOKEN).enroll("PC-1")

    assert statuses(client, OPERATOR_TOKEN) == [200, 200, 200, 400]
    assert statuses(client, agent.token) == [200, 200, 403, 200]
    assert statuses(client, "wrong") == [200, 401, 401, 401]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("viewer", [200, 401, 401, 403]),
        ("operator", [200, 200, 200, 400]),
        ("admin", [200, 200, 200, 400]),
    ],
)
def test_such_a_guard_lets_operators_in_and_no_viewer(host, role, expected):
    (module,) = host("A host that guards every request")
    add_routes(module["app"])
    client = module["app"].test_client()
    admin = Api(client, OPERATOR_TOKEN)
    made = admin.post("/operators", {"name": "Nadia", "role": role}).json

    assert statuses(client, made["token"]) == expected
    admin.request("DELETE", f"/operators/{made['id']}")
    assert statuses(client, made["token"]) == [200, 401, 401, 401]


#: Ways to register the blueprint, for which Flask gives it another name.
NESTED = """
from flask import Blueprint
parent = Blueprint("parent", __name__, url_prefix="/api/v1")
parent.register_blueprint(lea_fleet.blueprint, url_prefix="/agents")
app.config["LEA_FLEET_PAGE"] = "/fleet"
app.register_blueprint(parent)
fleet = lea_fleet.LeaFleet()
"""
RENAMED = "fleet = lea_fleet.LeaFleet(app, name='another')"


@pytest.mark.parametrize(
    "way", ["", NESTED, RENAMED], ids=["plain", "nested", "renamed"]
)
def test_such_a_guard_leaves_the_fleets_own_routes_to_the_fleet(host, way):
    instead = ("fleet = lea_fleet.LeaFleet(app)", way) if way else ("", "")
    (module,) = host("A host that guards every request", instead=instead)
    app = module["app"]
    add_routes(app)
    client = app.test_client()
    agent = Api(client, OPERATOR_TOKEN).enroll("PC-1")

    assert agent.post("/uninstall").status_code == 200
    assert agent.post("/uninstall").status_code == 200  # repeated by a departed agent
    assert agent.heartbeat().json["code"] == "agent_uninstalled"
    assert statuses(client, agent.token) == [200, 401, 401, 401]
    assert Api(client, "wrong").get("/fleet").json["code"] == "invalid_token"
    assert client.get("/fleet").status_code == 200  # the page, which contains no data


def test_a_hosts_views_know_agents_and_operators(host, caplog):
    app = host("Calling the fleet from Python")[0]["app"]
    app.logger.setLevel("INFO")
    client = app.test_client()
    agent = Api(client, OPERATOR_TOKEN).enroll("PC-1")

    agent.prefix = ""
    assert agent.get("/robots/mine").json == {"machine_id": "PC-1"}
    assert client.get("/robots/mine").status_code == 401
    assert agent.get("/robots").status_code == 403
    counts = Api(client, OPERATOR_TOKEN, "").get("/robots").json
    assert counts == {"active": 1, "uninstalled": 0}
    assert client.get(f"{PREFIX}/fleet").status_code == 401
    with client.session_transaction() as session:
        session["admin"] = "zoe"
    assert client.get(f"{PREFIX}/fleet").status_code == 200
    uninstall = {"json": {"machine_id": "PC-1"}}
    url = f"{PREFIX}/uninstall"
    assert client.post(url, **uninstall).json["code"] == "cross_site"
    same_origin = {"Sec-Fetch-Site": "same-origin"}
    assert client.post(url, headers=same_origin, **uninstall).status_code == 200
    assert "PC-1 has left" in caplog.text


def test_a_host_can_do_in_python_what_the_api_can(host):
    (module,) = host("What the API can do, from Python")
    operator = Api(module["app"].test_client(), OPERATOR_TOKEN)

    assert (module["made"]["state"], module["revoked"]["state"]) == (
        "active",
        "revoked",
    )
    assert module["issued"] == [module["made"]]
    assert operator.get("/enrollment-tokens").json["enrollment_tokens"] == [
        module["revoked"]
    ]
    assert (module["status"], module["agent"]["hostname"]) == ("enrolled", "COMPTA-7")
    assert module["until"] > module["agent"]["enrolled_at"]
    assert [agent["machine_id"] for agent in module["page"].agents] == ["PC-7"]
    assert module["totals"]["online"] == module["totals"]["total"] == 1
    told = [event["event"] for event in module["events"]]
    assert told[:3] == ["release_cancelled", "released", "token_rotated"]
    assert told[-1] == "enrolled" and module["before"] is None
    assert {event["actor"]["role"] for event in module["events"]} == {"host"}
    assert module["gone"] == operator.machine("PC-7")
    agent = Api(operator.client, module["third"])
    assert agent.post("/uninstall").status_code == 200  # its last token, departed
    agent.token = module["first"]
    assert agent.post("/uninstall").json["code"] == "agent_uninstalled"


def test_a_login_of_the_hosts_stands_before_the_page(host):
    client = host("The operator's page behind the host's login")[0]["app"].test_client()

    assert client.get("/ops/fleet").location == "/login"
    with client.session_transaction() as session:
        session["admin"] = "zoe"
    assert 'data-signed-in="operator"' in client.get("/ops/fleet").text
    assert client.get(f"{PREFIX}/fleet").status_code == 200


def test_flask_login_tells_operators_from_other_users(host):
    (module,) = host("Flask-Login and roles")
    client = module["app"].test_client()

    for user, status, code in [
        (None, 401, "missing_token"),
        ("zoe", 200, None),
        ("clerk", 403, "insufficient_scope"),
    ]:
        if user is not None:
            assert client.post(f"/login/{user}").text == "welcome"
        answer = client.get(f"{PREFIX}/fleet")
        assert (answer.status_code, answer.json.get("code")) == (status, code)


def test_the_references_python_runs(reference, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RPA_API_TOKEN", OPERATOR_TOKEN)
    (code,) = docs.blocks(reference, "python")

    close([run(code)["app"], run(code)["app"]])

    assert capsys.readouterr().out == "enrolled online\nalready_enrolled ask_operator\n"


# The reference and the program


def test_every_setting_has_its_default_and_an_example(reference, make_app):
    documented = docs.subsections(docs.section(reference, "Settings"))
    facts = [setting.metadata for setting in fields(Settings)]
    defaults = {fact["key"]: fact["default"] for fact in facts}

    assert list(documented) == setting_keys()
    # Some need others: the examples work together.
    examples = {}
    for key, part in documented.items():
        default, example = (field[1].astext() for field in part.findall(nodes.field))
        expected = defaults[key]
        none = "none; required" if key == "RPA_API_TOKEN" else "none"
        assert default == (none if expected is None else str(expected))
        examples[key] = {"True": True, "False": False}.get(example, example)
        if not key.startswith(("LEA_FLEET_WEBHOOK_", "LEA_FLEET_MAIL_")):
            make_app(**{key: examples[key]})
    keys = [key for key in examples if "_DATABASE_" not in key]
    make_app(**{key: examples[key] for key in keys if key != "RPA_AGENTS_DB_PATH"})


def routes(app):
    """Return each route as the documents write it, with its rule below the prefix."""
    return {
        f"{method} {path_of(rule)}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.")
        for method in rule.methods - {"HEAD"}
    }


def path_of(rule):
    return re.sub(r"<.*:", "<", rule.rule.removeprefix(PREFIX))


def test_every_route_has_an_example_that_calls_it(reference, app):
    documented = docs.subsections(docs.section(reference, "Routes"))
    urls = app.url_map.bind("127.0.0.1")

    assert documented.keys() == routes(app)
    for title, part in documented.items():
        ((command, _),) = docs.steps(part)
        asked = re.search(r" -X (\w+)", command)
        method = asked[1] if asked else "POST" if " -d " in command else "GET"
        endpoint, _ = urls.match(re.search(r":\d+(/[^\s?']+)", command)[1], method)
        rule = next(app.url_map.iter_rules(endpoint))
        assert title == f"{method} {path_of(rule)}"


def test_the_table_of_roles_has_each_route_where_its_view_declares_it(reference, app):
    part = docs.section(reference, "Operators")
    (body,) = part.findall(nodes.tbody)
    rows = [[docs.literals(cell) for cell in row] for row in body]

    assert [names.pop() for names, _ in rows] == [*OPERATOR_ROLES]
    least = {}  # the first role that may call it, each beside those before it
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("lea_fleet."):
            view = app.view_functions[rule.endpoint]
            roles = getattr(view, "admitted_roles", ("operator",))
            role = next(role for role in OPERATOR_ROLES if role in roles)
            for method in rule.methods - {"HEAD"}:
                least.setdefault(role, set()).add(f"{method} {path_of(rule)}")
    assert [may_call for _, may_call in rows] == [
        least.get(role, set()) for role in OPERATOR_ROLES
    ]


def codes(family=Problem):
    """Return the status and action of each problem code of the program."""
    concrete = hasattr(family, "code")
    found = {family.code: (str(family.status), family.action)} if concrete else {}
    for child in family.__subclasses__():
        found |= codes(child)
    return found


def definitions(part):
    """Return the terms of the definition lists in *part*, with their definitions."""
    for item in part.findall(nodes.definition_list_item):
        (term,) = item.findall(nodes.term)
        classifiers = [found.astext() for found in item.findall(nodes.classifier)]
        yield term.astext(), classifiers, item[-1].astext()


def test_every_code_has_its_status_its_action_and_a_reason(reference):
    listed = list(definitions(docs.section(reference, "Errors")))

    assert {code: tuple(facts) for code, facts, _ in listed} == codes()
    assert len(listed) == len(codes())
    for code, _, text in listed:
        when, why = text.split("Why:")
        assert len(when.split()) > 3 and len(why.split()) > 3, code


def test_one_code_alone_ends_an_identity():
    ending = [code for code, (_, action) in codes().items() if action == "reenroll"]

    assert ending == ["agent_uninstalled"]


def test_the_commands_page_is_what_the_program_says_today():
    written = docs.COMMANDS.read_text("utf-8")

    assert commands_page.page(written) == written


def test_the_commands_page_keeps_what_is_written_by_hand(monkeypatch):
    written = docs.COMMANDS.read_text("utf-8")
    outdated = written.replace("Print JSON", "Print YAML").replace("--json ", "--yaml")

    assert "it says so and tries again." in written
    assert commands_page.page(outdated) == written


def test_every_table_has_its_columns_and_indexes(reference):
    documented = docs.subsections(docs.section(reference, "Tables"))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            files("lea_fleet.storage.sqlite").joinpath("schema.sql").read_text()
        )
        tables = rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")

        assert documented.keys() == tables - {"sqlite_sequence"}
        for name, part in documented.items():
            named = ", ".join(term for term, _, _ in definitions(part)).split(", ")
            columns = rows(connection, f"SELECT name FROM pragma_table_info('{name}')")
            indexes = rows(
                connection,
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql <> ''"
                f" AND tbl_name = '{name}'",
            )
            assert sorted(named) == sorted(columns)
            assert indexes <= docs.literals(part)


def rows(connection, query):
    return {row[0] for row in connection.execute(query)}


def signature(name, function):
    """Return the signature of *function* without types and without self."""
    found = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=parameter.empty)
        for parameter in found.parameters.values()
        if parameter.name != "self"
    ]
    bare = found.replace(parameters=parameters, return_annotation=found.empty)
    return f"{name}{bare}"


def python_names(reference, title):
    part = docs.section(docs.section(reference, "Python"), title)
    return [term for term, _, _ in definitions(part)]


def test_every_public_name_is_there_and_no_other(reference):
    names = python_names(reference, "The package")
    names += python_names(reference, "Signals")

    assert sorted(name.split("(")[0] for name in names) == sorted(lea_fleet.__all__)
    for name in filter(lambda name: "(" in name, names):
        bare = name.split("(")[0]
        assert name == signature(bare, getattr(lea_fleet, bare))


#: The sections about what the repository has, by the class.
TITLES = {
    EnrollmentTokens: "repository.enrollment_tokens",
    Events: "repository.events",
    Listing: "repository.listing",
    Annotations: "repository.annotations",
    MachineStates: "repository.states",
}


@pytest.mark.parametrize(
    ("owner", "promised"),
    [
        (LeaFleet, {"init_app", "repository", "authenticate", "operator_loader"}),
        (
            AgentRepository,
            {
                "get",
                "list_by_status",
                "count_by_status",
                "enroll",
                "uninstall",
                "touch_last_seen",
                "release",
                "cancel_release",
                "rotate_token",
                "replace_token",
                "transaction",
                "snapshot",
                "annotations, enrollment_tokens, events, listing, states",
            },
        ),
        (EnrollmentTokens, {"create", "list", "revoke"}),
        (Events, {"page", "after", "end"}),
        (Listing, {"page", "totals"}),
        (
            MachineStates,
            {"block", "unblock", "mute", "unmute", "retire", "cancel_retirement"},
        ),
    ],
)
def test_every_method_for_hosts_is_called_as_documented(reference, owner, promised):
    names = python_names(reference, TITLES.get(owner, owner.__name__))

    assert {name.split("(")[0] for name in names} == promised
    for name in filter(lambda name: "(" in name, names):
        bare = name.split("(")[0]
        assert name == signature(bare, getattr(owner, bare))


# The page about the kit and the scripts

SCRIPTS = ("enroll.sh", "uninstall.sh", "lea-fleet.sh")


@pytest.fixture(scope="module")
def scripts():
    kit = files("lea_fleet").joinpath("installer")
    return "\n".join(kit.joinpath(name).read_text("utf-8") for name in SCRIPTS)


def terms(part):
    return ", ".join(term for term, _, _ in definitions(part)).split(", ")


@pytest.fixture(scope="module")
def posix():
    """The subsections about Linux and macOS."""
    page = docs.section(docs.parse(docs.INSTALLER), "Linux and macOS")
    return docs.subsections(page)


def test_every_option_of_the_scripts_is_there(posix, scripts):
    options = re.findall(r"^    (--[a-z-]+)\) \w+=", scripts, re.MULTILINE)
    named = [term.split()[0] for term in terms(posix["Options"])]
    named += [name for name in docs.literals(posix["Uninstalling"]) if name[:2] == "--"]

    assert len(options) > 12 and sorted(options) == sorted(named)


def test_every_variable_of_the_scripts_is_there(posix, scripts):
    read = set(re.findall(r"\bLEA_[A-Z_]+", scripts))

    assert set(terms(posix["Environment"])) == read


def test_every_file_of_the_scripts_is_there(posix, scripts):
    stored = set(re.findall(r"\b[a-z-]+\.txt\b", scripts)) - {"lea-enroll-token.txt"}

    assert set(terms(posix["Files"])) == stored


def test_every_exit_code_of_the_scripts_is_there(posix, scripts):
    codes = set(re.findall(r"\b(?:exit|fail) (\d+)\b", scripts)) - {"130", "143"}

    assert set(terms(posix["Exit codes"])) == codes


# Both documents and the program


@WHOLE
def test_it_names_no_setting_code_or_route_that_is_not_there(path, app):
    text = path.read_text("utf-8")
    settings = re.findall(r"\b(?:RPA|LEA_FLEET)_[A-Z_]*[A-Z]\b", text)
    refusals = re.findall(r"\b([45]\d\d)\s``([a-z]+_[a-z_]+)``", text)
    route = r"\b(GET|POST|PUT|PATCH|DELETE)\s`*(/[\w/<>-]*(?:\.json|\.sh)?)"
    paths = re.findall(route, text)

    assert settings and set(settings) <= set(setting_keys())
    assert refusals and all(codes()[code][0] == status for status, code in refusals)
    assert paths and {f"{method} {route}" for method, route in paths} <= routes(app)


@WHOLE
def test_its_actions_are_those_of_the_errors(path):
    text = path.read_text("utf-8")
    actions = {action for _, action in codes().values()}

    for action in actions:
        assert f"``{action}``" in text
