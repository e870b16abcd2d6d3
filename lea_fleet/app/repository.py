"""AgentRepository: read and change the fleet from Python, one method per operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from ..core.listing import Status
from ..core.machine import new_machine_id
from ..core.presence import PresenceRule
from ..core.problems import ReactivationRefused
from ..core.rows import Agent, AgentToken, Enrollment, Event, without_none
from ..core.tokens import AGENT_PREFIX, is_long_token
from ..storage.agent_tokens import AgentTokens
from ..storage.agents import Agents
from ..storage.budgets import Budget
from ..storage.enrollment_tokens import EnrollmentTokens
from ..storage.events import Events
from ..storage.heartbeats import Heartbeats
from ..storage.interface import Session
from ..storage.listing import Listing
from ..storage.presence import Presence
from ..storage.releases import Releases
from ..storage.replays import Replays
from ..storage.reuse import TokenReuse
from ..storage.unit_of_work import UnitOfWork
from .annotations import Annotations
from .engine import adopted
from .default_settings import default_rule
from .machine_states import MachineStates


class AgentRepository:
    """The machines of the fleet, over one open *connection*.

    Every write runs in a transaction of its own, or as a part of the open one. Every
    change records an event that names the *actor*; after the commit, *announce* is
    called with it. Every method may raise the database driver's errors: sqlite3.Error,
    or psycopg.Error on PostgreSQL.
    """

    def __init__(
        self,
        connection: Session,
        rule: PresenceRule | None = None,
        *,
        actor: Mapping[str, Any] | None = None,
        announce: Callable[[Event], None] | None = None,
    ) -> None:
        session, dialect = adopted(connection)
        rule = rule or default_rule()
        self.unit = UnitOfWork(session, dialect, rule, actor=actor, announce=announce)

    @classmethod
    def over(cls, unit: UnitOfWork) -> AgentRepository:
        """Return a repository that works on *unit*."""
        repository = cls.__new__(cls)
        repository.unit = unit
        return repository

    @property
    def connection(self) -> Any:
        """The connection that this repository reads and writes."""
        return self.unit.dialect.hand_out(self.unit.session)

    def transaction(
        self, about: str | Iterable[str] = (), *, durable: bool = True
    ) -> AbstractContextManager[None]:
        """Return a context that writes all or nothing; see UnitOfWork.transaction()."""
        return self.unit.transaction(about, durable=durable)

    def snapshot(self) -> AbstractContextManager[None]:
        """Return a context in which every read sees the same state of the database."""
        return self.unit.snapshot()

    # Created on first use: most calls need two or three of them.
    @cached_property
    def agents(self) -> Agents:
        return Agents(self.unit)

    @cached_property
    def tokens(self) -> AgentTokens:
        return AgentTokens(self.unit)

    @cached_property
    def enrollment_tokens(self) -> EnrollmentTokens:
        return EnrollmentTokens(self.unit)

    @cached_property
    def events(self) -> Events:
        return Events(self.unit)

    @property
    def listing(self) -> Listing:
        return Listing(self.unit)

    @cached_property
    def releases(self) -> Releases:
        return Releases(self.unit)

    @cached_property
    def annotations(self) -> Annotations:
        return Annotations(self.unit)

    @cached_property
    def states(self) -> MachineStates:
        return MachineStates(self.unit, self.uninstall)

    def get(self, machine_id: str) -> Agent | None:
        """Return the agent with that id, as sent or trimmed; None if unknown."""
        return self.agents.find(machine_id)

    def require(self, machine_id: str) -> Agent:
        """Return the agent with that id. Raises UnknownAgent."""
        return self.agents.require(machine_id)

    def list_by_status(self, status: Status) -> list[Agent]:
        """Return the agents with that status, the newest enrollment first."""
        return list(self.listing.agents(status))

    def count_by_status(self) -> dict[Status, int]:
        """Return how many agents are ``active`` and how many ``uninstalled``."""
        totals = self.listing.totals()
        return {"active": totals["active"], "uninstalled": totals["uninstalled"]}

    def enroll(
        self,
        machine_id: str,
        *,
        allow_reactivate: bool = True,
        force: bool = False,
        **details: str | None,
    ) -> Enrollment:
        """Enroll a machine: a new one, an uninstalled one, or an active one.

        An active machine may be re-enrolled by *force*, after a release, and after
        a silence of the rule's ``given_up_after``. *details* are any of ``user_name,
        user_email, user_id, hostname, os_info, version``; one that is None or
        not given keeps its old value. The tokens of all earlier enrollments are
        revoked.

        Raises MachineBlocked, InvalidField for a new *machine_id* that is not valid,
        AlreadyEnrolled for an active machine, and ReactivationRefused for an
        uninstalled one unless *allow_reactivate*.
        """
        with self.unit.transaction(about=machine_id):
            if not self.agents.is_known(machine_id):
                new = new_machine_id(machine_id)
                if agent := self.agents.insert(new, details, seen=True):
                    return self._enrolled("enrolled", agent)
            known = self.require(machine_id)
            if known["status"] == "active":
                because = self.releases.reason_to_reenroll(known, force=force)
                agent = self._reset(known, details)
                return self._enrolled("reenrolled", agent, because=because)
            if not allow_reactivate:
                raise ReactivationRefused(known)
            agent = self._reset(known, details)
            return self._enrolled("reactivated", agent)

    def allow_replay(
        self, enrollment: Enrollment, *, credential: str, key_hash: str
    ) -> None:
        """Store the credential and key of an enrollment, so that it can be repeated."""
        status, agent = enrollment
        with self.unit.transaction(about=agent["machine_id"]):
            Replays(self.unit).remember(agent, status, credential, key_hash)

    def replay(
        self, machine_id: str, *, credential: str, key_hash: str
    ) -> Enrollment | None:
        """Return the enrollment whose response was lost, or None.

        It must have been made with this key and credential within the last 24 hours,
        and its machine must be active and have used no token of it. The lost token is
        revoked.
        """
        with self.unit.transaction(about=machine_id):
            replay = Replays(self.unit).find(machine_id, credential, key_hash)
            if replay is None:
                return None
            agent = self.get(machine_id)
            if agent is None or agent["status"] != "active":
                return None
            is_current = agent["enrolled_at"] == replay.enrolled_at
            if not is_current or self.tokens.was_used(agent):
                return None
            budget = Budget(self.unit, agent["machine_id"], "token_revoked")
            if self.tokens.revoke_live(agent) and budget.spend():
                self.events.add(
                    "token_revoked", agent["machine_id"], because="answer_lost"
                )
            return Enrollment(replay.status, agent)

    def uninstall(self, machine_id: str, reason: str | None = None) -> Agent:
        """Mark the machine as uninstalled, revoke its tokens, and return it.

        A machine that is already uninstalled keeps its date and reason.
        Raises UnknownAgent.
        """
        with self.unit.transaction(about=machine_id):
            agent = self.require(machine_id)
            if agent["status"] != "active":
                return agent
            self.agents.mark_uninstalled(agent["machine_id"], reason)
            self.tokens.revoke_all(agent["machine_id"])
            self.events.add("uninstalled", agent["machine_id"], reason=reason)
            return self.require(agent["machine_id"])

    def touch_last_seen(self, machine_id: str) -> None:
        """Set last_seen_at to now, of any known machine, as the older server did."""
        agent = self.get(machine_id)
        rule, now = self.unit.rule, self.unit.now
        if agent is None or rule.is_fresh(agent["last_seen_at"], now):
            return
        with self.unit.transaction(about=agent["machine_id"], durable=False):
            Heartbeats(self.unit).mark_seen(agent)

    def release(self, machine_id: str, *, enrollment_token: int | None = None) -> str:
        """Allow an active machine to be re-enrolled once, by anyone or one token alone.

        Return until when, as ISO 8601 UTC. Raises MachineBlocked, UnknownAgent and
        MachineUninstalled.
        """
        with self.unit.transaction(about=machine_id):
            self.states.blocks.refuse(machine_id)
            agent = self.agents.require_active(machine_id)
            until, token = self.releases.add(agent, enrollment_token)
            told = without_none({"enrollment_token": token})
            self.events.add("released", agent["machine_id"], until=until, **told)
            return until

    def cancel_release(self, machine_id: str) -> None:
        """Cancel a release, if there is one. Raises UnknownAgent."""
        with self.unit.transaction(about=machine_id):
            agent = self.require(machine_id)
            if self.releases.until(agent) is not None:
                self.events.add("release_cancelled", agent["machine_id"])
            self.releases.clear(agent["machine_id"])

    def use_token(self, token: AgentToken) -> None:
        """Record the first use of a token, which revokes the tokens it replaces."""
        machine_id = token["machine_id"]
        with self.unit.transaction(about=machine_id):
            self.tokens.mark_used(token)
            Presence(self.unit).note(machine_id)
            if token["state"] == "pending" and self.tokens.revoke_others(token):
                self.events.add("token_revoked", machine_id, because="rotation")

    def rotate_token(self, machine_id: str, token: str) -> Agent:
        """Issue a new token to an active machine, and return the agent.

        The present token stays valid until the new one is first used; a rotation
        before that replaces the pending one. Raises MachineBlocked, UnknownAgent and
        MachineUninstalled.
        """
        with self.unit.transaction(about=machine_id):
            self.states.blocks.refuse(machine_id)
            agent = self.agents.require_active(machine_id)
            revoked = self.tokens.revoke_pending(agent)
            TokenReuse(self.unit).mark(agent)
            return self._replaced(agent, token, revoked, pending=True)

    def replace_token(self, machine_id: str, token: str) -> Agent:
        """Issue a new token to an active machine, and return the agent.

        Its other tokens are revoked at once. Raises MachineBlocked, UnknownAgent and
        MachineUninstalled.
        """
        with self.unit.transaction(about=machine_id):
            self.states.blocks.refuse(machine_id)
            agent = self.agents.require_active(machine_id)
            TokenReuse(self.unit).mark(agent)
            revoked = self.tokens.revoke_live(agent)
            return self._replaced(agent, token, revoked, pending=False)

    def _enrolled(self, status: str, agent: Agent, **because: str) -> Enrollment:
        version = agent["version"]
        self.events.add(status, agent["machine_id"], version=version, **because)
        return Enrollment(status, agent)

    def _reset(self, known: Agent, details: Mapping[str, str | None]) -> Agent:
        machine_id = known["machine_id"]
        self.tokens.replace_all(machine_id)
        self.tokens.prune_ended(known)
        self.releases.clear(machine_id)
        return self.agents.reset(machine_id, details)

    def _replaced(
        self, agent: Agent, token: str, revoked: int, *, pending: bool
    ) -> Agent:
        if not is_long_token(token, AGENT_PREFIX):
            raise ValueError("The token of an agent is made by new_agent_token().")
        if revoked:
            self.events.add("token_revoked", agent["machine_id"], because="replaced")
        self.tokens.add(agent, token, pending=pending)
        self.events.add("token_rotated", agent["machine_id"])
        return agent
