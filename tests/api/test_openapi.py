"""The OpenAPI document matches the routes, errors, responses and the reference.

In both directions: it documents everything that the program does, and nothing else.
"""

from __future__ import annotations

import inspect
import json
import re
from importlib.metadata import version
from importlib.resources import files

import pytest
from docutils import nodes
from flask import Blueprint, Flask
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from lea_fleet import LeaFleet, blueprint
from lea_fleet.api.payloads import queries
from lea_fleet.core.alerts import ALERTS
from lea_fleet.core.limits import MOST_OWN_VIEWS
from lea_fleet.core.problems import Problem
from lea_fleet.storage.imports import Imports
from tests.support import docs
from tests.support.api import OPERATOR_TOKEN, PREFIX, Api, assert_problem

TEXT = files("lea_fleet.api").joinpath("openapi.json").read_text("utf-8")
DOCUMENT = json.loads(TEXT)
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}

#: The route of a file.
SCRIPT = "/installer-kit/enroll.sh"


def resolved(node):
    """Follow a reference, if *node* is one."""
    while "$ref" in node:
        target = DOCUMENT
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def codes_of(schema):
    """Return the problem codes in a schema."""
    found = [resolved(part) for part in schema.get("oneOf", [schema])]
    return [problem["properties"]["code"]["const"] for problem in found]


#: OpenAPI describes the methods that a path has, and nothing of those that it lacks.
OF_NO_ROUTE = {"method_not_allowed"}


def problems():
    """Yield each route with each status and code that the document lists for it."""
    for (method, path), operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            content = resolved(response)["content"]
            if "application/problem+json" in content:
                schema = content["application/problem+json"]["schema"]
                for code in codes_of(schema):
                    yield method, path, int(status), code


def assert_fits(instance, schema):
    """Assert that *instance* matches *schema*, a part of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(instance)


def assert_documented(response, method, path):
    """Assert that a response of a route is as documented."""
    documented = OPERATIONS[method, path]["responses"][str(response.status_code)]
    content = resolved(documented)["content"][response.mimetype]
    sent = response.json if response.is_json else response.data.decode("latin-1")
    assert_fits(sent, content["schema"])
    for name, header in resolved(documented).get("headers", {}).items():
        assert name in response.headers or not resolved(header).get("required")


# The document itself


def test_it_is_valid_openapi():
    validate(DOCUMENT)


def test_it_is_ascii_and_laid_out_in_one_way():
    components = DOCUMENT["components"].values()

    assert TEXT == json.dumps(DOCUMENT, indent=2) + "\n"
    assert list(DOCUMENT["paths"]) == sorted(DOCUMENT["paths"])
    assert all(list(parts) == sorted(parts) for parts in components)


def test_it_is_of_the_version_that_is_installed():
    assert DOCUMENT["info"]["version"] == version("lea-fleet")


def test_every_component_is_used():
    defined = {
        f"#/components/{kind}/{name}"
        for kind, parts in DOCUMENT["components"].items()
        for name in parts
        if kind != "securitySchemes"
    }

    assert set(re.findall(r'"(#/components/[^"]+)"', TEXT)) == defined


def examples():
    for operation in OPERATIONS.values():
        for part in (operation.get("requestBody"), *operation["responses"].values()):
            for content in resolved(part or {}).get("content", {}).values():
                if "example" in content:
                    yield content["example"], content["schema"]


def test_every_example_fits_its_schema():
    assert len(list(examples())) >= 15
    for example, schema in examples():
        assert_fits(example, schema)


# How it is served and printed


def prefixed(prefix, **options):
    """Return applications that serve below *prefix*, each by a different method."""
    by_setting, by_option, nested = (
        Flask(__name__, static_folder=None) for _ in range(3)
    )
    for app in (by_setting, by_option, nested):
        app.config.update(options)
    by_setting.config["LEA_FLEET_URL_PREFIX"] = prefix
    LeaFleet(by_setting)
    LeaFleet(by_option, url_prefix=f"{prefix}/")
    first, rest = re.fullmatch("(/[^/]+)(/.+)", prefix).groups()
    parent = Blueprint("parent", __name__, url_prefix=first)
    parent.register_blueprint(blueprint, url_prefix=rest)
    nested.register_blueprint(parent)
    return by_setting, by_option, nested


@pytest.mark.parametrize("root", ["", "/rpa"])
def test_its_server_is_where_the_routes_stand(engine, root):
    apps = prefixed(
        "/fleet/v1",
        RPA_API_TOKEN=OPERATOR_TOKEN,
        **engine.settings,
        LEA_FLEET_METRICS=True,
        APPLICATION_ROOT=root or "/",
    )
    for app in apps:
        served = Api(app.test_client(), OPERATOR_TOKEN, "/fleet/v1").get(
            "/openapi.json", environ_overrides={"SCRIPT_NAME": root}
        )
        assert served.json == {**DOCUMENT, "servers": [{"url": f"{root}/fleet/v1"}]}
        assert served.data.isascii()


def test_the_command_prints_what_is_served(make_app):
    app = make_app(LEA_FLEET_URL_PREFIX="/rpa/agents")
    operator = Api(app.test_client(), OPERATOR_TOKEN, "/rpa/agents")

    printed = app.test_cli_runner().invoke(args=["fleet", "openapi"])

    assert printed.exit_code == 0
    assert printed.output.isascii()
    assert json.loads(printed.output) == operator.get("/openapi.json").json


def test_by_itself_it_is_of_the_default_prefix(operator):
    assert operator.get("/openapi.json").json == DOCUMENT


@pytest.mark.parametrize("on", [True, False])
def test_it_has_the_metrics_where_they_are_on(make_app, on):
    app = make_app(LEA_FLEET_METRICS=on)
    printed = app.test_cli_runner().invoke(args=["fleet", "openapi"])
    served = Api(app.test_client(), OPERATOR_TOKEN).get("/openapi.json")

    assert json.loads(printed.output) == served.json
    assert ("/metrics" in served.json["paths"]) is on


# Against the routes


def views(app):
    """Return the view of each documented route."""
    return {
        (method, re.sub(r"<(?:.*:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX))): (
            rule.endpoint,
            app.view_functions[rule.endpoint],
        )
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("lea_fleet.")
        for method in rule.methods - {"HEAD"}
    }


def test_it_has_every_route_and_no_other(app):
    assert OPERATIONS.keys() == views(app).keys()


def test_each_operation_is_called_and_summed_up_as_its_view(app):
    for route, (endpoint, view) in views(app).items():
        operation = OPERATIONS[route]
        assert f"lea_fleet.{operation['operationId']}" == endpoint
        assert operation["summary"] == inspect.getdoc(view).splitlines()[0]


def test_each_operation_is_for_the_roles_of_its_view(app):
    for route, (_, view) in views(app).items():
        admitted = getattr(view, "admitted_roles", ("operator",))
        entries = OPERATIONS[route]["security"]
        roles = [role for entry in entries for role in entry["bearer"]]
        # A departed agent still has the role of an agent.
        assert roles == [role for role in admitted if role != "departed"]


def test_each_operation_has_the_parameters_of_its_path():
    for (_, path), operation in OPERATIONS.items():
        parameters = map(resolved, operation.get("parameters", []))
        in_path = [each["name"] for each in parameters if each["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/fleet", "/fleet"),
        ("/alerts", "/alerts"),
        ("/blocks", "/blocks"),
        ("/fleet/summary", "/fleet/summary"),
        ("/events", "/events"),
        ("/duplicates", "/duplicates"),
        ("/machines/{machine_id}/events", "/machines/PC-1/events"),
        ("/refusals", "/refusals"),
    ],
)
def test_each_query_has_every_parameter_and_no_other(operator, monkeypatch, path, url):
    operator.enroll("PC-1")
    known = []
    single = queries.single

    def noted(given, *names):
        known.extend(names)
        return single(given, *names)

    monkeypatch.setattr(queries, "single", noted)
    parameters = map(resolved, OPERATIONS["GET", path]["parameters"])
    documented = [each for each in parameters if each["in"] == "query"]

    empty = {each["name"]: "" for each in documented if "allowEmptyValue" in each}
    assert operator.get(url, query_string=empty).status_code == 200

    assert known == [each["name"] for each in documented]


# Against the errors


def classes(family=Problem):
    """Return the class of each problem code."""
    found = {family.code: family} if hasattr(family, "code") else {}
    for child in family.__subclasses__():
        found |= classes(child)
    return found


def test_it_has_every_code_and_no_other():
    listed = {code for *_, code in problems()}

    assert listed == classes().keys() - OF_NO_ROUTE


def test_each_code_has_the_status_action_and_title_of_its_class():
    for *_, status, code in problems():
        family = classes()[code]
        schema = DOCUMENT["components"]["schemas"][family.__name__]
        assert status == family.status == schema["properties"]["status"]["const"]
        assert schema["properties"]["action"]["const"] == family.action
        assert schema["title"] == family.title


@pytest.fixture
def host(engine):
    """An application in which every visitor is signed in as an operator."""
    app = Flask(__name__)
    app.config.update(RPA_API_TOKEN=OPERATOR_TOKEN, **engine.settings)
    LeaFleet(app).operator_loader(lambda: True)
    yield Api(app.test_client())
    app.extensions["lea_fleet"].store.close_idle()


@pytest.fixture
def provoke(client, operator, host, engine, monkeypatch, the_clock):
    """Return a function that provokes an error code on a route."""

    def send(caller, method, path, *, machine="PC-1", token_id=1, **options):
        url = re.sub("{.*}", str(token_id), path.replace("{machine_id}", machine))
        if method == "GET":
            return caller.get(url, **options)
        if not {"data", "json"} & options.keys():
            options["json"] = {"machine_id": machine, "by": "PC-0"}
        return caller.request(method, url, **options)

    def uninstalled():
        operator.enroll("PC-1")
        operator.uninstall("PC-1")
        return operator

    def installer_of_the_past(**members):
        installer = operator.installer(expires="1h", **members)
        the_clock.advance(hours=2)
        return installer

    def replaced_and_uninstalled():
        agent = operator.enroll("PC-9")
        later = agent.post("/machines/PC-9/token").json["api_token"]
        Api(client, later).post("/heartbeat")
        the_clock.advance(seconds=1)
        operator.uninstall("PC-9")
        return agent

    def revoked():
        installer = operator.installer()
        operator.request("DELETE", "/enrollment-tokens/1")
        return installer

    def exhausted():
        installer = operator.installer(max_uses=1)
        installer.enroll("PC-8")
        return installer

    def blocked():
        operator.enroll("PC-1")
        assert operator.post("/machines/PC-1/block").status_code == 200
        return operator

    def without_database(fault):
        def fail(connections):
            raise fault

        monkeypatch.setattr(engine.store, "acquire", fail)
        return Api(client, "lea_agent_unknown")

    def ask(method, path, code):
        def to(caller, **options):
            return send(caller, method, path, **options)

        match code:
            case "invalid_json":
                return to(operator, data=b"[]", content_type="application/json")
            case "invalid_field" if method == "GET":
                operator.enroll("PC-1")
                return to(operator, query_string={"nothing": "1", "state": "none"})
            case "invalid_field":
                wrong = {"machine_id": 7, "max_uses": 0, "reason": 7, "for": 7}
                wrong |= {"enrollment_token": -1, "add": [7], "text": 7, "ids": [7.5]}
                return to(operator, json=wrong)
            case "missing_token":
                return to(Api(client))
            case "invalid_token":
                return to(Api(client, "wrong"))
            case "token_expired":
                return to(installer_of_the_past())
            case "token_revoked":
                return to(revoked())
            case "agent_uninstalled":
                return to(replaced_and_uninstalled())
            case "insufficient_scope" if path in ("/enroll", SCRIPT):
                return to(operator.enroll("PC-1"))
            case "insufficient_scope":
                return to(operator.installer())
            case "cross_site":
                return to(host)
            case "wrong_machine":
                return to(operator.enroll("PC-2"), json={"machine_id": "PC-1"})
            case "enrollment_token_exhausted":
                return to(exhausted())
            case "machine_blocked":
                return to(blocked())
            case "not_found":
                return to(operator, token_id="x")
            case "unknown_selection":
                sent = {} if method == "GET" else {"json": {"action": "release"}}
                return to(operator, **sent)
            case "unknown_view":
                return to(operator, json={"name": "Stale"})
            case "view_name_taken":
                for name in ("Silent", "Stale"):
                    operator.post("/views", {"name": name})
                return to(operator, json={"name": "STALE"})
            case "too_many_views":
                operator.post("/views", {"name": "Shared", "shared": True})
                for number in range(MOST_OWN_VIEWS):
                    operator.post("/views", {"name": f"{number}"})
                return to(operator, json={"name": "Stale"})
            case "unknown_agent" | "unknown_enrollment_token" | "unknown_operator":
                known = {"machine_id": "PC-1", "for": "1d", "by": "PC-0"}
                known |= {"add": ["vip"], "text": "Broken"}
                return to(operator, json=known)
            case "already_enrolled":
                operator.enroll("PC-1")
                return to(operator)
            case "reactivation_refused":
                refusing = {"machine_id": "PC-1", "allow_reactivate": False}
                return to(uninstalled(), json=refusing)
            case "machine_online":
                operator.enroll("PC-0")
                operator.enroll("PC-1")
                return to(operator)
            case "machine_uninstalled" if path.endswith("/replace"):
                operator.enroll("PC-1")
                operator.enroll("PC-0")
                operator.uninstall("PC-0")
                return to(operator)
            case "machine_uninstalled":
                return to(uninstalled())
            case "body_too_large":
                large = b" " * 65 * 1024
                return to(operator, data=large, content_type="application/json")
            case "unsupported_media_type":
                return to(operator, data=b"{}", content_type="text/plain")
            case "too_many_rotations":
                agent = operator.enroll("PC-1")
                for _ in range(20):
                    assert to(agent).status_code == 201
                return to(agent)
            case "database_busy":
                return to(without_database(engine.busy))
            case "database_unavailable":
                return to(without_database(engine.fault))

    return ask


@pytest.mark.parametrize(("method", "path", "status", "code"), list(problems()))
def test_each_route_answers_with_each_of_its_codes(provoke, method, path, status, code):
    response = provoke(method, path, code)

    assert_problem(response, status, code)
    assert_documented(response, method, path)


# Against the answers


def test_every_answer_is_as_its_schema_says(operator, client, app):
    def check(response, method, path):
        assert response.status_code in (200, 201), response.text
        assert_documented(response, method, path)
        checked.add((method, path))
        return response

    checked = set()
    enrolling = {"machine_id": "PC-1", "hostname": "A", "user_name": "Zoe"}
    enrolled = check(operator.post("/enroll", enrolling), "POST", "/enroll")
    agent = Api(client, enrolled.json["api_token"])
    check(agent.post("/heartbeat", {"version": "1"}), "POST", "/heartbeat")
    agent.post("/heartbeat", {"hostname": "B"})
    agent.post("/heartbeat", {"hostname": "A"})  # a suspected clone
    on_machine = "/machines/{machine_id}"
    check(agent.get("/machines/PC-1"), "GET", on_machine)
    rotated = agent.post("/machines/PC-1/token")
    check(rotated, "POST", f"{on_machine}/token")
    agent.token = rotated.json["api_token"]
    for method in ("POST", "DELETE", "POST"):
        retired = operator.request(method, "/machines/PC-1/retire")
        check(retired, method, f"{on_machine}/retire")
    told = check(agent.post("/heartbeat"), "POST", "/heartbeat")
    assert told.json["retire"] is True
    check(operator.get("/machines/PC-1"), "GET", on_machine)
    presence = operator.get("/machines/PC-1/presence")
    check(presence, "GET", f"{on_machine}/presence")
    for number in range(21):
        agent.post("/heartbeat", {"hostname": f"H{number}"})
    copy = Api(client, enrolled.json["api_token"])
    assert copy.post("/heartbeat").json["code"] == "token_revoked"
    for method in ("POST", "DELETE", "POST"):
        released = operator.request(method, "/machines/PC-1/release")
        check(released, method, f"{on_machine}/release")
    check(operator.post("/enroll", enrolling), "POST", "/enroll")
    gone = operator.post("/machines/PC-1/cut-off")
    check(gone, "POST", f"{on_machine}/cut-off")
    check(operator.post("/enroll", enrolling), "POST", "/enroll")
    for method in ("POST", "DELETE", "POST"):
        blocked = operator.request(method, "/machines/PC-9/block")
        check(blocked, method, f"{on_machine}/block")
    for method, muting in ("POST", {"for": "1d"}), ("DELETE", {}):
        muted = operator.request(method, "/machines/PC-1/mute", json=muting)
        check(muted, method, f"{on_machine}/mute")
    for tagging in {"add": ["site=Lyon", "vip"]}, {"remove": ["vip"]}:
        tagged = operator.post("/machines/PC-1/tags", tagging)
        check(tagged, "POST", f"{on_machine}/tags")
    for method, noting in (
        ("POST", {"text": "Broken"}),
        ("DELETE", {}),
        ("POST", {"text": "Broken"}),
    ):
        noted = operator.request(method, "/machines/PC-1/note", json=noting)
        check(noted, method, f"{on_machine}/note")
    check(operator.get("/machines/PC-1"), "GET", on_machine)
    for query in ("", "?name=site"):
        check(operator.get(f"/tags{query}"), "GET", "/tags")
    selecting = {"filter": {"machine_id": "PC-1", "presence": ["online"]}}
    check(operator.post("/selections", selecting), "POST", "/selections")
    acting = {"action": "mute", "for": "1d"}
    check(operator.post("/selections/1", acting), "POST", "/selections/{selection_id}")
    exported = operator.get("/selections/1/csv")
    check(exported, "GET", "/selections/{selection_id}/csv")
    blocking = operator.post("/machines/PC-9/block", {"reason": "stolen"})
    check(blocking, "POST", f"{on_machine}/block")
    for query in ("", "?limit=1"):
        check(operator.get(f"/blocks{query}"), "GET", "/blocks")
    making = {"expires": "never"}
    made = operator.post("/enrollment-tokens", making)
    check(made, "POST", "/enrollment-tokens")
    installer = Api(client, made.json["token"])
    setting_up = {"token": installer.token, "url": "https://rpa.acme.example"}
    check(operator.post("/installer-kit", setting_up), "POST", "/installer-kit")
    for query in ("", "?url=https://rpa.acme.example"):
        check(operator.get(f"/installer-kit{query}"), "GET", "/installer-kit")
    check(installer.get(SCRIPT), "GET", SCRIPT)
    check(installer.post("/enroll", {"machine_id": "PC-2"}), "POST", "/enroll")
    for machine_id in ("PC-2", "A/B"):
        assert "code" in installer.post("/enroll", {"machine_id": machine_id}).json
        client.application.test_cli_runner().invoke(
            args=["fleet", "release", "--refused"]
        )
    for query in ("", "?limit=1", "?since=1d"):
        check(operator.get(f"/refusals{query}"), "GET", "/refusals")
    for query in ("", "?limit=1"):
        alerts = check(operator.get(f"/alerts{query}"), "GET", "/alerts")
        assert alerts.json["alerts"]
    released = operator.get("/machines/PC-2/events")
    check(released, "GET", f"{on_machine}/events")
    assert released.json["events"][0]["detail"]["enrollment_token"] == 1
    check(operator.get("/enrollment-tokens"), "GET", "/enrollment-tokens")
    revoked = operator.request("DELETE", "/enrollment-tokens/1")
    check(revoked, "DELETE", "/enrollment-tokens/{token_id}")
    naming = {"name": "Nadia, helpdesk", "role": "viewer"}
    named = check(operator.post("/operators", naming), "POST", "/operators")
    for asking in (operator, Api(client, named.json["token"])):
        check(asking.get("/whoami"), "GET", "/whoami")
    check(operator.get("/operators"), "GET", "/operators")
    for shared in (True, False):
        saving = {"name": "Stale", "filters": "presence=stale", "shared": shared}
        check(operator.post("/views", saving), "POST", "/views")
    changed = operator.request("PUT", "/views/1", json={**saving, "shared": True})
    check(changed, "PUT", "/views/{view_id}")
    for asking in (operator, Api(client, named.json["token"])):
        check(asking.get("/views"), "GET", "/views")
    deleted = operator.request("DELETE", "/views/1")
    check(deleted, "DELETE", "/views/{view_id}")
    revoked = operator.request("DELETE", "/operators/1")
    check(revoked, "DELETE", "/operators/{operator_id}")
    operator.enroll("PC-8")
    replacing = {"by": "PC-1", "force": True}
    replaced = operator.post("/machines/PC-8/replace", replacing)
    check(replaced, "POST", f"{on_machine}/replace")
    gone = operator.uninstall("PC-1", reason="replaced")
    check(gone, "POST", "/uninstall")
    for method in ("POST", "DELETE"):
        check(
            operator.request(method, "/machines/PC-1/block"),
            method,
            f"{on_machine}/block",
        )
    client.application.test_cli_runner().invoke(
        args=["fleet", "erase", "PC-1", "--yes"]
    )
    for there, back in ("PC-1", "PC-0"), ("PC-0", "PC-1"):
        client.application.test_cli_runner().invoke(
            args=["fleet", "edit", there, "--id", back, "--os-info", there]
        )
    for query in ("", "?limit=1", "?totals=0"):
        check(operator.get(f"/fleet{query}"), "GET", "/fleet")
    check(operator.get("/fleet/summary"), "GET", "/fleet/summary")
    check(operator.get("/machines/PC-1/events"), "GET", f"{on_machine}/events")
    check(operator.get("/machines/PC-1/events?limit=1"), "GET", f"{on_machine}/events")
    check(operator.get("/events"), "GET", "/events")
    check(operator.get("/duplicates"), "GET", "/duplicates")
    check(operator.get("/attention"), "GET", "/attention")
    check(operator.get("/openapi.json"), "GET", "/openapi.json")
    check(operator.get("/metrics"), "GET", "/metrics")
    accepted = {"Accept": "application/openmetrics-text"}
    check(operator.get("/metrics", headers=accepted), "GET", "/metrics")

    assert checked == OPERATIONS.keys()
    known = DOCUMENT["components"]["schemas"]["Event"]["properties"]["event"]["enum"]
    with app.app_context():
        repository = LeaFleet().repository
        with repository.transaction():
            Imports(repository.unit).add("PC-3", {"version": "1"})
    imported = operator.get("/machines/PC-3/events")
    check(imported, "GET", f"{on_machine}/events")
    oldest = operator.get("/machines/PC-1/events?limit=500")
    pages = oldest.json["events"] + imported.json["events"]
    told = {event["event"] for event in pages}
    assert told == set(known) - {"reactivated"}


def test_every_alert_and_member_of_one_is_documented():
    documented = DOCUMENT["components"]["schemas"]["Alert"]["properties"]

    assert documented["alert"]["enum"] == [*ALERTS]
    members = {member for members in ALERTS.values() for member in members}
    assert documented["detail"]["properties"].keys() == members


def test_every_answer_is_closed():
    """No schema accepts a response with an additional or a missing member."""
    for (_, path), operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            schema = resolved(response)["content"].get("application/json")
            if schema and path != "/openapi.json":
                assert resolved(schema["schema"])["additionalProperties"] is False, path


@pytest.mark.parametrize("path", ["/fleet", "/events"])
def test_csv_and_links_are_as_documented(operator, path):
    for machine_id in ("PC-1", "PC-2"):
        operator.enroll(machine_id)
    response = operator.get(f"{path}?format=csv&limit=1")
    documented = OPERATIONS["GET", path]["responses"]["200"]

    assert response.mimetype in documented["content"]
    assert documented["headers"].keys() <= set(response.headers.keys())


# Against the reference


@pytest.fixture(scope="module")
def reference():
    return docs.parse(docs.REFERENCE)


def words(node):
    return " ".join(node.astext().split())


def terms(part):
    """Return what the definition list in *part* says about each term."""
    return {
        name: words(item[-1])
        for item in part.findall(nodes.definition_list_item)
        for name in item[0].astext().split(", ")
    }


def test_each_operation_is_described_in_the_references_words(reference):
    sections = docs.subsections(docs.section(reference, "Routes"))

    for (method, path), operation in OPERATIONS.items():
        part = sections[f"{method} {path.replace('{', '<').replace('}', '>')}"]
        paragraph = next(part.findall(nodes.paragraph))
        assert operation["description"] == words(paragraph)


def test_each_code_is_described_in_the_references_words(reference):
    described = terms(docs.section(reference, "Errors"))

    assert described.keys() == classes().keys()
    for code in classes().keys() - OF_NO_ROUTE:
        schema = DOCUMENT["components"]["schemas"][classes()[code].__name__]
        assert schema["description"] == described[code]


@pytest.mark.parametrize("path", ["/fleet", "/events"])
def test_each_parameter_of_a_listing_is_described_in_the_references_words(
    reference, path
):
    described = terms(docs.section(reference, f"GET {path}"))

    assert described == {
        each["name"]: each["description"]
        for each in OPERATIONS["GET", path]["parameters"]
    }


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("POST /enroll", "Enrolling"),
        ("POST /enrollment-tokens", "MakingEnrollmentToken"),
        ("POST /installer-kit", "MakingKit"),
        ("POST /operators", "MakingOperator"),
        ("POST /views", "SavingView"),
        ("POST /machines/<machine_id>/block", "Blocking"),
        ("POST /machines/<machine_id>/mute", "Muting"),
        ("POST /machines/<machine_id>/note", "Noting"),
        ("POST /machines/<machine_id>/tags", "Tagging"),
        ("POST /selections", "Selecting"),
        ("POST /machines/<machine_id>/release", "Releasing"),
    ],
)
def test_each_member_of_a_body_is_in_the_reference(reference, title, name):
    members = DOCUMENT["components"]["schemas"][name]["properties"]
    described = terms(docs.section(reference, title))

    assert described.keys() == members.keys()
    for member, schema in members.items():
        if schema != {"$ref": "#/components/schemas/Detail"}:  # has its own text
            said = schema.get("description") or resolved(schema)["description"]
            assert said == described[member]
