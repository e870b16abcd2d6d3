"""``flask fleet erase``: what is personal is gone for good, and the rest stays."""

from __future__ import annotations

import json

import pytest

from lea_fleet.app.database import get_repository
from tests.support.api import Api
from tests.support.traces import BOB, ZOE, traces

pytestmark = pytest.mark.usefixtures("deletes_nothing_by_itself")


@pytest.fixture
def run(app, monkeypatch):
    """Run ``flask fleet erase`` with these words; return the result."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LOGNAME", "amelie")
    return lambda *words: app.test_cli_runner().invoke(args=["fleet", "erase", *words])


@pytest.fixture
def erase(run, engine):
    """Erase; return what was done, which went well."""

    def erase(*words):
        result = run(*words, "--yes", "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert report == {**report, "done": True, **engine.cleaned}
        assert report["agents"] == report["machines"]
        return report

    return erase


def history(operator, machine_id="PC-1"):
    return operator.get(f"/machines/{machine_id}/events").json["events"][::-1]


# What is shown


def test_it_is_only_shown_at_first(run, operator, engine):
    operator.enroll("PC-1", **ZOE)
    before = engine.contents()
    result = run("PC-1")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        "Would erase from 1 of enrolled_agents. Repeat with --yes to erase it."
    )
    assert "Active: PC-1." in result.stderr
    assert engine.contents() == before
    report = json.loads(run("PC-1", "--json").stdout)
    erased = {
        "machine_id": "PC-1",
        "active": True,
        "fields": sorted(ZOE),
        "rows": {"enrolled_agents": 1},
    }
    assert report == {
        "done": False,
        "agents": [erased],
        "machines": [erased],
        "rows": {"enrolled_agents": 1},
    }


@pytest.mark.parametrize("words", [[], ["PC-1", "--user", "a@b.c"], [" "]], ids=str)
def test_one_machine_or_one_person_is_named(run, operator, words):
    operator.enroll("PC-1")

    assert run(*words).exit_code == 2


def test_a_machine_that_was_never_there_is_exit_code_1(run, operator):
    operator.enroll("PC-1")

    assert run("PC-2", "--yes").exit_code == 1
    assert run("--user", "nobody@example.com").output == "There is nothing to erase.\n"


# A machine


def test_all_that_is_personal_of_a_machine_goes(erase, operator, engine, the_clock):
    agent = operator.installer().enroll("PC-1", os_info="Windows 11", **ZOE)
    agent.heartbeat(version="1.4", **BOB)
    agent.heartbeat(hostname=ZOE["hostname"])
    agent.heartbeat(hostname=BOB["hostname"])  # a clone, it seems
    agent.post("/uninstall", {"reason": "of bob ÅKESSON, who left"})
    before = history(operator)
    report = erase("PC-1")

    assert traces(engine, *ZOE.values(), *BOB.values(), "who left") == []
    *after, erased = history(operator)
    names = ("id", "event", "at")
    assert [e[n] for e in after for n in names] == [e[n] for e in before for n in names]
    assert [event["actor"]["role"] for event in after] == ["installer"] + ["agent"] * 3
    assert not any("address" in event["actor"] for event in after)
    assert erased["event"] == "erased"
    assert erased["detail"] == {"fields": sorted([*ZOE, "address", "reason"])}
    assert report["rows"]["lea_fleet_events"] == 4
    row = operator.machine("PC-1")
    assert [row[name] for name in ZOE] == [None] * 4
    assert (row["os_info"], row["version"], row["uninstall_reason"]) == (
        "Windows 11",
        "1.4",
        None,
    )


def test_a_reason_that_names_nobody_stays(run, operator):
    operator.enroll("PC-1", **ZOE)
    operator.uninstall("PC-1", reason="replaced")
    run("PC-1", "--yes")

    assert operator.machine("PC-1")["uninstall_reason"] == "replaced"
    assert history(operator)[1]["detail"] == {"reason": "replaced"}


def test_an_agent_that_is_active_stays_so_and_says_it_again(run, operator):
    agent = operator.enroll("PC-1", **ZOE)
    run("PC-1", "--yes")

    assert agent.heartbeat(**ZOE).status_code == 200
    assert operator.machine("PC-1")["user_name"] == ZOE["user_name"]


def test_a_row_that_was_deleted_leaves_a_history_to_erase(erase, operator, engine):
    operator.enroll("PC-1", **ZOE).heartbeat(**BOB)
    engine.wipe("enrolled_agents")
    erase("PC-1")

    assert traces(engine, *ZOE.values(), *BOB.values()) == []


# A person


def test_a_person_goes_and_the_next_user_stays(erase, operator, engine):
    agent = operator.enroll("PC-1", **ZOE)
    agent.heartbeat(**BOB)
    operator.enroll("PC-2", **BOB)
    before = engine.contents()["enrolled_agents"]
    erase("--user", "ZOÉ@EXAMPLE.COM")

    assert traces(engine, *ZOE.values()) == []
    assert engine.contents()["enrolled_agents"] == before
    changed = history(operator)[1]
    assert changed["detail"] == {"before": dict.fromkeys(ZOE), "after": BOB}
    assert changed["actor"] == {"role": "agent", "address": "127.0.0.1"}
    assert history(operator)[-1]["event"] == "erased"
    assert [event["event"] for event in history(operator, "PC-2")] == ["enrolled"]


def test_the_user_of_now_goes_and_the_one_before_stays(erase, operator, engine):
    agent = operator.enroll("PC-1", **BOB)
    agent.heartbeat(**ZOE)
    erase("--user", ZOE["user_email"])

    assert traces(engine, *ZOE.values()) == []
    row = operator.machine("PC-1")
    assert [row[name] for name in ZOE] == [None] * 4
    changed = history(operator)[1]
    assert changed["detail"] == {"before": BOB, "after": dict.fromkeys(ZOE)}
    assert changed["actor"] == {"role": "agent"}


def test_a_longer_spelling_of_their_hostname_goes_with_the_short_one(
    erase, operator, engine
):
    agent = operator.enroll("PC-1", **{**ZOE, "hostname": "pc.zoe.example"})
    agent.heartbeat(hostname="pc")
    assert engine.contents()["lea_fleet_identities"]

    erase("--user", ZOE["user_email"])
    assert engine.contents()["lea_fleet_identities"] == []


def test_accents_tell_people_apart(run, operator):
    operator.enroll("PC-1", user_email="zoe@example.com")
    run("--user", "zoé@example.com", "--yes")

    assert operator.machine("PC-1")["user_email"] == "zoe@example.com"


def test_a_name_goes_that_came_and_went_with_another_heartbeat(erase, operator, engine):
    agent = operator.enroll("PC-1", **ZOE)
    agent.heartbeat(user_email=BOB["user_email"])
    agent.heartbeat(user_name=BOB["user_name"])
    operator.uninstall("PC-1", reason=f"as {ZOE['user_name'].upper()} asked")
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_name"], ZOE["user_name"].upper()) == []
    assert operator.machine("PC-1")["user_name"] == BOB["user_name"]


def test_a_reason_that_names_the_person_goes_on_any_machine(erase, operator, engine):
    operator.enroll("PC-2", **BOB)
    operator.uninstall("PC-2", reason="now with zoé@example.com")
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_email"]) == []
    row = operator.machine("PC-2")
    assert (row["uninstall_reason"], row["user_name"]) == (None, BOB["user_name"])


# An operator


@pytest.fixture
def as_operator(app):
    """Let an operator of that name do something through the repository."""

    def act(user, role="operator", name="user"):
        actor = {"role": role, name: user, "address": "10.9.8.7"}
        with app.app_context():
            get_repository(actor).release("PC-1")

    return act


@pytest.mark.parametrize("role, name", [("operator", "user"), ("cli", "os_user")])
def test_an_operator_is_forgotten_by_e_mail_alone(
    erase, operator, as_operator, engine, role, name
):
    operator.enroll("PC-1", **BOB)
    as_operator(ZOE["user_email"], role, name)
    erase("PC-1")
    assert traces(engine, ZOE["user_email"], "10.9.8.7") != []
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_email"], "10.9.8.7") == []
    assert history(operator)[1]["actor"] == {"role": role}


def test_operators_leave_one_event_and_it_is_of_no_machine(
    run, app, operator, as_operator
):
    operator.enroll("PC-1", **BOB)
    as_operator(ZOE["user_email"])
    run("--user", ZOE["user_email"], "--yes")

    assert [event["event"] for event in history(operator)] == ["enrolled", "released"]
    with app.app_context():
        (newest,), _ = get_repository().events.page(None, limit=1)
    assert (newest["event"], newest["machine_id"]) == ("erased", None)
    assert newest["detail"] == {"fields": ["address", "operator"]}


def test_an_enrollment_token_that_names_the_person_forgets_it(erase, operator, engine):
    operator.enroll("PC-1")
    operator.installer(label=f"for {ZOE['user_email']}")
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_email"]) == []


def test_an_operator_whose_name_names_the_person_forgets_it_and_may_go_on(
    erase, operator, engine
):
    named = {"name": f"Zoé, {ZOE['user_email']}", "role": "operator"}
    made = operator.post("/operators", named).json
    caller = Api(operator.client, made["token"])
    caller.post("/enroll", {"machine_id": "PC-1"})
    operator.request("DELETE", f"/operators/{made['id']}")
    caller.token = operator.post("/operators", named).json["token"]
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_email"]) == []
    listed = operator.get("/operators").json["operators"]
    assert [(each["name"], each["state"]) for each in listed] == [
        ("", "active"),
        ("", "revoked"),
    ]
    told = operator.get("/events?event=operator_revoked").json["events"]
    assert told[0]["detail"]["name"] is None
    assert caller.get("/whoami").json["name"] is None
    caller.post("/machines/PC-1/release")
    newest = operator.get("/events").json["events"][0]
    assert newest["event"] == "released" and "user" not in newest["actor"]
    assert newest["actor"]["operator"] == 2


def test_who_sent_an_enrollment_that_may_be_repeated_is_forgotten(
    erase, app, operator, engine
):
    operator.enroll("PC-1")
    with app.app_context():
        repository = get_repository()
        enrolment = repository.enroll("PC-2")
        credential = f"operator:{ZOE['user_email']}"
        repository.allow_replay(enrolment, credential=credential, key_hash="0")
    erase("--user", ZOE["user_email"])

    assert traces(engine, ZOE["user_email"]) == []


# In steps


def test_a_long_history_goes_in_several_transactions(erase, operator, engine, app):
    operator.enroll("PC-1", **ZOE)
    with app.app_context():
        repository = get_repository({"role": "agent", "address": "10.9.8.7"})
        with repository.transaction():
            for number in range(1, 2500):
                names = [f"Zoé-{n}" for n in (number, number + 1)]
                before, after = ({"user_name": name} for name in names)
                repository.events.add(
                    "identity_changed", "PC-1", before=before, after=after
                )
    report = erase("PC-1")

    assert report["rows"] == {"enrolled_agents": 1, "lea_fleet_events": 2499}
    assert traces(engine, "Zoé-", "10.9.8.7", *ZOE.values()) == []


# Refused machines


def refuse(caller, machine_id="PC-1", **members):
    body = {"machine_id": machine_id, **members}
    assert caller.post("/enroll", body).status_code in (401, 409)


def revoked(operator):
    """Return an installer whose token was revoked."""
    installer = operator.installer()
    operator.request("DELETE", "/enrollment-tokens/1")
    return installer


def said(engine):
    """Return what refused machines have said, and the code of each."""
    query = "SELECT machine_id, hostname, address, code FROM lea_fleet_refused"
    return sorted(engine.execute(query), key=repr)


def test_what_a_refused_machine_has_said_goes_with_its_data(erase, operator, engine):
    operator.enroll("PC-1", **ZOE)
    refuse(operator, hostname="PC-DE-ZOÉ-2")
    report = erase("PC-1")

    assert report["rows"]["lea_fleet_refused"] == 1
    assert said(engine) == [("PC-1", None, None, "already_enrolled")]
    assert traces(engine, *ZOE.values(), "PC-DE-ZOÉ-2") == []


def test_so_it_does_with_the_person_who_has_the_machine(erase, operator, engine):
    operator.enroll("PC-1", **ZOE)
    operator.enroll("PC-2", **BOB)
    for machine_id in ("PC-1", "PC-2"):
        refuse(operator, machine_id, hostname="OFFICE")
    erase("--user", ZOE["user_email"])

    assert said(engine) == [
        ("PC-1", None, None, "already_enrolled"),
        ("PC-2", "OFFICE", "127.0.0.1", "already_enrolled"),
    ]


def test_so_it_does_with_the_person_whose_hostname_it_is(erase, operator, engine):
    operator.enroll("PC-1", **ZOE)
    refuse(operator, hostname="PC-DE-ZOÉ")
    operator.post("/heartbeat", {"machine_id": "PC-1", **BOB})
    erase("--user", ZOE["user_email"])

    assert traces(engine, *ZOE.values()) == []
    assert said(engine) == [("PC-1", None, None, "already_enrolled")]


@pytest.mark.parametrize("machine_id", ["PC-9", None])
def test_a_hostname_that_names_them_is_found_of_a_machine_that_never_enrolled(
    erase, operator, engine, machine_id
):
    stranger = revoked(operator)
    refuse(stranger, machine_id, hostname=f"pc of {ZOE['user_email']}")
    refuse(stranger, "PC-8", hostname="other")
    erase("--user", ZOE["user_email"])

    others = ("PC-8", "other", "127.0.0.1", "token_revoked")
    erased = (machine_id, None, None, "token_revoked")
    assert said(engine) == sorted([others, erased], key=repr)


def test_a_machine_that_was_only_refused_can_be_erased(erase, run, operator, engine):
    refuse(revoked(operator), "PC-9", hostname="PC-DE-ZOÉ")
    assert "hostname" in run("PC-9").stdout
    erase("PC-9")

    assert said(engine) == [("PC-9", None, None, "token_revoked")]


def test_repeats_do_not_bring_it_back(app, erase, operator, engine):
    operator.enroll("PC-1", **ZOE)
    for _ in range(3):
        refuse(operator, hostname="PC-DE-ZOÉ")
    erase("PC-1")
    app.extensions["lea_fleet"].refused_machines.close()

    assert engine.execute("SELECT refused FROM lea_fleet_refused") == [(3,)]
    assert traces(engine, *ZOE.values()) == []
