"""What webhooks and mail have in common: a channel that messages are delivered by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .messages import Due


class DeliveryFailed(Exception):
    """A message was not delivered; the text says why, and names no secret.

    *wait* is how many seconds to wait at least; *is_refused* is whether the receiver
    does not take this message, while it might take others.
    """

    def __init__(self, why: str, *, wait: float = 0, is_refused: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.is_refused = is_refused


class Channel(Protocol):
    """A way to one destination."""

    #: Its name in ``lea_fleet_destinations``.
    name: str

    #: What people are shown of it: no secret, nobody's address.
    place: str

    #: The most messages in one delivery.
    most: int

    def wants(self, due: Due) -> bool:
        """Return whether such messages are delivered here."""

    def send(self, messages: Sequence[Due]) -> None:
        """Deliver *messages* together. Raises DeliveryFailed."""
