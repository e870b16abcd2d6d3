"""Every statement on the fleet is run on both engines, and compiles on both.

A fleet lives until all SQL that stands in ``storage/*.py`` has been run. What was run
is compared with the source: a statement that no step of this life runs is named by its
place.
"""

from __future__ import annotations

import ast
import re
import sys
from array import array
from collections import defaultdict
from pathlib import Path

import pytest

import lea_fleet.storage
from lea_fleet import FleetFilter
from lea_fleet.app.database import get_host_repository
from lea_fleet.core.limits import MOST_SELECTIONS
from lea_fleet.core.listing import SORTS
from lea_fleet.core.views import Wanted
from lea_fleet.storage.alerts import Alerts
from lea_fleet.storage.conditions import Conditions
from lea_fleet.storage.destinations import Destinations
from lea_fleet.storage.ending_tokens import EndingTokens
from lea_fleet.storage.events import Events
from lea_fleet.storage.hours import Hours
from lea_fleet.storage.late_writes import LateWrites
from lea_fleet.storage.measures import measure
from lea_fleet.storage.refusals import RefusalCounts
from lea_fleet.storage.silences import Silences
from lea_fleet.storage.sqlite import search
from lea_fleet.storage.tables import TABLES, fingerprint, line_of
from lea_fleet.storage.unit_of_work import UnitOfWork
from lea_fleet.storage.views import Views
from tests.support.api import Agent, Api
from tests.support.fleets import pages

SOURCES = {
    str(path): ast.parse(path.read_text())
    for path in sorted(Path(lea_fleet.storage.__file__).parent.glob("*.py"))
}

#: What makes a text one of SQL, a statement or a part of one.
_SQL = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|AND|OR|CASE|CAST|EXISTS|LIKE|BY|LIMIT"
    r"|NULL)\b|(?<![:\w]):[a-z]"
)
_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")

#: The methods that run a statement.
_RUNNING = {"execute", "executemany", "rows", "write_once"}


def named(path, node):
    return f"{Path(path).name}:{node.lineno}"


def texts():
    """Yield each text of SQL in the source: where it is, and a pattern for it."""
    for path, tree in SOURCES.items():
        passed = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):  # a docstring
                passed.add(node.value)
            if isinstance(node, ast.JoinedStr):
                passed.update(node.values)
            if node in passed:
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            known = [each.value for each in parts if isinstance(each, ast.Constant)]
            if any(isinstance(each, str) and _SQL.search(each) for each in known):
                yield named(path, node), "".join(map(pattern, parts))


def pattern(part):
    """Return a pattern for a part of a text: anything, where a value is put in."""
    if not isinstance(part, ast.Constant):
        return ".*"
    return re.sub(r"\\{\w+\\}", ".*", re.escape(part.value))


def calls():
    """Yield each call that runs a statement: where it is, its file and its lines."""
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            is_call = isinstance(node, ast.Call)
            if is_call and getattr(node.func, "attr", None) in _RUNNING:
                yield named(path, node), path, range(node.lineno, node.end_lineno + 1)


@pytest.fixture
def statements(engine, monkeypatch):
    """The statements that are run, each with the lines of the source that do."""
    run = defaultdict(set)

    def noting(method):
        def noted(*args, **options):
            lines, frame = run[args[1]], sys._getframe(1)
            while frame is not None:
                if frame.f_code.co_filename in SOURCES:
                    lines.add((frame.f_code.co_filename, frame.f_lineno))
                frame = frame.f_back
            return method(*args, **options)

        return noted

    places = (engine.session, "execute", "executemany"), (UnitOfWork, "rows")
    for owner, *names in places:
        for name in names:
            monkeypatch.setattr(owner, name, noting(getattr(owner, name)))
    return run


@pytest.fixture
def live(app, operator, monitor, run, the_clock, tmp_path, monkeypatch):
    """Let a fleet live, until everything has happened in it that may."""
    monkeypatch.setattr(search, "_IS_WORTH_IT", "SELECT 1")
    file = tmp_path / "machines.csv"
    key = {"Idempotency-Key": "lost"}

    def ok(response):
        assert response.status_code in (200, 201), response.text
        return response.json

    def did(*words):
        result = run(*words)
        assert result.exit_code == 0, result.output

    def requests_of_agents():
        installer = operator.installer(label="for zoe@example.com", max_uses=9)
        for _ in range(2):
            lost = installer.post("/enroll", {"machine_id": "PC-2"}, headers=key)
        ok(Agent(operator.client, ok(lost)).heartbeat())
        agent = installer.enroll("PC-1", hostname="A", user_name="Zoé", version="1")
        ok(agent.heartbeat(hostname="B", user_email="zoe@example.com"))
        the_clock.advance(minutes=5)
        ok(agent.heartbeat())
        ok(agent.heartbeat(hostname="A", version=300 * "2"))
        ok(agent.heartbeat(hostname="B", version="2"))
        for _ in range(20):
            rotated = ok(agent.post("/machines/PC-1/token"))
        assert agent.post("/machines/PC-1/token").status_code == 429
        copied, agent.token = agent.token, rotated["api_token"]
        ok(agent.heartbeat())
        copy = Agent(operator.client, {**agent.answer, "api_token": copied})
        assert copy.heartbeat().status_code == 401
        did("edit", "PC-1", "--id", "PC-9")
        ok(agent.heartbeat(machine_id="PC-1"))
        did("show", "PC-9")
        for _ in range(2):
            ok(agent.post("/uninstall", {"reason": "sold"}))

    def requests_of_operators():
        operator.enroll("PC-1")
        ok(operator.post("/heartbeat", {"machine_id": "PC-1", "user_name": "Bob"}))
        ok(operator.post("/machines/PC-1/cut-off"))
        ok(operator.post("/machines/PC-1/release"))
        ok(operator.request("DELETE", "/machines/PC-1/release"))
        operator.enroll("PC-1", force=True)
        ok(operator.uninstall("PC-1"))
        cursor = ok(operator.get("/machines/PC-1/events?limit=1"))["next_cursor"]
        ok(operator.get(f"/machines/PC-1/events?cursor={cursor}"))
        ok(operator.get("/events?event=enrolled&actor=cli&since=1h&until=1h"))
        again = operator.installer()
        assert again.post("/enroll", {"machine_id": "A/B"}).status_code == 400
        for _ in range(2):
            assert again.post("/enroll", {"machine_id": "PC-2"}).status_code == 409
            the_clock.advance(seconds=1)
            operator.enroll("PC-2", force=True)
        assert again.post("/enroll", {"machine_id": "PC-2"}).status_code == 409
        app.extensions["lea_fleet"].refused_machines.close()
        cursor = ok(operator.get("/refusals?limit=1"))["next_cursor"]
        ok(operator.get(f"/refusals?limit=1&cursor={cursor}"))
        cursor = ok(operator.get("/alerts?limit=1"))["next_cursor"]
        ok(operator.get(f"/alerts?cursor={cursor}"))
        ok(operator.get("/enrollment-tokens"))
        ok(operator.request("DELETE", "/enrollment-tokens/1"))
        named = {"name": "zoe@example.com", "role": "viewer"}
        viewer = Api(operator.client, ok(operator.post("/operators", named))["token"])
        ok(viewer.get("/whoami"))
        ok(operator.get("/operators"))
        for name in ("zoe@example.com", "A"):
            ok(operator.post("/views", {"name": name, "shared": True}))
        ok(operator.post("/views", {"name": "A"}))
        ok(operator.request("PUT", "/views/2", json={"name": "B", "shared": True}))
        ok(operator.get("/views"))
        ok(operator.request("DELETE", "/views/2"))
        with app.app_context():
            unit, wanted = get_host_repository().unit, Wanted("C", True, "", ())
            Views(unit).create("user:zoe@example.com", wanted)
        ok(operator.request("DELETE", "/operators/1"))
        ok(operator.get("/fleet?machine_id=PC-1&q=a&version=1&silent_for=1h"))
        for order in SORTS:
            for sort in (order, f"-{order}"):
                assert len([*pages(operator, sort=sort, limit=1)]) == 3
        ok(operator.post("/machines/PC-9/block", {"reason": "of zoe@example.com"}))
        ok(operator.post("/machines/PC-8/block"))
        cursor = ok(operator.get("/blocks?limit=1"))["next_cursor"]
        ok(operator.get(f"/blocks?cursor={cursor}"))
        ok(operator.get("/fleet?blocked=true&muted=false&released=true"))
        ok(operator.get("/attention"))
        ok(operator.get("/fleet?enrollment_token=1"))
        agent = operator.enroll("PC-7")
        ok(operator.post("/machines/PC-7/retire"))
        ok(agent.heartbeat())
        ok(operator.get("/fleet?retiring=true&ignores_retire=false"))
        ok(operator.request("DELETE", "/machines/PC-7/retire"))
        ok(operator.uninstall("PC-7"))
        ok(operator.post("/machines/PC-1/mute", {"for": "1d"}))
        ok(operator.get("/machines/PC-1"))
        ok(operator.get("/machines/PC-1/presence"))
        ok(operator.request("DELETE", "/machines/PC-1/mute"))
        ok(operator.post("/machines/PC-1/tags", {"add": ["of=zoe@example.com", "a"]}))
        ok(operator.post("/machines/PC-1/tags", {"remove": ["a"]}))
        ok(operator.post("/machines/PC-1/note", {"text": "of zoe@example.com"}))
        ok(operator.get("/fleet?tag=a&tag=of=zoe@example.com&q=zoe"))
        ok(operator.get("/tags?name=of"))
        ok(operator.request("DELETE", "/machines/PC-1/note"))
        ok(operator.post("/machines/PC-1/note", {"text": "of zoe@example.com"}))
        operator.installer(tags=["of=zoe@example.com"]).enroll("PC-T")
        zoe = {"name": "zoe@example.com", "role": "operator"}
        token = ok(operator.post("/operators", zoe))["token"]
        ok(Api(operator.client, token).post("/machines/PC-T/note", {"text": "Broken"}))
        for _ in range(MOST_SELECTIONS + 1):
            selection = ok(operator.post("/selections", {"filter": {"q": "PC-T"}}))
        path = f"/selections/{selection['id']}"
        ok(operator.post(path, {"action": "uninstall"}))
        assert operator.get(f"{path}/csv").status_code == 200
        ok(operator.request("DELETE", "/machines/PC-8/block"))
        ok(operator.get("/fleet/summary"))
        assert monitor.get("/metrics").status_code == 200

    def commands():
        file.write_text("machine_id;user_email\nPC-3;zoe@example.com\nPC-1;\n")
        did("import", file, "--yes")
        did("list", "--status", "all", "--csv")
        did("events", "PC-1", "--since", "1d")
        did("edit", "PC-3", "--id", "PC-4", "--version", "2")
        assert "PC-4" in run("rotate", "pc-4").output
        did("rotate", "PC-4", "--now")
        did("release", "--without-token", "--yes")
        did("release", "--refused", "--yes")
        did("refused", "--token", "1", "--code", "already_enrolled", "--since", "1d")
        assert "lookalikes" in run("doctor").output
        did("enroll", "PC-5", "--user-email", "zoe@example.com")
        did("enroll", "PC-6", "--user-email", "zoe@example.com")
        the_clock.advance(hours=2)
        did("enroll", "pc-5")
        assert "flask fleet replace PC-5 pc-5" in run("show", "PC-5").output
        assert "SAME USER" in run("show", "PC-6").output
        did("replace", "PC-5", "pc-5")
        ok(operator.get("/fleet?duplicate=true&outdated=true&without_version=false"))
        ok(operator.get("/fleet?suspected_clone=true"))
        for _ in range(2):  # without an index of SQLite's, and with it
            ok(operator.get("/fleet?q=zoe"))
        ok(operator.get("/duplicates"))
        did("export", "--user", "zoe@example.com")

    def the_hosts_own_code():
        with app.app_context():
            repository = get_host_repository()
            enrolled = repository.enroll("PC-H")
            repository.allow_replay(
                enrolled, credential="operator:zoe@example.com", key_hash="lost"
            )
            the_clock.advance(minutes=5)
            assert repository.touch_last_seen("PC-H ") is None
            assert repository.agents.is_known("PC-H ")
            assert [*repository.agents.ids_from("PC-H")] == ["PC-H"]
            assert repository.listing.page(FleetFilter(), limit=1).next_cursor
            repository.events.after(repository.events.end(), limit=1)
            RefusalCounts(repository.unit).add({"invalid_token": 1})
            assert measure(repository.unit, ["of"]).tags.keys() == {"of"}
            assert RefusalCounts(repository.unit).totals() == {"invalid_token": 1}

    def alerts():
        with app.app_context():
            repository = get_host_repository()
            alerts = Alerts(repository.unit)
            end = alerts.end()
            for _ in range(2):
                with repository.transaction():
                    alerts.add("machine.silent", "PC-H")
                the_clock.advance(hours=26)
            assert len(alerts.after(0, limit=9)) == 1 == alerts.end() - end - 1
            what_is_told(repository.unit)

    def what_is_told(unit):
        """The fleet is heard for weeks, but for one machine; then it is gone."""
        agent = operator.enroll("PC-T")
        operator.enroll("PC-S")
        for _ in range(3):
            ok(agent.heartbeat())
            the_clock.advance(minutes=3)
        silences, hours = Silences(unit), Hours(unit)
        silences.hear()
        for _ in range(2):
            silences.judge(60)
            hours.judge(0.1)
            hours.judge(0.1)
            the_clock.advance(days=7)
            for _ in range(5):
                ok(agent.heartbeat())
                the_clock.advance(minutes=3)
        silences.judge(60)
        operator.uninstall("PC-S")
        silences.judge(60)
        with unit.transaction():
            Conditions(unit).begin("fleet.silent", {})
            Conditions(unit).end("fleet.silent")
        EndingTokens(unit).judge()
        destinations = Destinations(unit)
        destinations.begin(["a", "b"])
        destinations.begin(["a"])
        assert destinations.take("a", "me", 60) is not None
        assert destinations.deliver("a", "me", "", 0, 60)
        destinations.skip("a", "me", "", 0)
        destinations.fail("a", "me", "of no use", 60)
        destinations.give_up("a", "me", "", 0, 1)
        destinations.leave("a", "me")
        (event,) = Events(unit).after("", limit=1)[0]
        assert Events(unit).get(event["id"]) == event

    def what_was_written_after_a_move():
        with app.app_context():
            unit = get_host_repository().unit
            session, kept = unit.session, {}
            for table in TABLES:
                names = ", ".join(table.columns)
                rows = session.execute(f"SELECT {names} FROM {table.name}").fetchall()
                prints = sorted(fingerprint(line_of(tuple(row))) for row in rows)
                kept[table.name] = array("q", prints).tobytes()
            machine = (1, "PC-L", *[None] * 6, "active", "2026-03-01", *[None] * 3)
            token = ("hash", "PC-L", "2026-03-01", "2026-03-01", 0, None, None, 0, 0)
            event = (1, "PC-L", "enrolled", "2026-03-01", "{}", "{}")
            revoked = (*token[:6], "2026-03-02", 1, 0)
            for late in (token, revoked):
                rows = {
                    "enrolled_agents": [machine],
                    "lea_fleet_tokens": [(*late, None, 0)],
                    "lea_fleet_events": [event],
                }
                assert len([*LateWrites(unit).bring(rows, kept)]) == 3
            row = session.execute(
                f"SELECT {', '.join(TABLES[0].columns)} FROM enrolled_agents"
                " WHERE machine_id = 'PC-1'"
            ).fetchone()
            brought = LateWrites(unit).bring({"enrolled_agents": [tuple(row)]}, kept)
            assert [*brought] == [("enrolled_agents", "updated")]

    def what_clears_up():
        did("erase", "--user", "zoe@example.com", "--yes")
        did("erase", "PC-1", "--yes")
        the_clock.advance(days=200)
        for words in ("--silent-for", "--uninstalled-for", "--events-older-than"):
            did("prune", words, "100d", "--yes")

    def everything():
        requests_of_agents()
        requests_of_operators()
        commands()
        the_hosts_own_code()
        alerts()
        what_was_written_after_a_move()
        what_clears_up()

    return everything


def test_every_statement_is_run_and_compiles(live, engine, statements):
    live()

    lines = set().union(*statements.values())
    never_run = {
        place
        for place, text in texts()
        if not any(re.search(text, statement, re.DOTALL) for statement in statements)
    } | {
        place
        for place, path, numbers in calls()
        if not any((path, number) in lines for number in numbers)
    }
    assert never_run == set()
    with engine.connected() as connection:
        for statement in filter(_STATEMENT.match, statements):
            engine.compile(connection, statement)
