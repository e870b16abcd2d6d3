"""The index for searches on SQLite finds what reading all machines would find."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest

from lea_fleet.core import text
from lea_fleet.core.machine import SEARCHED
from lea_fleet.storage.sqlite import dialect, indexing, search
from tests.support.engines import SqliteFile
from tests.support.fleets import ask, fill, listed
from tests.support.traces import traces

pytestmark = pytest.mark.sqlite

NAMES = [
    "Zoé",
    "ZOE\u0301",
    "straße",
    "100%",
    "a_c",
    'say "x"',
    "İlk",
    "ΣΟΦΟΣ",
    "x\0yz",
]
TEXTS = ["zoé", "zoe\u0301", "STRASSE", "0%", "a_c", '"x"', "i̇lk", "σοφ", "yz", "pc-"]
TEXTS += ["pc-1", "windows", "note", "note of", "nobody"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """An index for any fleet, and few machines at a time."""
    monkeypatch.setattr(search, "_IS_WORTH_IT", "SELECT 1")
    for module, name, value in (
        (search, "MOST", 12),
        (search, "_FEW", 3),
        (indexing, "_STEP", 4),
        (indexing, "_STEPS", 3),
        (indexing, "_COMPARED", 5),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def bare(engine):
    """Run a statement as a program that does not know us."""

    def execute(statement, *values):
        with closing(sqlite3.connect(engine.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return execute


def found(operator, q):
    return sorted(listed(ask(operator, q=q, limit=500)))


def in_all(bare, q):
    """Return the machines that a search should find, from all rows."""
    columns = ", ".join(f"a.{name}" for name in SEARCHED)
    rows = bare(
        f"SELECT a.machine_id, {columns}, note FROM enrolled_agents AS a"
        " LEFT JOIN lea_fleet_notes AS n ON n.machine_id = a.machine_id"
    )
    part = q.casefold()
    return sorted(
        name
        for name, *values in rows
        if any(part in value.casefold() for value in values if value)
    )


class Life:
    """What servers, operators and an older server do to a fleet, at random."""

    def __init__(self, seed, operator, bare, run, the_clock):
        self.random = random.Random(seed)
        self.operator, self.bare, self.run, self.clock = operator, bare, run, the_clock
        self.agents = {}
        self.acts = [
            getattr(self, name) for name in sorted(dir(Life)) if name.startswith("act_")
        ]

    def act(self):
        self.random.choice(self.acts)()

    def name(self):
        return self.random.choice(NAMES[:-1])  # we accept no NUL

    def odd_name(self):
        return self.random.choice(NAMES)

    def some(self, status="active"):
        rows = self.bare(
            "SELECT machine_id FROM enrolled_agents WHERE status = ?", status
        )
        return self.random.choice(rows)[0] if rows else None

    def new_id(self):
        return f"PC-{self.random.randrange(10**6)}"

    def act_enroll(self):
        machine = self.new_id()
        self.agents[machine] = self.operator.enroll(machine, user_name=self.name())

    def act_reenroll(self):
        machine = self.some("uninstalled")
        if machine:
            self.agents[machine] = self.operator.enroll(machine, user_id=self.name())

    def act_heartbeat(self):
        agent = self.agents.get(self.some())
        if agent:
            agent.heartbeat(hostname=self.name(), os_info=f"Windows {self.name()}")

    def act_uninstall(self):
        machine = self.some()
        if machine:
            self.operator.uninstall(machine)

    def act_note(self):
        machine = self.some()
        if machine:
            path = f"/machines/{machine}/note"
            note = {"text": f"note of {self.name()}"}
            assert self.operator.post(path, note).status_code == 200

    def act_remove_note(self):
        machine = self.some()
        if machine:
            self.operator.request("DELETE", f"/machines/{machine}/note")

    def act_edit(self):
        machine, new = self.some(), self.new_id()
        if machine:
            words = ("--id", new, "--user-name", "Alan Note")
            assert self.run("edit", machine, *words).exit_code == 0

    def act_erase(self):
        machine = self.some()
        if machine:
            assert self.run("erase", machine, "--yes").exit_code == 0

    def act_let_time_pass(self):
        self.clock.advance(seconds=self.random.choice([1, 50, 700]))

    def act_older_server_enrolls(self):
        values = (self.new_id(), self.odd_name(), self.moment())
        self.bare(
            "INSERT INTO enrolled_agents (machine_id, user_name, enrolled_at)"
            " VALUES (?, ?, ?)",
            *values,
        )

    def act_older_server_enrolls_again(self):
        machine = self.some("uninstalled")
        values = (self.moment(), self.odd_name(), self.odd_name(), machine)
        self.bare(
            "UPDATE enrolled_agents SET status = 'active', enrolled_at = ?,"
            " hostname = ?, os_info = ? WHERE machine_id = ?",
            *values,
        )

    def act_older_server_uninstalls(self):
        self.bare(
            "UPDATE enrolled_agents SET status = 'uninstalled' WHERE machine_id = ?",
            self.some(),
        )

    def moment(self):
        """When it began, before it waited for the lock."""
        late = timedelta(seconds=self.random.choice([0, 0, 5, 55]))
        return (self.clock.now() - late).isoformat()


@pytest.mark.parametrize("seed", range(6))
def test_any_life_of_a_fleet(seed, operator, bare, run, the_clock):
    operator.enroll("PC-0")
    life = Life(seed, operator, bare, run, the_clock)
    chosen = random.Random(seed)
    for _ in range(150):
        life.act()
        for q in chosen.sample(TEXTS, 3):
            assert found(operator, q) == in_all(bare, q), q

    assert bare("SELECT count(*) FROM lea_fleet_search")[0][0] > 10


@pytest.mark.parametrize("q", TEXTS)
def test_it_finds_any_text_as_without_it(operator, bare, engine, q):
    fill(engine, [{"machine_id": f"PC-{n}", "user_name": n} for n in NAMES])

    assert found(operator, q) == found(operator, q) == in_all(bare, q)


@pytest.fixture
def compared(monkeypatch, make_app):
    """The names that searches have looked at one by one."""
    looked_at = []

    def contains(name, part):
        looked_at.append(name)
        return text.contains(name, part)

    monkeypatch.setattr(dialect, "contains", contains)
    return looked_at


def test_a_search_looks_at_no_others(compared, operator, engine, the_clock):
    rows = [{"machine_id": f"PC-{n:04}", "status": "gone"} for n in range(40)]
    fill(engine, [*rows, {"machine_id": "PC-0100"}])
    for _ in range(5):
        assert found(operator, "0100") == ["PC-0100"]
    looked_at = len(compared)
    the_clock.advance(minutes=2)

    assert found(operator, "0100") == ["PC-0100"]
    assert found(operator, "pc-0007") == ["PC-0007"]
    assert len(compared) - looked_at <= 4


def test_what_another_program_changes_alone_is_found_in_time(
    operator, bare, engine, the_clock
):
    fill(engine, [{"machine_id": f"PC-{n}", "hostname": "OLD"} for n in range(9)])
    for _ in range(3):
        assert len(found(operator, "old")) == 9
    bare("UPDATE enrolled_agents SET hostname = 'NEW' WHERE machine_id = 'PC-7'")
    bare("DELETE FROM enrolled_agents WHERE machine_id = 'PC-8'")
    assert found(operator, "new") == []  # no rule tells this

    for _ in range(4):
        the_clock.advance(minutes=12)
        assert len(found(operator, "old")) == 7
    assert found(operator, "new") == ["PC-7"]
    assert bare("SELECT count(*) FROM lea_fleet_search") == [(8,)]


def test_a_clock_that_was_set_back_hides_nothing(operator, bare, engine, the_clock):
    fill(engine, [{"machine_id": f"PC-{n}"} for n in range(9)])
    found(operator, "pc-")
    the_clock.advance(hours=2)
    found(operator, "pc-")
    the_clock.advance(hours=-1)
    bare(
        "UPDATE enrolled_agents SET enrolled_at = ?, hostname = 'NEW'"
        " WHERE machine_id = 'PC-3'",
        the_clock.iso(),
    )

    assert found(operator, "new") == ["PC-3"]


def test_while_another_program_writes_a_search_answers(operator, engine, bare):
    fill(engine, [{"machine_id": f"PC-{n}"} for n in range(9)])
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert found(operator, "pc-3") == ["PC-3"]
        assert bare("SELECT * FROM lea_fleet_indexed") == []
    assert found(operator, "pc-3") == ["PC-3"]

    assert len(bare("SELECT * FROM lea_fleet_indexed")) == 1


def test_without_fts5_all_machines_are_read(operator, engine, bare, run, monkeypatch):
    for module in (indexing, search):
        monkeypatch.setattr(module, "is_available", lambda session: False)
    fill(engine, [{"machine_id": f"PC-{n}"} for n in range(9)])

    assert found(operator, "pc-3") == ["PC-3"]
    assert bare("SELECT * FROM lea_fleet_indexed") == []
    assert "no FTS5" in run("doctor").output
    operator.enroll("PC-A").heartbeat(hostname="B")
    assert bare("SELECT * FROM lea_fleet_unindexed") == []
    assert "of 0 machines" in run("schema", "--rewrite-keys").output


def spoil(bare):
    bare("DELETE FROM lea_fleet_search_data WHERE id > 1")
    bare("UPDATE lea_fleet_search_data SET block = x'00'")


def test_an_index_that_cannot_be_read_is_not_used(operator, engine, bare, run):
    fill(engine, [{"machine_id": f"PC-{n}"} for n in range(9)])
    found(operator, "pc-")
    assert "by an index of FTS5" in run("doctor").output
    spoil(bare)

    assert found(operator, "pc-3") == ["PC-3"]
    assert "the index cannot be read" in run("doctor").output
    assert run("schema", "--rewrite-keys").output == (
        "Rewrote the search keys of 9 machines.\n"
    )
    assert found(operator, "pc-3") == ["PC-3"]
    assert "by an index of FTS5" in run("doctor").output


def test_an_erasure_empties_an_index_that_it_cannot_write(operator, engine, bare, run):
    fill(engine, [{"machine_id": f"PC-{n}", "hostname": "ꙮꙮꙮ"} for n in range(9)])
    found(operator, "pc-")
    spoil(bare)

    assert run("erase", "PC-3", "--yes").exit_code == 0
    assert bare("SELECT * FROM lea_fleet_indexed") == []
    assert bare("SELECT * FROM lea_fleet_search_content") == []
    assert len(found(operator, "ꙮꙮꙮ")) == 8 == len(found(operator, "ꙮꙮꙮ"))
    assert bare("SELECT count(*) FROM lea_fleet_search") == [(9,)]


def test_rewriting_says_what_was_wrong(operator, engine, bare, run):
    fill(engine, [{"machine_id": f"PC-{n}"} for n in range(9)])
    assert "Would rewrite the search keys of 9" in wrong(run)
    assert "Rewrote the search keys of 9" in run("schema", "--rewrite-keys").output
    bare("UPDATE enrolled_agents SET hostname = 'NEW' WHERE machine_id = 'PC-7'")
    assert "of 1 machine." in wrong(run)

    assert "of 1 machine." in run("schema", "--rewrite-keys").output
    assert "of 0 machines" in wrong(run)
    assert found(operator, "new") == ["PC-7"]


def wrong(run):
    return run("schema", "--rewrite-keys", "--dry-run").output


@pytest.mark.usefixtures("deletes_nothing_by_itself")
@pytest.mark.parametrize("how", ["machine", "user"])
def test_what_is_erased_is_in_no_part_of_it(how, operator, database, run, bare):
    """In the text, and in each of its trigrams; also of a name that was changed."""
    agent = operator.enroll("PC-1", user_name="ꙮꙮꙮ", user_email="ꚠꚢꚤ@example.com")
    others = [operator.enroll(f"PC-{n}", user_name=f"U-{n}") for n in range(2, 40)]
    for _ in range(6):
        found(operator, "ꙮꙮꙮ")
    agent.heartbeat(hostname="ꙉꙉꙉ")
    found(operator, "ꙉꙉꙉ")
    for n, each in enumerate(others):
        each.heartbeat(hostname=f"H-{n}")
        found(operator, "pc-")
    for name in ("ꙉꙉꙉ", "ꙅꙅꙅ"):
        agent.heartbeat(hostname=name)
        for n, each in enumerate(others[:5]):
            each.heartbeat(hostname=f"{name} {n}"[3:])
        found(operator, "pc-")
    parts = ("ꙮꙮꙮ", "ꚠꚢꚤ", "ꙉꙉꙉ", "ꙅꙅꙅ")
    assert set(traces(SqliteFile(database), *parts)) == {*parts}

    words = ("PC-1",) if how == "machine" else ("--user", "ꚠꚢꚤ@example.com")
    assert run("erase", *words, "--yes").exit_code == 0

    assert found(operator, "ꙮꙮꙮ") == []
    assert traces(SqliteFile(database), *parts) == []


def test_a_fresh_heartbeat_writes_nothing_of_it(operator, engine, bare):
    agent = operator.enroll("PC-1", hostname="A")
    fill_index(operator)
    before = Counter(bare("SELECT * FROM lea_fleet_unindexed"))

    for body in ({}, {"hostname": "A"}, {"version": "2"}):
        assert agent.heartbeat(**body).status_code == 200
    assert Counter(bare("SELECT * FROM lea_fleet_unindexed")) == before
    agent.heartbeat(hostname="B")
    assert bare("SELECT * FROM lea_fleet_unindexed") == [("PC-1",)]


def fill_index(operator):
    for n in range(2, 9):
        operator.enroll(f"PC-{n}")
    found(operator, "pc-")


def test_a_fleet_of_less_than_a_thousand_has_none(operator, engine, bare, monkeypatch):
    monkeypatch.undo()
    rows = [{"machine_id": f"PC-{n}"} for n in range(999)]
    fill(engine, rows)
    found(operator, "pc-99")
    assert bare("SELECT * FROM lea_fleet_indexed") == []
    fill(engine, [*rows, {"machine_id": "PC-999"}])
    found(operator, "pc-99")

    assert bare("SELECT count(*) FROM lea_fleet_search") == [(1000,)]
