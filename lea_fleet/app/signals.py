"""The signals that a host may connect to; each is sent after the commit.

The sender is the application. Receivers get ``machine_id`` and ``event``, in the form
of ``GET machines/<machine_id>/events``; those of :data:`agent_seen` get only
``machine_id``. If a receiver raises, the exception is logged; the commit stays, and the
caller gets its response.
"""

from __future__ import annotations

import logging
from typing import Any

from blinker import NamedSignal, Namespace
from flask import current_app

from ..core.events import EVENTS
from ..core.rows import Event
from . import change_log

logger = logging.getLogger("lea_fleet")

_signals = Namespace()

#: A machine that was not known has been enrolled.
agent_enrolled = _signals.signal("agent-enrolled")

#: A machine that was uninstalled has been enrolled again.
agent_reactivated = _signals.signal("agent-reactivated")

#: A machine that was active has been enrolled again.
agent_reenrolled = _signals.signal("agent-reenrolled")

#: A machine has been uninstalled.
agent_uninstalled = _signals.signal("agent-uninstalled")

#: An import has added a machine, or changed what is known of it.
agent_imported = _signals.signal("agent-imported")

#: The id or a detail of a machine has been mended.
agent_edited = _signals.signal("agent-edited")

#: A heartbeat has been answered, whether or not it was written.
agent_seen = _signals.signal("agent-seen")

#: An active machine may be enrolled once more.
agent_released = _signals.signal("agent-released")

#: A machine has been given another token.
agent_token_rotated = _signals.signal("agent-token-rotated")

#: The hostname or the user of a machine has changed.
agent_identity_changed = _signals.signal("agent-identity-changed")

#: Two machines seem to share one identity.
agent_clone_suspected = _signals.signal("agent-clone-suspected")

#: The signal of each event that has one. An undefined signal raises KeyError here.
_OF_EVENT = {
    name: _signals[declared.signal]
    for name, declared in EVENTS.items()
    if declared.signal is not None
}


def announce(event: Event) -> None:
    """Log a committed *event*, and send its signal if it has one."""
    change_log.note(event)
    signal = _OF_EVENT.get(event["event"])
    if signal is not None:
        send(signal, machine_id=event["machine_id"], event=event)


def send(signal: NamedSignal, **about: Any) -> None:
    """Send *signal* to every receiver, even if another one raises."""
    if not signal.receivers or signal.is_muted:
        return
    sender = current_app._get_current_object()  # type: ignore[attr-defined]
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **about)
        except Exception:
            logger.exception("A receiver of %s has failed", signal.name)
