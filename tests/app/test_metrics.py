"""Metrics for Prometheus: correct across workers, safe whatever machines report."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import yaml
from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as HostCounter
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lea_fleet import (
    ConfigurationError,
    LeaFleet,
    agent_required,
    operator_required,
)
from lea_fleet.app.counters import ProcessCounters
from lea_fleet.core.refused import CODES
from lea_fleet.core.limits import MOST_TAGS_COUNTED, MOST_TAGS_REPORTED, MOST_VERSIONS
from tests.support import docs
from tests.support.api import MONITOR_TOKEN, OPERATOR_TOKEN, PREFIX, Api, assert_problem
from tests.support.fleets import fill
from tests.support.processes import at_once
from tests.support.server import running_server

#: The Accept header fields of Prometheus 2 and 3.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(caller, **headers):
    """Return each sample of a response by name and labels; none may appear twice."""
    response = caller.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    parse = parse_openmetrics if "openmetrics" in response.mimetype else parse_text
    samples = [sample for family in parse(response.text) for sample in family.samples]
    found = {
        (sample.name.removeprefix("lea_fleet_"), *sample.labels.values()): sample.value
        for sample in samples
    }
    assert len(found) == len(samples)
    return found


@pytest.fixture
def risen(monitor):
    """Return the increase since the test began: counters are those of the process."""
    before = scrape(monitor)

    def rise():
        now = scrape(monitor)
        differences = {name: now[name] - before.get(name, 0) for name in now}
        return {name: value for name, value in differences.items() if value}

    return rise


def only(told, name):
    """Return the values of one series by its only label."""
    return {names[1]: told[names] for names in told if names[0] == name}


# Enabled or not


def test_it_is_off_unless_it_is_switched_on(make_app):
    operator = Api(make_app().test_client(), OPERATOR_TOKEN)

    assert_problem(operator.get("/metrics"), 404, "not_found", "ask_operator")


def test_a_bare_blueprint_has_it_where_it_is_switched_on(engine):
    from lea_fleet import blueprint

    app = Flask("host")
    app.config.update(
        RPA_API_TOKEN=OPERATOR_TOKEN,
        **engine.settings,
        LEA_FLEET_METRICS=True,
    )
    app.register_blueprint(blueprint, url_prefix="/agents")

    operator = Api(app.test_client(), OPERATOR_TOKEN, "/agents")
    assert scrape(operator)["agents", "active"] == 0
    assert operator.request("OPTIONS", "/metrics").status_code == 405
    assert operator.get("/metrics/").status_code == 404
    app.extensions["lea_fleet"].store.close_idle()


def test_the_token_of_the_metrics_is_nobodys_where_there_is_none(make_app):
    app = make_app(LEA_FLEET_METRICS=True)

    assert_problem(Api(app.test_client(), "").get("/metrics"), 401, "missing_token")
    stranger = Api(app.test_client(), MONITOR_TOKEN)
    assert_problem(stranger.get("/metrics"), 401, "invalid_token")


def test_a_monitor_is_nobody_to_the_hosts_own_routes(make_app):
    app = make_app(LEA_FLEET_METRICS=True, LEA_FLEET_METRICS_TOKEN=MONITOR_TOKEN)
    app.get("/mine")(agent_required(lambda: "yours"))
    headers = {"Authorization": f"Bearer {MONITOR_TOKEN}"}

    assert app.test_client().get("/mine", headers=headers).status_code == 401


def python(code, **variables):
    """Run *code* in a new Python process; return the lines it prints, and its log."""
    done = subprocess.run(
        # prometheus_client leaves its files open until the process ends.
        [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-c", code],
        env=docs.environment(RPA_API_TOKEN=OPERATOR_TOKEN, **variables),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_without_prometheus_client_everything_else_works(tmp_path):
    code = f"""
import sys
sys.modules["prometheus_client"] = None
import lea_fleet
app = lea_fleet.create_app({{"RPA_AGENTS_DB_PATH": {str(tmp_path / "a.db")!r}}})
headers = {{"Authorization": "Bearer {OPERATOR_TOKEN}"}}
body = {{"machine_id": "PC-1"}}
for route in ("enroll", "heartbeat", "enroll"):
    path = "{PREFIX}/" + route
    print(app.test_client().post(path, json=body, headers=headers).status_code)
try:
    lea_fleet.create_app({{"LEA_FLEET_METRICS": True}})
except lea_fleet.ConfigurationError as error:
    print(error)
"""
    (*statuses, error), _ = python(code)

    assert statuses == ["201", "200", "409"]
    assert "pip install 'lea-fleet[metrics]'" in error


def test_where_it_is_off_prometheus_client_is_not_even_loaded():
    code = "import sys, lea_fleet; lea_fleet.create_app(); print(*sys.modules)"

    (loaded,), _ = python(code)

    assert "lea_fleet.api.routes.metrics" in loaded and "prometheus" not in loaded


# The numbers


def test_the_fleet_is_told_as_it_is(operator, monitor, the_clock):
    operator.installer(max_uses=1).enroll("PC-0", version="1.9")
    operator.installer()
    operator.enroll("PC-1", version="1.10")
    operator.uninstall("PC-1")
    operator.enroll("PC-1")
    operator.enroll("PC-1", force=True)
    the_clock.advance(days=15)
    operator.enroll("PC-2")
    operator.uninstall("PC-2")
    operator.enroll("PC-3", version="1.10", hostname="A")
    the_clock.advance(minutes=10)
    operator.enroll("PC-4", version="1.10", hostname="A")
    for hostname in "BA":
        operator.post("/heartbeat", {"machine_id": "PC-4", "hostname": hostname})

    told = scrape(monitor)

    assert told["agents", "active"] == 4 and told["agents", "uninstalled"] == 1
    assert only(told, "agents_by_presence") == {
        "online": 1,
        "offline": 1,
        "stale": 2,
        "pending": 0,
    }
    assert only(told, "agents_by_version") == {"1.9": 1, "1.10": 3, "other": 0}
    assert told["suspected_clones",] == 1
    assert told["enrollment_tokens", "used_up"] == 0
    assert told["enrollment_tokens", "expired"] == 2
    assert told["enrollments_total", "enrolled"] == 5
    assert told["enrolments_total", "enrolled"] == 5
    assert told["enrolments_total", "reactivated"] == 1
    assert told["enrolments_total", "reenrolled"] == 1
    assert told["uninstalls_total",] == 2
    assert told["build_info", "0.1.0"] == 1


def test_enrollment_tokens_are_told_by_state(operator, monitor):
    operator.installer(max_uses=1).enroll("PC-0")
    for _ in range(3):
        operator.installer()
    operator.request("DELETE", "/enrollment-tokens/2")

    told = scrape(monitor)

    states = only(told, "enrollment_tokens")
    assert states == {"active": 2, "used_up": 1, "expired": 0, "revoked": 1}


def test_refused_machines_are_told_by_code(operator, monitor):
    operator.enroll("PC-1")
    first, second = operator.installer(), operator.installer()
    for installer in (first, second):
        installer.post("/enroll", {"machine_id": "PC-1"})
    first.post("/enroll", {"machine_id": "A/B"})

    refused = only(scrape(monitor), "refused_machines")
    assert refused == {**dict.fromkeys(CODES, 0), **refused}
    assert (refused["already_enrolled"], refused["invalid_field"]) == (1, 1)

    operator.enroll("PC-1", force=True)
    assert scrape(monitor)["refused_machines", "already_enrolled"] == 0


def test_of_equally_frequent_versions_the_unknown_is_first(engine, operator, monitor):
    many = [f"{number:02}" for number in range(MOST_VERSIONS)]
    rows = [{"machine_id": f"PC-{v}", "version": v} for v in (*many, None)]
    fill(engine, rows)

    told = scrape(monitor)

    versions = only(told, "agents_by_version")
    assert versions == dict.fromkeys(["", *many[:-1], "other"], 1)


def test_a_suspicion_ends_with_the_enrollment(operator, monitor):
    operator.enroll("PC-4", hostname="A")
    for hostname in "BA":
        operator.post("/heartbeat", {"machine_id": "PC-4", "hostname": hostname})
    assert scrape(monitor)["suspected_clones",] == 1

    operator.uninstall("PC-4")

    assert scrape(monitor)["suspected_clones",] == 0


def test_heartbeats_are_counted_as_written_or_fresh(operator, risen, the_clock):
    agent = operator.enroll()
    agent.heartbeat()
    for _ in range(3):
        agent.heartbeat()
    the_clock.advance(minutes=1)
    agent.heartbeat()
    agent.heartbeat(version="2")

    assert agent.post("/heartbeat", {"version": 7}).status_code == 400
    assert only(risen(), "heartbeats_total") == {"fresh": 4, "written": 2}


def test_refusals_are_counted_by_code(operator, anonymous, client, risen):
    agent = operator.enroll()
    for _ in range(2):
        operator.post("/enroll", {"machine_id": "PC-1"})
    agent.get("/fleet")
    anonymous.get("/fleet")
    anonymous.get("/metrics")
    Api(client, "wrong").get("/fleet")
    operator.get("/fleet?nothing=1")

    assert only(risen(), "refusals_total") == {
        "already_enrolled": 2,
        "insufficient_scope": 1,
        "missing_token": 2,
        "invalid_token": 1,
        "invalid_field": 1,
    }


def test_a_refusal_on_the_hosts_own_routes_is_counted_too(make_app, risen):
    app = make_app(LEA_FLEET_METRICS=True)
    app.get("/mine")(agent_required(lambda: "yours"))
    app.get("/all", endpoint="all")(operator_required(lambda: "all"))
    client = app.test_client()
    operator = Api(client, OPERATOR_TOKEN)
    agent, departed = operator.enroll("PC-1"), operator.enroll("PC-2")
    departed.post("/uninstall")
    callers = [None, "wrong", agent.token, departed.token, OPERATOR_TOKEN]
    answers = [
        Api(client, token, prefix="").get(path).status_code
        for path in ("/mine", "/all")
        for token in callers
    ]

    assert answers == [401, 401, 200, 401, 403, 401, 401, 403, 401, 200]
    assert only(risen(), "refusals_total") == {
        "missing_token": 2,
        "invalid_token": 2,
        "insufficient_scope": 2,
        "agent_uninstalled": 2,
    }


def test_a_busy_database_is_counted_wherever_it_shows(begun, make_app, engine, risen):
    app = make_app(
        LEA_FLEET_METRICS=True,
        LEA_FLEET_METRICS_TOKEN=MONITOR_TOKEN,
        LEA_FLEET_BUSY_TIMEOUT="0s",
    )
    app.get("/mine")(agent_required(lambda: "yours"))
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    agent = operator.enroll("PC-1")
    with engine.being_written():
        refused = operator.post("/enroll", {"machine_id": "PC-2"})
        assert_problem(refused, 503, "database_busy")
        # The first use of a token is written.
        headers = {"Authorization": f"Bearer {agent.token}"}
        assert operator.client.get("/mine", headers=headers).status_code == 503
        assert scrape(Api(app.test_client(), MONITOR_TOKEN))["agents", "active"] == 1

    assert risen()["database_errors_total", "database_busy"] == 2


def test_a_database_that_is_gone_is_a_503_as_elsewhere(operator, monitor, engine):
    operator.enroll()
    with engine.missing():
        assert_problem(monitor.get("/metrics"), 503, "database_unavailable", "retry")

    errors = scrape(monitor)["database_errors_total", "database_unavailable"]
    assert errors >= 1


def test_two_applications_in_one_process_are_told_apart(make_app, engine):
    apps = [
        make_app(LEA_FLEET_METRICS=True, **database.settings)
        for database in (engine, engine.beside())
    ]
    first, second = (Api(app.test_client(), OPERATOR_TOKEN) for app in apps)
    first.enroll()

    assert scrape(first)["agents", "active"] == 1
    assert scrape(second)["agents", "active"] == 0


# The formats


def test_it_is_plain_text_unless_openmetrics_is_preferred(monitor):
    plain = monitor.get("/metrics")
    opened = monitor.get("/metrics", headers={"Accept": PROMETHEUS})

    assert plain.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert opened.mimetype == "application/openmetrics-text"
    assert opened.text.endswith("# EOF\n")
    for response in (plain, opened):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Vary"] == "Accept"
    assert scrape(monitor).keys() == scrape(monitor, Accept=PROMETHEUS).keys()


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/plain", "image/png", "text/plain;version=1.0.0;escaping=values"]
    + ["application/openmetrics-text;version=x", "text/plain;version=1.x;q=x"]
    + ["application/openmetrics-text;version=99.99.99;escaping=\xff", ";;,,=\t;q="],
)
def test_whatever_a_client_accepts_it_is_one_of_the_two(monitor, accept):
    assert scrape(monitor, Accept=accept)["agents", "active"] == 0
    content_type = monitor.get("/metrics", headers={"Accept": accept}).content_type
    assert re.search(r"version=(0\.0\.4|1\.0\.0)\b", content_type)


def test_every_name_is_as_prometheus_would_have_it(operator, monitor):
    for family in parse_text(monitor.get("/metrics").text):
        assert family.name.startswith("lea_fleet_") and family.documentation
        if family.type == "counter":
            assert {each.name for each in family.samples} == {f"{family.name}_total"}
        else:
            assert not family.name.endswith(("_total", "_count", "_sum", "_created"))


# What machines report


HOSTILE = [
    '1" , evil="x',
    "1\\",
    '1\\"',
    "1\n# TYPE lea_fleet_agents counter\nlea_fleet_agents 7",
    "1\r\nevil 1",
    "1\u2028\u2029\x85\x0b\x1b[2J",
    "\u202e1.0",
    "é" * 255,
    "🦊{}",
    "other",
    " ",
    "\\n",
]


def test_no_version_breaks_the_text(engine, operator, monitor):
    operator.get("/fleet")
    rows = [{"machine_id": f"PC-{n}", "version": v} for n, v in enumerate(HOSTILE)]
    rows += [{"machine_id": "A", "version": None}, {"machine_id": "B", "version": ""}]
    rows += [{"machine_id": "C", "version": "x" * 10**6}]
    fill(engine, rows)

    for accept in ("text/plain", PROMETHEUS):
        told = scrape(monitor, Accept=accept)
        versions = only(told, "agents_by_version")
        assert sum(versions.values()) == told["agents", "active"] == len(rows)
        assert versions["other"] == 1  # the one that a machine reports
        assert versions[""] == 2
        assert versions['1" , evil="x'] == versions["🦊{}"] == 1
        assert versions["x" * 255] == 1
        assert all(name.isprintable() for name in versions)


@pytest.mark.sqlite
def test_no_version_breaks_the_text_that_is_no_text(engine, operator, monitor):
    odd = [b"\xff", 7, "\0"]  # which ends the string, for SQLite
    fill(engine, [{"machine_id": f"PC-{n}", "version": v} for n, v in enumerate(odd)])

    for accept in ("text/plain", PROMETHEUS):
        versions = only(scrape(monitor, Accept=accept), "agents_by_version")
        assert sum(versions.values()) == len(odd)
        assert versions["7"] == versions[""] == 1
        assert all(name.isprintable() for name in versions)


def test_the_versions_that_are_told_apart_are_bounded(engine, operator, monitor):
    operator.get("/fleet")
    many = MOST_VERSIONS + 30
    rows = [
        {"machine_id": f"PC-{version}-{n}", "version": f"1.{version}"}
        for version in range(many)
        for n in range(1 + (version < 5))
    ]
    fill(engine, rows)

    told = scrape(monitor)

    versions = Counter(only(told, "agents_by_version"))
    assert len(versions) == MOST_VERSIONS + 1
    assert versions["other"] == 30
    assert {name for name, machines in versions.items() if machines == 2} == {
        f"1.{version}" for version in range(5)
    }
    assert versions.total() == told["agents", "active"] == many + 5


def test_nothing_tells_of_a_person_or_of_one_machine(operator, monitor):
    personal = {
        "user_name": "Distinctive Name",
        "user_email": "distinctive@example.com",
        "user_id": "distinctive-id",
        "hostname": "DISTINCTIVE-HOST",
        "os_info": "Distinctive OS",
    }
    installer = operator.installer(label="Distinctive label")
    agent = installer.enroll("DISTINCTIVE-PC", version="1.0", **personal)
    agent.heartbeat(hostname="DISTINCTIVE-OTHER")
    agent.post("/uninstall", {"reason": "Distinctive reason"})
    agent.get("/machines/DISTINCTIVE-PC")

    for accept in ("text/plain", PROMETHEUS):
        text = monitor.get("/metrics", headers={"Accept": accept}).text
        assert "distinctive" not in text.lower()
        assert "127.0.0.1" not in text and agent.token not in text


# Several processes


METRICS = {"LEA_FLEET_METRICS": "true", "LEA_FLEET_METRICS_TOKEN": MONITOR_TOKEN}


@pytest.fixture(scope="module")
def page():
    """The section on metrics in operations.rst."""
    return docs.section(docs.parse(docs.OPERATIONS), "Metrics and alerts")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for the counters of a server, with a file from an earlier run."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"junk" * 16)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    return folder


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["apart", "preload"])
def test_the_counts_of_all_workers_add_up(page, folder, tmp_path, preload):
    (configuration,) = docs.blocks(page, "python")
    (tmp_path / "gunicorn.conf.py").write_text(configuration)
    options = ["-c", "gunicorn.conf.py", "-w", "3", *preload]
    with running_server(tmp_path, *options, **METRICS) as server:
        operator, monitor = server.operator, Api(server.client, MONITOR_TOKEN)
        agents = [operator.enroll(f"PC-{number}") for number in range(8)]
        expected = Counter()

        def beat(number):
            assert agents[number % 8].heartbeat().status_code == 200
            again = operator.post("/enroll", {"machine_id": f"PC-{number % 8}"})
            assert again.status_code == 409

        for by_force in (True, False, False):
            at_once(beat, range(80), threads=8)
            expected.update(heartbeats=80, refusals=80)
            for _ in range(4):  # whichever worker answers
                told = scrape(monitor)
                refusals = only(told, "refusals_total")
                assert refusals["already_enrolled"] == expected["refusals"]
                assert beats(told) == expected["heartbeats"]
                assert told["agents", "active"] == 8
            end_workers(server, by_force)

        assert len(list(folder.glob("counter_*.db"))) >= 3  # of as many workers


def end_workers(server, by_force):
    if by_force:
        server.kill_workers()
    else:
        server.process.send_signal(signal.SIGHUP)
    server.wait_until_it_answers()


def test_a_server_starts_again_at_zero(page, folder, tmp_path):
    (configuration,) = docs.blocks(page, "python")
    (tmp_path / "gunicorn.conf.py").write_text(configuration)
    options = ["-c", "gunicorn.conf.py", "-w", "2"]
    with running_server(tmp_path, *options, **METRICS) as server:
        server.operator.enroll().heartbeat()
        assert beats(scrape(server.operator)) == 1

        server.kill_and_restart()

        told = scrape(server.operator)
        assert beats(told) == 0
        assert told["enrolments_total", "enrolled"] == 1


def beats(told):
    return sum(only(told, "heartbeats_total").values())


def test_without_a_folder_several_processes_leave_out_heartbeats(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with running_server(tmp_path, "-w", "2", **METRICS) as server:
        server.operator.enroll().heartbeat()
        told = [scrape(server.operator) for _ in range(8)]

        assert "PROMETHEUS_MULTIPROC_DIR is not set" in server.log
        assert server.log.count("PROMETHEUS_MULTIPROC_DIR is not set") <= 2
    for names in told:
        assert names["enrolments_total", "enrolled"] == 1
        assert names["refusals_total", "invalid_token"] == 0
        assert "heartbeats_total" not in {name[0] for name in names}


@pytest.mark.parametrize(
    "options",
    [("-w", "2"), ("-w", "2", "--threads", "4"), ("-w", "2", "--preload")],
    ids=["sync", "threads", "preload"],
)
def test_without_a_folder_any_process_tells_the_refusals_of_all(
    tmp_path, monkeypatch, options
):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with running_server(tmp_path, *options, **METRICS) as server:
        stranger = Api(server.client, "wrong")
        at_once(lambda _: stranger.get("/fleet"), range(200), threads=8)
        for _ in range(2):  # the processes that end save what they have counted
            end_workers(server, by_force=False)
            server.workers()
            until(lambda: refused(server) == 200)
        server.stop()
        server.start_again()
        assert refused(server) == 200  # a counter that begins anew with no server


def refused(server):
    return scrape(server.operator)["refusals_total", "invalid_token"]


def until(holds):
    """Wait until *holds*: the server saves its counts within ten seconds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_process_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    options = ("-w", "1", "--threads", "4")
    with running_server(tmp_path, *options, **METRICS) as server:
        agent = server.operator.enroll()
        at_once(lambda _: agent.heartbeat(), range(40), threads=4)

        assert beats(scrape(server.operator)) == 40


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_without_a_folder_that_can_be_used_only_the_counts_are_missing(tmp_path, there):
    """The server deletes its folder when it stops; commands still have to work."""
    path = tmp_path / "metrics"
    if there == "a file":
        path.touch()
    code = f"""
import logging
from lea_fleet import create_app
app = create_app({{"LEA_FLEET_METRICS": True}})
headers = {{"Authorization": "Bearer {OPERATOR_TOKEN}"}}
for route in ("unknown", "metrics", "metrics", "fleet?nonsense=1"):
    answer = app.test_client().get("{PREFIX}/" + route, headers=headers)
    print(answer.status_code, "lea_fleet_agents" in answer.text,
          "lea_fleet_refusals" in answer.text)
print(app.test_cli_runner().invoke(args=["fleet", "list"]).exit_code)
"""
    printed, _ = python(
        code,
        PROMETHEUS_MULTIPROC_DIR=str(path),
        RPA_AGENTS_DB_PATH=str(tmp_path / "a.db"),
    )

    assert printed[:5] == [
        "404 False False",
        "200 True False",
        "200 True False",
        "400 False False",
        "0",
    ]


def test_a_folder_that_is_named_too_late_stops_the_start(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    with pytest.raises(ConfigurationError, match="before Python starts"):
        ProcessCounters()


IN_A_FOLDER = f"""
import logging, os, pathlib, shutil
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from lea_fleet import create_app
logging.getLogger("lea_fleet").setLevel("WARNING")
app = create_app({{"LEA_FLEET_METRICS": True}})
headers = {{"Authorization": "Bearer {OPERATOR_TOKEN}"}}
def ask(method, route, body=None):
    path = "{PREFIX}/" + route
    return app.test_client().open(path, method=method, json=body, headers=headers)
folder = pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
made = list(folder.iterdir())
ask("POST", "enroll", {{"machine_id": "PC-1"}})
ask("POST", "heartbeat", {{"machine_id": "PC-1"}})
"""


@pytest.fixture
def in_a_folder(tmp_path):
    """Run code in a process that counts in a folder; return what it prints."""
    folder = tmp_path / "metrics"
    folder.mkdir()

    def run(code):
        return python(
            IN_A_FOLDER + code,
            PROMETHEUS_MULTIPROC_DIR=str(folder),
            RPA_AGENTS_DB_PATH=str(tmp_path / "a.db"),
        )

    return run


def test_nothing_is_made_before_something_is_counted(in_a_folder):
    assert in_a_folder("print(made)") == (["[]"], "")


def test_a_hosts_own_metrics_are_its_own_in_a_folder_too(in_a_folder):
    code = """
Counter("host_orders", "Orders.").inc(7)
Gauge("host_queue", "Queue.", multiprocess_mode="livesum").set(3)
registry = CollectorRegistry()
MultiProcessCollector(registry)
host = generate_latest(registry).decode()
print("host_orders_total 7.0" in host, "host_queue 3.0" in host)
ours = ask("GET", "metrics").text
print("host_" in ours, 'heartbeats_total{outcome="fresh"} 1.0' in ours)
"""
    assert in_a_folder(code) == (["True True", "False True"], "")


def test_whatever_happens_to_the_folder_requests_are_answered(in_a_folder):
    code = """
(folder / "counter_0.db").touch()  # about to be filled
print('"fresh"} 1.0' in ask("GET", "metrics").text, flush=True)
(folder / "counter_0.db").write_bytes(b"junk" * 16)
for _ in range(2):
    answer = ask("GET", "metrics")
    print(answer.status_code, "lea_fleet_agents{" in answer.text)
    print("heartbeats" in answer.text, flush=True)
if os.fork() == 0:  # a worker that comes later
    shutil.rmtree(folder)
    print(ask("POST", "heartbeat", {"machine_id": "PC-1"}).status_code)
    print(ask("POST", "enroll", {"machine_id": "PC-1"}).status_code, flush=True)
    os._exit(0)
os.wait()
"""
    printed, log = in_a_folder(code)

    assert printed == ["True", "200 True", "False", "200 True", "False", "200", "409"]
    assert log.count("cannot be read") == 1
    assert log.count("A request could not be counted") == 2


def test_a_hosts_own_metrics_stay_as_they_are(engine):
    registry = CollectorRegistry()
    orders = HostCounter("host_orders", "Orders.", registry=registry)
    app = Flask("host")
    app.config.update(
        RPA_API_TOKEN=OPERATOR_TOKEN,
        **engine.settings,
        LEA_FLEET_METRICS=True,
    )
    LeaFleet(app)

    @app.get("/metrics")
    def metrics():
        orders.inc()
        return generate_latest(registry) + generate_latest()

    operator = Api(app.test_client(), OPERATOR_TOKEN)
    operator.enroll().heartbeat()
    host = app.test_client().get("/metrics").text
    assert "host_orders_total 1.0" in host and "python_info" in host
    assert "lea_fleet" not in host
    assert not {"python_info", "host_orders_total"} & {n[0] for n in scrape(operator)}
    app.extensions["lea_fleet"].store.close_idle()


# The documentation


def exposed(monitor):
    """Return the name of each exposed series."""
    families = parse_text(monitor.get("/metrics").text)
    return {sample.name for family in families for sample in family.samples}


def test_the_reference_lists_every_metric_and_no_other(engine, make_app):
    settings = {"LEA_FLEET_METRICS": True, "LEA_FLEET_REPORTED_TAGS": "site"}
    operator = Api(make_app(**settings).test_client(), OPERATOR_TOKEN)
    operator.enroll(version="1")
    part = docs.section(docs.parse(docs.REFERENCE), "Metrics")
    terms = [term.astext() for term in part.findall(docs.nodes.term)]

    assert sorted(terms) == sorted(exposed(operator) | engine.unmeasured)


def test_every_alert_asks_for_what_there_is(page, monitor):
    configuration, rules = map(yaml.safe_load, docs.blocks(page, "yaml"))
    (scraped,) = configuration["scrape_configs"]
    (group,) = rules["groups"]
    names = exposed(monitor)

    assert scraped["metrics_path"] == f"{PREFIX}/metrics"
    assert len(group["rules"]) >= 6
    asked = set()
    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "annotations"}
        assert rule["annotations"]["summary"]
        asked |= set(re.findall(r"\blea_fleet_\w+", rule["expr"]))
        for job in re.findall(r'job="([^"]*)"', rule["expr"]):
            assert job == scraped["job_name"]
    assert asked and asked <= names


def test_every_alert_asks_for_labels_that_there_are(page, monitor):
    _, rules = docs.blocks(page, "yaml")
    text = monitor.get("/metrics").text

    named = re.findall(r'\b(code|presence|status)=~?"([^"]+)"', rules)
    assert len(named) >= 3
    for label, values in named:
        for value in values.split("|"):
            assert f'{label}="{value}"' in text


# Tags


def test_tags_are_counted_only_where_a_setting_names_them(make_app):
    settings = {"LEA_FLEET_METRICS": True, "LEA_FLEET_REPORTED_TAGS": "Site, vip"}
    operator = Api(make_app(**settings).test_client(), OPERATOR_TOKEN)
    for name, tags in {"A": ["site=lyon", "vip"], "B": ["site=lyon", "x"]}.items():
        operator.enroll(name)
        operator.post(f"/machines/{name}/tags", {"add": tags})
    operator.enroll("C")

    counted = {
        name[1:]: n for name, n in scrape(operator).items() if "by_tag" in name[0]
    }

    assert counted == {
        ("site", "lyon"): 2,
        ("site", "other"): 0,
        ("vip", ""): 1,
        ("vip", "other"): 0,
    }


def test_the_values_of_a_tag_are_bounded(make_app, engine):
    settings = {"LEA_FLEET_METRICS": True, "LEA_FLEET_REPORTED_TAGS": ["site"]}
    operator = Api(make_app(**settings).test_client(), OPERATOR_TOKEN)
    operator.get("/fleet")
    fill(engine, ({"machine_id": f"PC-{n}"} for n in range(MOST_TAGS_REPORTED + 5)))
    for number in range(MOST_TAGS_REPORTED + 5):
        body = {"add": [f"site=s{number}"]}
        assert operator.post(f"/machines/PC-{number}/tags", body).status_code == 200

    counted = [n for name, n in scrape(operator).items() if "by_tag" in name[0]]

    assert (len(counted), sum(counted)) == (MOST_TAGS_REPORTED + 1, len(counted) + 4)


def test_no_machine_is_left_out_of_the_other_values(make_app, engine):
    settings = {"LEA_FLEET_METRICS": True, "LEA_FLEET_REPORTED_TAGS": ["site"]}
    operator = Api(make_app(**settings).test_client(), OPERATOR_TOKEN)
    operator.get("/fleet")
    count = MOST_TAGS_COUNTED + 5  # more than are listed
    fill(engine, ({"machine_id": f"PC-{n}"} for n in range(count)))
    with engine.connected() as connection:
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO lea_fleet_tags (machine_id, name, tag)"
            " SELECT machine_id, 'site', 'site=' || machine_id FROM enrolled_agents"
        )
        connection.execute("COMMIT")

    counted = [n for name, n in scrape(operator).items() if "by_tag" in name[0]]

    assert (len(counted), sum(counted)) == (MOST_TAGS_REPORTED + 1, count)


@pytest.mark.parametrize("value", ["a b", ["site=lyon"], ",".join("abcdefghijk")])
def test_what_names_no_tags_is_an_error_at_start(make_app, value):
    with pytest.raises(ConfigurationError, match="LEA_FLEET_REPORTED_TAGS must"):
        make_app(LEA_FLEET_REPORTED_TAGS=value)
