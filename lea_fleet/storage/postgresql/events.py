"""Keep events in an order that followers can rely on, also after a restore."""

from __future__ import annotations

from .session import Session

_FOREIGN = "xid >= pg_snapshot_xmax(pg_current_snapshot())"
_IS_ANY = f"SELECT 1 FROM lea_fleet_events WHERE {_FOREIGN} LIMIT 1"
_SETTLE = f"UPDATE lea_fleet_events SET xid = '0' WHERE {_FOREIGN}"


def settle_restored(session: Session) -> None:
    """Put events of another server's transactions before all of this server's.

    A restored dump has the transaction ids of the server that it was made on. Higher
    ones than this server has reached would hide their events from followers, and new
    events behind them. An event that is visible here was never written by a later
    transaction of this server. 1 ms where there is none.
    """
    if session.execute(_IS_ANY).fetchone():
        session.execute(_SETTLE)
