"""Tell which enrollment tokens are about to expire, or to be used up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..core.clock import read_time
from ..core.limits import TOKEN_ENDS_SOON
from ..core.rows import EnrollmentToken
from .conditions import Conditions
from .enrollment_tokens import EnrollmentTokens
from .unit_of_work import Repository

EXPIRING = "enrollment_token.expiring"
USED_UP = "enrollment_token.used_up"

#: A token that lasts a day is not told to end when it is made.
_LAST_PART = 5

#: Of ten uses, the tenth may be left.
_TENTH = 10


class EndingTokens(Repository):
    """Enrollment tokens that installers can use, but not for much longer."""

    def count(self) -> int:
        """Return the number of tokens that are about to end."""
        return len(set().union(*self._ending().values()))

    def judge(self) -> None:
        """Tell in one transaction which tokens are about to end; once of each."""
        ending = self._ending()
        conditions = Conditions(self._unit)
        told = {name: conditions.told(name) for name in (EXPIRING, USED_UP)}
        if told == {name: set(found) for name, found in ending.items()}:
            return
        with self._unit.transaction():
            for name, found in ending.items():
                for subject in told[name] - found.keys():
                    conditions.end(name, subject)
                for subject, token in found.items():
                    conditions.begin(name, _detail(name, token), subject)

    def _ending(self) -> dict[str, dict[str, EnrollmentToken]]:
        tokens = [
            token
            for token in EnrollmentTokens(self._unit).list()
            if token["state"] == "active"
        ]
        now = self._unit.now
        return {
            EXPIRING: {str(each["id"]): each for each in tokens if _expires(each, now)},
            USED_UP: {str(each["id"]): each for each in tokens if _is_used(each)},
        }


def _detail(name: str, token: EnrollmentToken) -> dict[str, Any]:
    told = {"enrollment_token": token["id"]}
    if name == EXPIRING:
        return {**told, "expires_at": token["expires_at"]}
    return {**told, "uses": token["uses"], "max_uses": token["max_uses"]}


def _expires(token: EnrollmentToken, now: datetime) -> bool:
    if token["expires_at"] is None:
        return False
    end = read_time(token["expires_at"])
    lifetime = (end - read_time(token["created_at"])).total_seconds()
    return (end - now).total_seconds() < min(TOKEN_ENDS_SOON, lifetime / _LAST_PART)


def _is_used(token: EnrollmentToken) -> bool:
    left = token["max_uses"] - token["uses"]
    return token["max_uses"] > 1 and left * _TENTH <= token["max_uses"]
