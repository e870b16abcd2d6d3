"""Random sequences of steps on a few machines keep to the rules of the reference.

The rules are implemented a second time here, as a model in plain Python. After each
step, the fleet is compared with the model: the response, the valid tokens, the uses of
each enrollment token, the state of each machine and its events. Requests go to two
servers in turn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count, cycle

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from lea_fleet.core import clock
from tests.conftest import Clock
from tests.support import older_server
from tests.support.api import OPERATOR_TOKEN, Api

DAY = timedelta(days=1)

GOOD = ("live", "pending")


# The model: what the rules say


@dataclass(eq=False)
class Caller:
    """The sender of an enrollment: the operator, or an installer with its token."""

    api: Api
    token_id: int | None = None
    max_uses: float = float("inf")
    expires_at: datetime | None = None
    uses: int = 0
    revoked: bool = False

    @property
    def role(self):
        return "operator" if self.token_id is None else "installer"

    def has_expired(self, now):
        return self.expires_at is not None and now >= self.expires_at


@dataclass(eq=False)
class Enrollment:
    """The last enrollment of a machine."""

    at: datetime
    status: str
    caller: Caller | None = None
    key: str | None = None
    token_used: bool = False


@dataclass(eq=False)
class Token:
    """An agent's token, in one of these states:

    live: it is valid;
    pending: it is valid, and its first use revokes the others;
    departed: revoked by the uninstall that the machine's state is from;
    dead: revoked by anything else.
    """

    api: Api
    machine: Machine
    state: str
    is_stored: Callable[[], list[object]]
    enrollment: Enrollment | None = None
    used: bool = False
    replaced_by: str | None = None


@dataclass(eq=False)
class Reuses:
    """How many uses of replaced tokens are told: three, and one more each 8 hours."""

    told: float = 0
    at: datetime | None = None
    is_noted: bool = False

    def event(self, now):
        """Return the event of one more, or None."""
        if self.at is not None:
            self.told = max(0, self.told - (now - self.at) / timedelta(hours=8))
        self.at = now
        if self.told <= 2:
            self.told, self.is_noted = self.told + 1, False
            return "token_reused"
        if self.is_noted:
            return None
        self.is_noted = True
        return "not_recorded"


@dataclass(eq=False)
class Machine:
    """A machine. Methods that change it return the expected response."""

    machine_id: str
    status: str | None = None
    enrollment: Enrollment | None = None
    uninstalled_at: datetime | None = None
    reason: str | None = None
    released_until: datetime | None = None
    tokens: list[Token] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    reuses: Reuses = field(default_factory=lambda: Reuses())

    def enroll(self, now, caller, key, force, allow_reactivate):
        if caller.revoked:
            return 401, "token_revoked"
        if caller.has_expired(now):
            return 401, "token_expired"
        if force and caller.role != "operator":
            return 403, "insufficient_scope"
        if self.is_replay(now, caller, key):
            if self.end_tokens("dead"):
                self.events.append(("token_revoked", caller.role))
            return 201, self.enrollment.status
        if self.status == "active" and not force and not self.is_released(now):
            return 409, "already_enrolled"
        if self.status == "uninstalled" and not allow_reactivate:
            return 409, "reactivation_refused"
        if caller.uses == caller.max_uses:
            return 403, "enrollment_token_exhausted"
        caller.uses += 1
        again = {None: "enrolled", "uninstalled": "reactivated", "active": "reenrolled"}
        self.begin(Enrollment(now, again[self.status], caller, key))
        self.events.append((self.enrollment.status, caller.role))
        return 201, self.enrollment.status

    def is_replay(self, now, caller, key):
        return (
            key is not None
            and self.status == "active"
            and (self.enrollment.caller, self.enrollment.key) == (caller, key)
            and now < self.enrollment.at + DAY
            and not self.enrollment.token_used
        )

    def begin(self, enrollment):
        self.status, self.enrollment = "active", enrollment
        self.uninstalled_at = self.reason = self.released_until = None
        self.end_tokens("dead", *GOOD, "departed")

    def uninstall(self, now, reason, role=None):
        """Without a *role*, the older server uninstalls it and records no event."""
        if self.status is None:
            return 404, "unknown_agent"
        if self.status == "active":
            self.status, self.uninstalled_at, self.reason = "uninstalled", now, reason
            self.end_tokens("departed")
            if role is not None:
                self.events.append(("uninstalled", role))
        return 200, "uninstalled"

    def rotate(self, role):
        if self.status != "active":
            return self.missing()
        if self.end_tokens("dead", "pending"):
            self.events.append(("token_revoked", role))
        for token in self.tokens:
            if token.state in GOOD:
                token.replaced_by = role
        self.events.append(("token_rotated", role))
        return 201, None

    def release(self, now):
        if self.status != "active":
            return self.missing()
        self.released_until = now + DAY
        self.events.append(("released", "operator"))
        return 200, None

    def cancel_release(self, now):
        if self.status is None:
            return self.missing()
        if self.is_released(now):
            self.events.append(("release_cancelled", "operator"))
        self.released_until = None
        return 200, None

    def is_released(self, now):
        return self.released_until is not None and now < self.released_until

    def missing(self):
        if self.status is None:
            return 404, "unknown_agent"
        return 409, "machine_uninstalled"

    def use(self, now, token):
        """Return the code that a token is refused with, or None if it is accepted."""
        if token.state == "dead" and not token.is_stored():
            return 401, "invalid_token"  # pruned: see test_pruned_tokens.py
        if token.state not in GOOD:
            if self.is_copied(token) and (event := self.reuses.event(now)):
                self.events.append((event, "agent"))
            uninstalled = self.status == "uninstalled"
            return 401, "agent_uninstalled" if uninstalled else "token_revoked"
        before, token.state = token.state, "in use"
        if before == "pending" and self.end_tokens("dead"):
            self.events.append(("token_revoked", "agent"))
        token.state, token.used = "live", True
        self.enrollment.token_used = True
        return None

    def is_copied(self, token):
        """Return whether the machine itself has another token by now."""
        replaced = token.state == "dead" and token.used and token.replaced_by == "agent"
        return (
            replaced and self.status == "active" and token.enrollment is self.enrollment
        )

    def end_tokens(self, state, *which):
        """Move the valid tokens, or those in the states *which*, to another state."""
        ended = [token for token in self.tokens if token.state in (which or GOOD)]
        for token in ended:
            token.state = state
        return len(ended)


# The steps, on the fleet and on the model


machine_ids = st.sampled_from(["PC-1", "PC-1", "PC-2"])
callers = st.sampled_from(["operator", "few uses", "many uses"])
installers = st.sampled_from(["few uses", "many uses"])
keys = st.sampled_from([None, "key-1", "key-2"])
pauses = st.sampled_from([6, 24])  # hours


class Lifecycle(RuleBasedStateMachine):
    """A fleet, beginning with an empty database."""

    tokens = Bundle("tokens")

    def __init__(self, operator, engine, connection, the_clock):
        super().__init__()
        self.operator, self.engine, self.connection = operator, engine, connection
        self.older = engine.older_server()
        self.clock = the_clock
        self.machines = {name: Machine(name) for name in ("PC-1", "PC-2")}
        self.callers = {
            "operator": Caller(operator),
            "few uses": self._installer(max_uses=2, expires="never"),
            "many uses": self._installer(max_uses=100, expires="2d"),
        }
        self.callers["many uses"].expires_at = self.now + 2 * DAY
        self.asked = {}
        self.reasons = (f"reason {number}" for number in count(1))

    def teardown(self):
        """Leave an empty database for the next fleet."""
        self.engine.empty()

    # A response is lost if no later step uses its token.

    @rule(target=tokens, machine_id=machine_ids, caller=callers, key=keys)
    def enroll(self, machine_id, caller, key):
        return self._enroll(machine_id, self.callers[caller], key)

    @rule(target=tokens, machine_id=machine_ids, caller=callers, key=keys)
    def enroll_by_force(self, machine_id, caller, key):
        return self._enroll(machine_id, self.callers[caller], key, force=True)

    @rule(target=tokens, machine_id=machine_ids, caller=callers)
    def enroll_but_do_not_reactivate(self, machine_id, caller):
        caller = self.callers[caller]
        return self._enroll(machine_id, caller, None, allow_reactivate=False)

    @rule(target=tokens, machine_id=machine_ids)
    def retry(self, machine_id):
        """Repeat the last request that had a key, whatever its result was."""
        if machine_id not in self.asked:
            return multiple()
        return self._enroll(machine_id, *self.asked[machine_id])

    @rule(caller=installers)
    def revoke_enrollment_token(self, caller):
        caller = self.callers[caller]
        path = f"/enrollment-tokens/{caller.token_id}"
        assert self.operator.request("DELETE", path).status_code == 200
        caller.revoked = True

    # The operator

    @rule(machine_id=machine_ids)
    def uninstall(self, machine_id):
        machine, reason = self.machines[machine_id], next(self.reasons)
        response = self.operator.uninstall(machine_id, reason=reason)
        expected = machine.uninstall(self.now, reason, "operator")
        assert answered(response) == expected

    @rule(machine_id=machine_ids)
    def release(self, machine_id):
        response = self.operator.request("POST", f"/machines/{machine_id}/release")
        assert answered(response) == self.machines[machine_id].release(self.now)

    @rule(machine_id=machine_ids)
    def cancel_release(self, machine_id):
        response = self.operator.request("DELETE", f"/machines/{machine_id}/release")
        assert answered(response) == self.machines[machine_id].cancel_release(self.now)

    @rule(target=tokens, machine_id=machine_ids)
    def rotate(self, machine_id):
        machine = self.machines[machine_id]
        response = self.operator.post(f"/machines/{machine_id}/token", {})
        assert answered(response) == machine.rotate("operator")
        return self._keep(machine, response, "pending")

    # An agent, with any token that was ever issued

    @rule(token=tokens)
    def heartbeat(self, token):
        self._beat(token)

    @rule()
    def heartbeat_with_every_token(self):
        for machine in self.machines.values():
            for token in machine.tokens:
                self._beat(token)

    @rule(token=tokens)
    def ask_for_what_is_forbidden(self, token):
        response = token.api.get("/fleet")
        expected = token.machine.use(self.now, token) or (403, "insufficient_scope")
        assert answered(response) == expected

    @rule(token=tokens)
    def uninstall_itself(self, token):
        machine, reason = token.machine, next(self.reasons)
        response = token.api.post("/uninstall", {"reason": reason})
        refused = None if token.state == "departed" else machine.use(self.now, token)
        expected = refused or machine.uninstall(self.now, reason, "agent")
        assert answered(response) == expected

    @rule(target=tokens, token=tokens)
    def rotate_its_own(self, token):
        machine = token.machine
        response = token.api.post(f"/machines/{machine.machine_id}/token", {})
        expected = machine.use(self.now, token) or machine.rotate("agent")
        assert answered(response) == expected
        return self._keep(machine, response, "pending")

    # The older server, and time

    @rule(machine_id=machine_ids)
    def older_server_uninstalls(self, machine_id):
        reason = next(self.reasons)
        self.older.uninstall(machine_id, reason)
        self.machines[machine_id].uninstall(self.now, reason)

    @rule(machine_id=machine_ids)
    def older_server_enrolls(self, machine_id):
        machine = self.machines[machine_id]
        if machine.status != "active":
            self.older.enroll(machine_id)
            machine.begin(Enrollment(self.now, "enrolled"))

    @rule(pause=pauses)
    def time_passes(self, pause):
        self.clock.advance(hours=pause)

    # After each step

    @invariant()
    def the_fleet_is_as_the_model_says(self):
        self._check_rows()
        self._check_good_tokens()
        self._check_uses()
        self._check_events()
        self.clock.advance(seconds=1)

    def _check_rows(self):
        found = self._query(
            "SELECT machine_id, status, substr(enrolled_at, 1, 19),"
            " substr(uninstalled_at, 1, 19), uninstall_reason"
            " FROM enrolled_agents ORDER BY machine_id"
        )
        assert found == [
            (
                machine.machine_id,
                machine.status,
                to_the_second(machine.enrollment.at),
                to_the_second(machine.uninstalled_at),
                machine.reason,
            )
            for machine in self.machines.values()
            if machine.status is not None
        ]

    def _check_good_tokens(self):
        """A heartbeat would not do: a first use changes which tokens are valid."""
        found = self._query(
            "SELECT token_hash FROM lea_fleet_tokens"
            " JOIN enrolled_agents USING (machine_id, enrolled_at)"
            " WHERE status = 'active' AND revoked_at IS NULL"
        )
        assert {token_hash for (token_hash,) in found} == {
            hashlib.sha256(token.api.token.encode()).hexdigest()
            for machine in self.machines.values()
            for token in machine.tokens
            if token.state in GOOD
        }

    def _check_uses(self):
        found = self._query("SELECT id, uses FROM lea_fleet_enrollment_tokens")
        assert dict(found) == {
            caller.token_id: caller.uses
            for caller in self.callers.values()
            if caller.token_id is not None
        }

    def _check_events(self):
        events = {machine_id: [] for machine_id in [None, *self.machines]}
        for machine_id, event, actor in self._query(
            "SELECT machine_id, event, actor FROM lea_fleet_events ORDER BY id"
        ):
            events[machine_id].append((event, json.loads(actor)["role"]))
        for machine in self.machines.values():
            assert events[machine.machine_id] == machine.events

    # Helpers

    @property
    def now(self):
        """The second in which this step takes place; no step takes longer."""
        return self.clock.time.replace(microsecond=0)

    def _query(self, query, *values):
        return self.connection.execute(query, values).fetchall()

    def _installer(self, **members):
        made = self.operator.post("/enrollment-tokens", members).json
        api = Api(self.operator.client, made["token"])
        return Caller(api, made["id"], made["max_uses"])

    def _enroll(self, machine_id, caller, key, force=False, allow_reactivate=True):
        response = caller.api.post(
            "/enroll",
            {
                "machine_id": machine_id,
                "force": force,
                "allow_reactivate": allow_reactivate,
            },
            headers={} if key is None else {"Idempotency-Key": key},
        )
        if key is not None:
            self.asked[machine_id] = caller, key
        machine = self.machines[machine_id]
        expected = machine.enroll(self.now, caller, key, force, allow_reactivate)
        assert answered(response) == expected
        return self._keep(machine, response, "live")

    def _keep(self, machine, response, state):
        """Remember the token in a response, if there is one."""
        if response.status_code != 201:
            return multiple()
        agent = Api(self.operator.client, response.json["api_token"])
        token_hash = hashlib.sha256(agent.token.encode()).hexdigest()
        query = "SELECT 1 FROM lea_fleet_tokens WHERE token_hash = ?"
        is_stored = partial(self._query, query, token_hash)
        enrollment = machine.enrollment
        machine.tokens.append(Token(agent, machine, state, is_stored, enrollment))
        return machine.tokens[-1]

    def _beat(self, token):
        response = token.api.post("/heartbeat")
        assert answered(response) == (token.machine.use(self.now, token) or (200, "ok"))


def answered(response):
    body = response.json
    return response.status_code, body.get("code", body.get("status"))


def to_the_second(moment):
    return moment and clock.iso(moment)[:19]


class RunningClock(Clock):
    """A clock that advances with each reading, so that no timestamps are equal."""

    def now(self):
        self.advance(microseconds=1)
        return self.time


@pytest.fixture
def running_clock(monkeypatch):
    """Make both servers use the same clock."""
    running = RunningClock()
    monkeypatch.setattr(clock, "now", running.now)
    monkeypatch.setattr(older_server, "_now", lambda: clock.iso(running.now()))
    return running


class InTurn:
    """Sends requests to several servers in turn, as a balancer does."""

    def __init__(self, apps):
        self._clients = cycle([app.test_client() for app in apps])

    def open(self, *path, **options):
        return next(self._clients).open(*path, **options)


def test_every_sequence_goes_by_the_rules(make_app, engine, running_clock):
    operator = Api(InTurn([make_app(), make_app()]), OPERATOR_TOKEN)
    assert operator.get("/fleet").status_code == 200  # makes the tables

    # On PostgreSQL, a step takes twice as long.
    examples = 400 if engine.name == "sqlite" else 200
    with engine.connected() as connection:
        run_state_machine_as_test(
            lambda: Lifecycle(operator, engine, connection, running_clock),
            settings=settings(
                max_examples=examples, stateful_step_count=40, deadline=None
            ),
        )
