"""What an agent sees of a machine: of personal data only what was said for it.

That is what the machine itself or its installer has sent in the current enrollment.
What an earlier user, an import or an operator has left there is for operators.
"""

from __future__ import annotations

import json

import pytest

from lea_fleet.core.machine import PERSONAL
from lea_fleet.storage.agents import Agents
from tests.support.api import Agent

ALICE = {
    "user_name": "Alice",
    "user_email": "alice@example.com",
    "user_id": "S-1-5-21-1",
    "hostname": "PC-ALICE",
}
NOTHING = dict.fromkeys(ALICE)


def seen_by(agent):
    """Return the personal columns that *agent* gets to see of its machine."""
    answer = agent.get(f"/machines/{agent.machine_id}")
    assert answer.status_code == 200, answer.text
    return {name: answer.json["agent"][name] for name in PERSONAL}


def stored(operator):
    agent = operator.machine("PC-1")
    return {name: agent[name] for name in PERSONAL}


def reinstalled(operator):
    operator.enroll("PC-1", **ALICE)
    operator.uninstall("PC-1")
    return operator.installer()


def released(operator):
    operator.enroll("PC-1", **ALICE)
    operator.post("/machines/PC-1/release")
    return operator.installer()


def imported(operator, run_import):
    run_import({"machine_id": "PC-1", **ALICE})
    return operator.installer()


def forced(operator):
    operator.enroll("PC-1", **ALICE)
    return operator


@pytest.fixture
def run_import(operator, run, tmp_path):
    def run_it(row):
        operator.get("/fleet")  # begins the database, which a command would refuse to
        file = tmp_path / "machines.csv"
        file.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
        assert run("import", str(file)).exit_code == 0

    return run_it


@pytest.fixture(params=["reinstalled", "released", "imported", "forced"])
def enroll(request, operator, run_import):
    """Enroll PC-1, of which Alice's data is stored, in each way that there is."""
    if request.param == "imported":
        caller = imported(operator, run_import)
    else:
        caller = globals()[request.param](operator)
    force = {"force": True} if request.param == "forced" else {}
    return lambda **details: caller.enroll("PC-1", **details, **force)


def test_an_agent_does_not_see_who_had_the_machine_before(enroll, operator):
    agent = enroll()

    assert seen_by(agent) == NOTHING
    assert stored(operator) == ALICE
    answer = agent.post("/uninstall", {})
    assert "alice" not in answer.text.lower()
    again = agent.post("/uninstall", {})
    assert again.status_code == 200 and "alice" not in again.text.lower()


def test_an_agent_sees_what_its_installer_has_said(enroll):
    agent = enroll(hostname="PC-BOB", user_name="Bob")

    assert seen_by(agent) == {**NOTHING, "hostname": "PC-BOB", "user_name": "Bob"}


def test_a_heartbeat_with_one_name_does_not_show_the_others(enroll):
    agent = enroll()

    agent.heartbeat(user_name="Bob")

    assert seen_by(agent) == {**NOTHING, "user_name": "Bob"}


def test_an_agent_sees_a_name_that_was_stored_before_once_it_has_said_it(enroll):
    agent = enroll()

    agent.heartbeat(hostname=ALICE["hostname"])

    assert seen_by(agent) == {**NOTHING, "hostname": ALICE["hostname"]}


def test_a_rotated_token_shows_what_the_one_before_did(enroll):
    agent = enroll(user_name="Bob")
    agent.heartbeat(hostname="PC-BOB")

    agent.token = agent.post("/machines/PC-1/token").json["api_token"]

    assert seen_by(agent) == {**NOTHING, "user_name": "Bob", "hostname": "PC-BOB"}


def test_a_token_that_an_operator_rotates_shows_the_same(operator, run):
    agent = operator.enroll("PC-1", user_name="Bob")
    agent.token = run("rotate", "PC-1", "--now").stdout.strip()

    assert seen_by(agent) == {**NOTHING, "user_name": "Bob"}


def test_a_repeated_request_shows_the_same(operator):
    installer = reinstalled(operator)
    key = {"Idempotency-Key": "one"}
    body = {"machine_id": "PC-1", "user_name": "Bob"}
    installer.post("/enroll", body, headers=key)

    answer = installer.post("/enroll", body, headers=key)

    assert answer.json["status"] == "reactivated"
    assert "alice" not in answer.text.lower()
    operator.token = answer.json["api_token"]
    assert "alice" not in operator.get("/machines/PC-1").text.lower()
    assert operator.get("/machines/PC-1").json["agent"]["user_name"] == "Bob"


def test_what_an_operator_stores_by_hand_is_the_operators(operator):
    agent = operator.installer().enroll("PC-1", user_name="Bob", hostname="PC-BOB")

    names = {"user_name": "Robert (probation)", "hostname": "PC-BOB"}
    operator.post("/heartbeat", {"machine_id": "PC-1", **names})

    assert seen_by(agent) == {**NOTHING, "hostname": "PC-BOB"}
    agent.heartbeat(user_name="Bob")
    assert seen_by(agent) == {**NOTHING, "user_name": "Bob", "hostname": "PC-BOB"}


def test_what_a_command_enrolls_is_the_operators(operator, run):
    operator.get("/fleet")
    words = run("enroll", "PC-1", "--user-name", "Alice", "--json")
    agent = Agent(operator.client, json.loads(words.stdout))

    assert seen_by(agent) == NOTHING


def test_what_an_older_server_writes_is_not_shown(operator, engine):
    agent = operator.installer().enroll("PC-1", user_name="Bob")
    engine.execute("UPDATE enrolled_agents SET user_email = 'x@example.com'")

    assert seen_by(agent) == {**NOTHING, "user_name": "Bob"}


def test_a_new_enrollment_forgets_what_was_said_in_the_last_one(operator):
    operator.installer().enroll("PC-1", **ALICE)
    operator.uninstall("PC-1")
    agent = operator.installer().enroll("PC-1")

    assert seen_by(agent) == NOTHING


def test_an_agent_sees_only_its_own_reason_of_an_uninstall(operator):
    agent = operator.enroll("PC-1")
    own = agent.post("/uninstall", {"reason": "sold"})
    assert own.json["agent"]["uninstall_reason"] == "sold"
    again = agent.post("/uninstall", {})
    assert again.json["agent"]["uninstall_reason"] == "sold"

    agent = operator.enroll("PC-1")
    operator.uninstall("PC-1", reason="Alice was dismissed")
    answer = agent.post("/uninstall", {"reason": "sold"})
    assert answer.json["agent"]["uninstall_reason"] is None
    assert operator.machine("PC-1")["uninstall_reason"] == "Alice was dismissed"


def test_the_operator_sees_everything(enroll, operator):
    enroll(user_name="Bob")

    assert stored(operator) == {**ALICE, "user_name": "Bob"}


def test_what_another_stores_while_an_agent_asks_is_not_shown(
    operator, elsewhere, monkeypatch
):
    """The token and the row are read one after the other."""
    agent = operator.installer().enroll("PC-1", user_name="Bob")
    agent.heartbeat()
    require = Agents.require

    def store_first(self, machine_id):
        monkeypatch.setattr(Agents, "require", require)
        stored = {"machine_id": "PC-1", "user_name": "Robert (probation)"}
        assert elsewhere.post("/heartbeat", stored).status_code == 200
        return require(self, machine_id)

    monkeypatch.setattr(Agents, "require", store_first)

    assert seen_by(agent) == {**NOTHING, "user_name": "Bob"}
    assert seen_by(agent) == NOTHING


def test_an_import_over_a_machine_without_a_token_is_the_operators(
    operator, run, run_import, engine
):
    """A rotation afterwards passes on nothing that a dead token has said."""
    agent = operator.installer().enroll("PC-1", user_name="Bob", hostname="PC-BOB")
    engine.execute("UPDATE lea_fleet_tokens SET revoked_at = issued_at")
    run_import({"machine_id": "PC-1", "user_name": "Alice"})
    agent.token = run("rotate", "PC-1").stdout.strip()

    assert seen_by(agent) == {**NOTHING, "hostname": "PC-BOB"}
    assert stored(operator)["user_name"] == "Alice"


def test_a_reason_that_an_earlier_agent_gave_in_the_same_words_is_not_its_own(
    operator, engine
):
    operator.enroll("PC-1").post("/uninstall", {"reason": "Alice left"})
    agent = operator.installer().enroll("PC-1")
    agent.heartbeat()
    engine.older_server().uninstall("PC-1", "Alice left")

    assert "Alice" not in agent.post("/uninstall", {"reason": "Alice left"}).text
    assert operator.machine("PC-1")["uninstall_reason"] == "Alice left"


def test_a_machine_of_the_older_server_is_shown_to_its_first_agent_of_ours_as_new(
    operator, run, engine
):
    operator.get("/fleet")
    engine.older_server().enroll("PC-1", user_name="Alice")
    run("release", "PC-1")
    agent = operator.installer().enroll("PC-1", hostname="PC-BOB")

    assert seen_by(agent) == {**NOTHING, "hostname": "PC-BOB"}
    assert stored(operator)["user_name"] == "Alice"


def test_a_refused_enrollment_shows_no_personal_data(operator):
    installer = operator.installer()
    operator.enroll("PC-1", **ALICE)
    active = installer.post("/enroll", {"machine_id": "PC-1"})
    operator.uninstall("PC-1", reason="Alice was dismissed")
    body = {"machine_id": "PC-1", "allow_reactivate": False}
    gone = installer.post("/enroll", body)

    assert (active.status_code, gone.status_code) == (409, 409)
    assert "alice" not in (active.text + gone.text).lower()
