"""A transaction that writes about a machine names it.

SQLite does not need this, since it locks the whole file; an engine that locks rows
locks only the machines that are named. So each event about a machine must be written
in a transaction that has named the machine.
"""

from __future__ import annotations

import pytest

from lea_fleet import LeaFleet
from lea_fleet.storage.events import Events


@pytest.fixture
def events(engine, monkeypatch):
    """The events about machines that are written, each with the machines named."""
    add = Events.add
    named, written = [], []

    def noting(begin):
        def begin_noting(*args):
            *_, about, durable = args
            named[:] = [about] if isinstance(about, str) else about
            begin(*args)

        return begin_noting

    def add_noting(self, event, machine_id, **detail):
        if machine_id is not None:
            written.append((event, machine_id, list(named)))
        add(self, event, machine_id, **detail)

    engine.wrap(monkeypatch, "begin_writing", noting)
    monkeypatch.setattr(Events, "add", add_noting)
    return written


def assert_named(events, *expected):
    assert {event for event, _, _ in events} == set(expected)
    for event, machine_id, named in events:
        assert machine_id in {name.strip() for name in named}, event


def test_every_request_names_its_machine(operator, the_clock, events):
    agent = operator.installer().enroll(" PC-1 ", hostname="A", user_name="Zoé")
    agent.heartbeat(hostname="B")
    agent.heartbeat(hostname="A")
    token = agent.post("/machines/PC-1/token").json["api_token"]
    agent.token = token
    agent.heartbeat()
    agent.post("/machines/PC-1/token")
    agent.post("/machines/PC-1/token")
    operator.post("/machines/PC-1/release")
    operator.request("DELETE", "/machines/PC-1/release")
    operator.enroll("PC-1", force=True)
    operator.uninstall()
    operator.enroll("PC-1")
    key = {"Idempotency-Key": "again"}
    for _ in range(2):
        assert operator.post("/enroll", {"machine_id": "PC-2"}, headers=key).json

    assert_named(
        events,
        "enrolled",
        "identity_changed",
        "suspected_clone",
        "token_rotated",
        "token_revoked",
        "released",
        "release_cancelled",
        "reenrolled",
        "uninstalled",
        "reactivated",
    )


def test_every_command_names_its_machines(run, operator, the_clock, tmp_path, events):
    file = tmp_path / "machines.csv"
    file.write_text("machine_id;user_email\nPC-1;zoe@example.com\nPC-2;\n")
    said = [
        ("import", file, "--yes", "--create"),
        ("enroll", "PC-3", "--user-email", "zoe@example.com"),
        ("enroll", "PC-1"),
        ("edit", "PC-3", "--id", "PC-4", "--version", "2"),
        ("edit", "PC-4", "--id", "PC-3"),
        ("rotate", "PC-3"),
        ("rotate", "PC-3", "--now"),
        ("release", "PC-3"),
        ("release", "PC-3", "--cancel"),
        ("release", "--without-token", "--yes"),
        ("uninstall", "PC-1", "PC-2", "--yes"),
        ("erase", "PC-1", "--yes"),
        ("erase", "--user", "zoe@example.com", "--yes"),
    ]
    for words in said:
        result = run(*words)
        assert result.exit_code == 0, result.output
    the_clock.advance(days=200)
    for words in ("--silent-for", "100d"), ("--uninstalled-for", "100d"):
        assert run("prune", *words, "--yes").exit_code == 0

    assert_named(
        events,
        "imported",
        "enrolled",
        "edited",
        "reenrolled",
        "token_rotated",
        "token_revoked",
        "released",
        "release_cancelled",
        "uninstalled",
        "erased",
    )


def test_what_a_host_does_names_its_machine(app, events):
    with app.app_context():
        repository = LeaFleet().repository
        repository.enroll("PC-1")
        repository.uninstall("PC-1")

    assert_named(events, "enrolled", "uninstalled")
