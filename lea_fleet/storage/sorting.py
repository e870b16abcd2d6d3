"""What a listing of machines is sorted by."""

from __future__ import annotations

from functools import cache

from ..core.listing import PRESENCES
from .agents import PRESENCE, SEEN, in_utc
from .interface import Dialect

#: Sorted as names in a list for people: see core/text.py.
_NAMES = ("machine_id", "user_name", "user_email", "hostname", "version")

#: Seldom sorted by, so no key is stored for them: only ASCII is compared without case.
_PLAIN = ("user_id", "os_info", "uninstall_reason")

_PLACES = "".join(f" WHEN '{name}' THEN '{n}'" for n, name in enumerate(PRESENCES))


@cache
def sort_keys(dialect: Dialect) -> dict[str, str]:
    """Return the sort expression of each order.

    None is ever NULL, which a cursor could not be compared with. The table is named
    because a bare enrolled_at would be SELECT's cast column, which has no index. That
    of the presence needs its parameters.
    """
    return {
        "enrolled_at": "enrolled_agents.enrolled_at",
        "last_seen_at": SEEN,
        "uninstalled_at": f"coalesce({in_utc('uninstalled_at')}, '')",
        "presence": f"CASE {PRESENCE}{_PLACES} END",
        **{name: dialect.sort_key(name) for name in _NAMES},
        **{name: f"lower(coalesce(CAST({name} AS TEXT), ''))" for name in _PLAIN},
    }
