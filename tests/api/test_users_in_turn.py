"""Two users of one machine, in any order: each one's data belongs to them only."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lea_fleet import AgentRepository
from lea_fleet.core import clock
from lea_fleet.core.text import folded
from lea_fleet.storage.erasure import Erasure
from lea_fleet.storage.heartbeats import Heartbeats
from lea_fleet.storage.naming import machines_naming
from lea_fleet.storage.personal_data import PersonalData

_PEOPLE = ("Zoé", "Bob")

# The steps: somebody takes over the machine, or its user reports another name,
# re-enrolls or uninstalls it; within the shorter time, a name may come back.
_STEPS = st.tuples(
    st.sampled_from(["beat", "rename", "enroll", "enroll silently", "uninstall"]),
    st.sampled_from(_PEOPLE),
    st.integers(1, 3),
    st.sampled_from([1, 30]),
)


def details(person, number=0):
    """Return the details that a machine reports, under one of its user's names."""
    return {
        "user_email": f"{person}@example.com",
        "user_name": f"{person}-{number}",
        "user_id": f"id of {person}",
        "hostname": f"PC-{person}-{number}",
    }


#: Bob comes back at the end, which records no event.
BACK_AND_FORTH = [("beat", "Bob", 2, 1), ("beat", "Zoé", 1, 1), ("beat", "Bob", 2, 1)]

examples = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def machine(engine):
    """Yield a repository with one machine of Zoé's, and a clock that can be moved."""
    moment = [datetime(2026, 3, 2, tzinfo=timezone.utc)]

    def later(hours):
        moment[0] += timedelta(hours=hours)

    engine.make_tables()
    engine.empty()
    with (
        patch.object(clock, "now", lambda: moment[0]),
        engine.opened_by_host() as connection,
    ):
        actor = {"role": "agent", "address": "10.9.8.7"}
        repository = AgentRepository(connection, actor=actor)
        repository.enroll("PC-1", **details("Zoé"))
        yield repository, later


def live(repository, steps, later):
    """Apply *steps*; return whose the machine is in the end.

    An enrollment reports the user that is known already, so it never adds one.
    """
    holder = "Zoé"
    for step, person, number, hours in steps:
        later(hours)
        if repository.require("PC-1")["status"] != "active":
            repository.enroll("PC-1")
            continue
        if step == "beat":
            holder = person
        said = details(holder, number)
        if step in ("beat", "rename"):
            with repository.transaction():
                Heartbeats(repository.unit).see(repository.require("PC-1"), said)
        elif step == "uninstall":
            name = repository.require("PC-1")["user_name"]
            repository.uninstall("PC-1", f"{name} left")
        else:
            said = {} if step == "enroll silently" else details(holder)
            repository.enroll("PC-1", force=True, **said)
    return holder


def stored(repository):
    """Return every row that may contain personal data, as text."""
    tables = ("enrolled_agents", "lea_fleet_events", "lea_fleet_identities")
    rows = []
    for table in tables:
        found = repository.connection.execute(f"SELECT * FROM {table}").fetchall()
        rows += [_plain(value) for row in found for value in row]
    return "\n".join(rows)


def _plain(value):
    text = str(value)
    if text.startswith("{"):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return folded(text)


def count(repository, person):
    return stored(repository).count(folded(person))


@examples
@given(steps=st.lists(_STEPS, max_size=9), erased=st.sampled_from(_PEOPLE))
def test_an_erasure_takes_one_and_leaves_the_other(engine, steps, erased):
    (other,) = set(_PEOPLE) - {erased}
    with machine(engine) as (repository, later):
        holder = live(repository, steps, later)
        row = repository.require("PC-1")
        others = count(repository, other)
        erasure = Erasure(repository.unit)
        history = erasure.history("PC-1")
        told = all(len(holders) == 1 for holders in history.before + history.after)
        email = folded(f"{erased}@example.com")
        erasure.erase(
            machines_naming(repository.unit, email), partial(erasure.of_person, email)
        )

        assert count(repository, erased) == 0
        if told:
            assert count(repository, other) == others
        if holder == other:
            assert repository.require("PC-1") == row


@examples
@given(steps=st.lists(_STEPS, max_size=9), asked=st.sampled_from(_PEOPLE))
@example(
    steps=[("beat", "Bob", 1, 1), ("rename", "Bob", 2, 1), ("beat", "Zoé", 0, 1)],
    asked="Zoé",
)
@example(
    steps=[*BACK_AND_FORTH, ("rename", "Bob", 1, 1), ("beat", "Zoé", 1, 1)],
    asked="Zoé",
)
def test_an_export_tells_of_one_and_not_of_the_other(engine, steps, asked):
    (other,) = set(_PEOPLE) - {asked}
    with machine(engine) as (repository, later):
        holder = live(repository, steps, later)
        known = PersonalData(repository.unit).known(f"{asked}@EXAMPLE.com")

        told = folded(json.dumps(known, ensure_ascii=False))
        assert folded(other) not in told
        if holder == asked:
            assert known["machines"][0]["agent"] == repository.require("PC-1")
