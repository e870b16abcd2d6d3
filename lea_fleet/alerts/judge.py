"""Judge from the rows what is to be told, besides the events."""

from __future__ import annotations

from ..app.settings import Settings
from ..storage.attempts import attempts
from ..storage.ending_tokens import EndingTokens
from ..storage.hours import Hours
from ..storage.silences import Silences
from ..storage.unit_of_work import UnitOfWork

#: Transactions of silent machines in one run; the next run tells the rest.
_MOST_STEPS = 10


def judge(unit: UnitOfWork, settings: Settings) -> None:
    """Add an alert for each condition that has begun or ended.

    Two runs at once tell each of them once.
    """
    for attempt in attempts(unit):
        with attempt:
            Silences(unit).hear()
            EndingTokens(unit).judge()
            if settings.alert_share is not None:
                Hours(unit).judge(settings.alert_share)
    if settings.alert_after is not None:
        for _ in range(_MOST_STEPS):
            if not _judge_some(unit, settings.alert_after):
                return


def _judge_some(unit: UnitOfWork, after: float) -> bool:
    more = False
    for attempt in attempts(unit):
        with attempt:
            more = Silences(unit).judge(after)
    return more
