"""What an installer and an operator do: enrol, uninstall, release, rotate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from ..core import clock
from ..core.machine import DETAILS, new_machine_id
from ..core.problems import AlreadyEnrolled, ReactivationRefused
from .enrollment_tokens import EnrollmentToken
from .imports import ImportRepository
from .reading import AGENT, Agent, agent_of
from .heartbeats import AgentSightings
from .agent_tokens import Token
from .writing import SET_GIVEN, complete


_INSERT = (
    f"INSERT INTO enrolled_agents (machine_id, {', '.join(DETAILS)}, enrolled_at,"
    f" last_seen_at) VALUES (:machine_id, {', '.join(f':{name}' for name in DETAILS)},"
    f" :now, :now) RETURNING {AGENT}"
)
_RESET = (
    "UPDATE enrolled_agents SET status = 'active', enrolled_at = :now,"
    " last_seen_at = :now, uninstalled_at = NULL, uninstall_reason = NULL,"
    f" {SET_GIVEN} WHERE machine_id = :machine_id RETURNING {AGENT}"
)


class Enrolment(NamedTuple):
    """What an enrolment did.

    *status* is ``enrolled``, ``reactivated`` or ``reenrolled``, *agent* the row
    as it is now.
    """

    status: str
    agent: Agent


class AgentRepository(AgentSightings):
    """The machines of the fleet, over one open *connection*.

    What writes does so in a transaction of its own, or as a part of the one
    that is open. What changes something leaves an event that names the *actor*;
    once committed, it is handed to *announce*. Every method may raise
    sqlite3.Error.
    """

    @cached_property
    def imports(self) -> ImportRepository:
        return ImportRepository(self.connection, self.events, self.releases)

    # Enrolling and uninstalling

    def enroll(
        self,
        machine_id: str,
        *,
        allow_reactivate: bool = True,
        force: bool = False,
        **details: str | None,
    ) -> Enrolment:
        """Enrol a machine: a new one, an uninstalled one, or one let through.

        An active machine is let through by *force*, by a release, and by a
        silence as long as the rule allows. *details* are any of ``user_name,
        user_email, user_id, hostname, os_info, version``; one that is None or
        not given keeps its old value. The tokens of every earlier enrolment
        die.

        Raises InvalidField for a new *machine_id* that cannot be,
        AlreadyEnrolled for a machine that is active, and ReactivationRefused
        for one that was uninstalled unless *allow_reactivate*.
        """
        with self.transaction():
            if not self.is_known(machine_id):
                agent = self._insert(new_machine_id(machine_id), details)
                return self._enrolled("enrolled", agent)
            known = self.require(machine_id)
            if known["status"] == "active":
                because = self._let_through(known, force)
                agent = self._reset(known["machine_id"], details)
                return self._enrolled("reenrolled", agent, because=because)
            if not allow_reactivate:
                raise ReactivationRefused(known)
            agent = self._reset(known["machine_id"], details)
            return self._enrolled("reactivated", agent)

    def allow_replay(
        self, enrolment: Enrolment, *, credential: str, key_hash: str
    ) -> None:
        """Remember by whom and under which key a machine has just been enrolled."""
        with self.transaction():
            status, agent = enrolment
            self._replays.remember(agent, status, credential, key_hash)

    def replay(
        self, machine_id: str, *, credential: str, key_hash: str
    ) -> Enrolment | None:
        """Return the enrolment whose answer was lost, or None.

        It is one that was made under this key by this credential within 24
        hours, of a machine that is active and has used no token of it. The
        lost token is revoked.
        """
        with self.transaction():
            agent = self.get(machine_id)
            if agent is None or agent["status"] != "active":
                return None
            status = self._replays.find(agent, credential, key_hash)
            if status is None or self.tokens.was_used(agent):
                return None
            if self.tokens.revoke_live(agent):
                self.events.add(
                    "token_revoked", agent["machine_id"], because="answer_lost"
                )
            return Enrolment(status, agent)

    def uninstall(self, machine_id: str, reason: str | None = None) -> Agent:
        """Mark the machine as uninstalled, revoke its tokens, and return it.

        A machine that is uninstalled already keeps its first date and reason.
        Raises UnknownAgent.
        """
        with self.transaction():
            agent = self.require(machine_id)
            if agent["status"] != "active":
                return agent
            moment = clock.iso(clock.now())
            self.connection.execute(
                "UPDATE enrolled_agents SET status = 'uninstalled',"
                " uninstalled_at = ?, uninstall_reason = ? WHERE machine_id = ?",
                (moment, reason, agent["machine_id"]),
            )
            self.tokens.revoke_all(agent["machine_id"], moment)
            self.events.add("uninstalled", agent["machine_id"], reason=reason)
            return self.require(agent["machine_id"])

    def release(self, machine_id: str) -> str:
        """Let one enrolment of an active machine through.

        Return until when, as ISO 8601 UTC. Raises UnknownAgent and MachineUninstalled.
        """
        with self.transaction():
            agent = self.require_active(machine_id)
            released_until = self.releases.add(agent)
            self.events.add("released", agent["machine_id"], until=released_until)
            return released_until

    def cancel_release(self, machine_id: str) -> None:
        """Take a release back, if there is one. Raises UnknownAgent."""
        with self.transaction():
            agent = self.require(machine_id)
            if self.releases.is_released(agent):
                self.events.add("release_cancelled", agent["machine_id"])
            self.releases.clear(agent["machine_id"])

    # Tokens

    def use_token(self, token: Token) -> None:
        """Write down the first use of a token, which ends those it replaces."""
        with self.transaction():
            self.tokens.mark_used(token)
            if token["state"] == "pending" and self.tokens.revoke_others(token):
                self.events.add(
                    "token_revoked", token["machine_id"], because="rotation"
                )

    def rotate_token(self, machine_id: str, token_hash: str) -> Agent:
        """Give an active machine another token, by its hash, and return the agent.

        The one it has stays good until the new one is first used; a rotation
        before that replaces the pending one. Raises UnknownAgent and
        MachineUninstalled.
        """
        with self.transaction():
            agent = self.require_active(machine_id)
            if self.tokens.revoke_pending(agent):
                self.events.add(
                    "token_revoked", agent["machine_id"], because="replaced"
                )
            self.tokens.add(agent, token_hash, pending=True)
            self.events.add("token_rotated", agent["machine_id"])
            return agent

    def replace_token(self, machine_id: str, token_hash: str) -> Agent:
        """Give an active machine another token, by its hash, and return the agent.

        Those it has die at once. Raises UnknownAgent and MachineUninstalled.
        """
        with self.transaction():
            agent = self.require_active(machine_id)
            if self.tokens.revoke_live(agent):
                self.events.add(
                    "token_revoked", agent["machine_id"], because="replaced"
                )
            self.tokens.add(agent, token_hash)
            self.events.add("token_rotated", agent["machine_id"])
            return agent

    # Enrolment tokens

    def create_enrollment_token(
        self, token_hash: str, *, label: str, lifetime: float | None, max_uses: int
    ) -> EnrollmentToken:
        """Keep a new enrolment token, by its hash, and return what is known of it.

        *lifetime* is in seconds from now, or None for ever.
        """
        with self.transaction():
            token = self.enrollment_tokens.add(
                token_hash, label=label, lifetime=lifetime, max_uses=max_uses
            )
            self._record_token("enrollment_token_created", token)
            return token

    def revoke_enrollment_token(self, token_id: int) -> EnrollmentToken:
        """Revoke an enrolment token and return it; the first date stays.

        Raises UnknownEnrollmentToken.
        """
        with self.transaction():
            token = self.enrollment_tokens.require(token_id)
            if token["revoked_at"] is not None:
                return token
            token = self.enrollment_tokens.revoke(token_id)
            self._record_token("enrollment_token_revoked", token)
            return token

    # Inside

    def _enrolled(self, status: str, agent: Agent, **because: str) -> Enrolment:
        version = agent["version"]
        self.events.add(status, agent["machine_id"], version=version, **because)
        return Enrolment(status, agent)

    def _record_token(self, event: str, token: EnrollmentToken) -> None:
        told = {key: token[key] for key in ("label", "expires_at", "max_uses")}
        self.events.add(event, None, enrollment_token=token["id"], **told)

    def _let_through(self, known: Agent, force: bool) -> str:
        """Return why an active machine may be enrolled again.

        Raises AlreadyEnrolled where nothing lets it through.
        """
        if force:
            return "force"
        if self.releases.is_released(known):
            return "release"
        if self.rule.is_given_up(known, clock.now()):
            return "silence"
        raise AlreadyEnrolled(known)

    def _insert(self, machine_id: str, details: Mapping[str, str | None]) -> Agent:
        return self._seen_now(_INSERT, machine_id, details)

    def _reset(self, machine_id: str, details: Mapping[str, str | None]) -> Agent:
        agent = self._seen_now(_RESET, machine_id, details)
        self.tokens.revoke_all(machine_id, agent["enrolled_at"])
        self.releases.clear(machine_id)
        return agent

    def _seen_now(
        self, statement: str, machine_id: str, details: Mapping[str, str | None]
    ) -> Agent:
        """Write a machine that is seen at this instant, and return it."""
        # It is online whatever intervals were told: nothing has to look them up.
        values = {**complete(details), "machine_id": machine_id}
        (row,) = self._run(statement, self.rule.heartbeat_interval, values)
        return agent_of(row)
