"""What the declaration of an event consists of; the events are in events.py."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar


class Holds(Enum):
    """Which personal data a member of a detail holds; erasure depends on it."""

    NOTHING_PERSONAL = "nothing personal"
    #: An object with columns of the machine's row, as they were before the event.
    BEFORE = "before"
    #: The same columns, as they are after the event.
    AFTER = "after"
    #: A list of hostnames.
    HOSTNAMES = "hostnames"
    #: Text that a person writes, which may contain anything. The change log shows it.
    FREE_TEXT = "free text"


#: Every event, by its name.
EVENTS: dict[str, type[EventType]] = {}


class EventType:
    """Declare an event; the docstring of each class says what has happened.

    *members* are the members of its detail, *because* the reasons that it may give.
    *signal* is the Blinker signal that is sent after the commit. *enrolls* is True
    if it counts as an enrollment, *may_change_user* if the machine may belong to
    another person afterwards without the event saying so, and *of_machine* is False
    if the event is about no machine.
    """

    name: ClassVar[str]
    members: ClassVar[Mapping[str, Holds]] = {}
    because: ClassVar[tuple[str, ...]] = ()
    signal: ClassVar[str | None] = None
    enrolls: ClassVar[bool] = False
    may_change_user: ClassVar[bool] = False
    of_machine: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            EVENTS[cls.name] = cls
