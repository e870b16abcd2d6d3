"""``erase --user`` and ``export --user`` find a person in whatever form is stored."""

from __future__ import annotations

import json

import pytest

from tests.support.traces import BOB

ZOE = "zoé@example.com"
NEIGHBOR = "zoé@example.community"

FORMS = {
    "padded": "  zoé@example.com ",
    "decomposed": "zoe\u0301@example.com",
    "upper case": "ZOÉ@EXAMPLE.COM",
    "in brackets": "<zoé@example.com>",
    "a link": "mailto:zoé@example.com",
    "an encoded link": "mailto:zo%C3%A9%40example.com",
    "a wide sign": "zoé\uff20example.com",
    "with a name": "Zoé <Zoé@example.com>",
    "with another": "zoé@example.com;carol@example.org",
    "after another": "carol@example.org; zoé@example.com",
}

stored = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.fixture
def write(operator, engine):
    """Insert a row as an older server or 0.1.0 does, without our checks."""
    operator.get("/fleet")
    return engine.insert


@pytest.fixture
def read(engine):
    """Return everything of a table, as one text."""
    return lambda table: repr(engine.contents()[table])


def add_row(write, email, machine_id="PC-1", **columns):
    write(
        "enrolled_agents",
        machine_id=machine_id,
        user_email=email,
        **{"user_name": "Z", **columns},
        enrolled_at="2026-03-02T07:00:00+00:00",
    )


def export(run, email=ZOE):
    result = run("export", "--user", email)
    return json.loads(result.stdout) if result.exit_code == 0 else None


def erase(run, email=ZOE):
    result = run("erase", "--user", email, "--yes")
    assert result.exit_code == 0, result.output


@stored
def test_in_the_row_of_a_machine(run, write, operator, form):
    add_row(write, form)
    add_row(write, NEIGHBOR, "PC-2")

    (known,) = export(run)["machines"]
    assert known["agent"]["user_name"] == "Z"
    assert "carol" not in json.dumps(known)

    erase(run)
    assert operator.machine()["user_email"] is operator.machine()["user_name"] is None
    assert operator.machine("PC-2")["user_email"] == NEIGHBOR
    assert export(run) is None


@pytest.mark.parametrize("form", [f for f in FORMS.values() if "carol" not in f])
def test_as_one_types_it(run, write, operator, form):
    add_row(write, ZOE)

    assert len(export(run, form)["machines"]) == 1
    erase(run, form)
    assert operator.machine()["user_email"] is None


@stored
def test_in_the_history(run, operator, read, form):
    agent = operator.enroll("PC-1", user_email=form, user_name="Zoé Z")
    agent.heartbeat(**BOB)
    agent.heartbeat(user_email=NEIGHBOR)

    (known,) = export(run)["machines"]
    before = known["events"][-1]["detail"]["before"]
    assert (before["user_name"], "carol" in json.dumps(known)) == ("Zoé Z", False)

    erase(run)
    assert "Zo" not in read("lea_fleet_events").replace("zo\\\\u00e9@example.comm", "")
    assert operator.machine()["user_email"] == NEIGHBOR
    assert operator.machine()["user_name"] == BOB["user_name"]
    assert export(run) is None
    assert export(run, NEIGHBOR) is not None


@stored
@pytest.mark.parametrize("fold", [str.casefold, str], ids=["0.1.0", "as it was"])
def test_among_the_former_identities(run, operator, write, read, form, fold):
    """0.1.0 stores them without the Unicode normalization that we use."""
    operator.enroll("PC-1", **BOB)
    for value in (fold(form), NEIGHBOR):
        write(
            "lea_fleet_identities",
            machine_id="PC-1",
            name="user_email",
            value=value,
            enrolled_at="2026-03-02T07:00:00+00:00",
            left_at="2026-03-02T08:00:00+00:00",
        )

    (known,) = export(run)["machines"]
    assert len(known["identities"]) == 1
    assert "carol" not in json.dumps(known)

    erase(run)
    assert read("lea_fleet_identities").count("user_email") == 1
    assert NEIGHBOR in read("lea_fleet_identities")
    assert export(run) is None


@stored
def test_in_a_reason_in_a_label_and_in_an_operators_name(run, operator, read, form):
    operator.enroll("PC-1", **BOB)
    operator.enroll("PC-2", **BOB)
    operator.uninstall("PC-1", reason=f"given to {form}")
    operator.uninstall("PC-2", reason=f"given to {NEIGHBOR}")
    operator.installer(label=f"for {form}")
    operator.installer(label=f"for {NEIGHBOR}")
    for name in (form, NEIGHBOR):
        operator.post("/operators", {"name": f"of {name}", "role": "viewer"})

    assert len(export(run)["mentions"]) == 3
    assert len(export(run)["operators"]) == 1

    erase(run)
    assert operator.machine("PC-1")["uninstall_reason"] is None
    assert operator.machine("PC-2")["uninstall_reason"] == f"given to {NEIGHBOR}"
    labels = [
        t["label"] for t in operator.get("/enrollment-tokens").json["enrollment_tokens"]
    ]
    assert sorted(labels) == ["", f"for {NEIGHBOR}"]
    named = [each["name"] for each in operator.get("/operators").json["operators"]]
    assert sorted(named) == ["", f"of {NEIGHBOR}"]
    assert export(run) is None


@stored
def test_as_the_operator_who_acted(run, operator, write, read, form):
    operator.enroll("PC-1", **BOB)
    for user in (form, NEIGHBOR):
        write(
            "lea_fleet_events",
            machine_id="PC-1",
            event="released",
            at="2026-03-02T07:00:00+00:00",
            actor=json.dumps({"role": "operator", "user": user}),
            detail="{}",
        )
        write(
            "lea_fleet_enrollments",
            machine_id=f"of {user}",
            enrolled_at="2026-03-02T07:00:00+00:00",
            status="enrolled",
            credential=f"operator:{user}",
            key_hash="k",
        )

    assert len(export(run)["acts"]) == 1

    erase(run)
    assert export(run) is None
    assert len(export(run, NEIGHBOR)["acts"]) == 1
    assert read("lea_fleet_enrollments").count("operator:") == 1


@pytest.mark.parametrize("column", ["user_name", "user_id"])
def test_in_a_column_that_is_not_for_it(run, write, operator, column):
    add_row(write, None, **{column: "<Zoé@example.com>"})
    add_row(write, None, "PC-2", **{column: NEIGHBOR})

    erase(run)

    assert operator.machine()[column] is None
    assert operator.machine("PC-2")[column] == NEIGHBOR
