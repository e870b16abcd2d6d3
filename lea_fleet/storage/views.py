"""``lea_fleet_views``: saved views of the list, private or shared."""

from __future__ import annotations

import builtins
import json
from typing import Any

from ..core.limits import MOST_OWN_VIEWS, MOST_SHARED_VIEWS
from ..core.rows import View
from ..core.text import folded, sort_key
from ..core.views import (
    OWNED_BY_OPERATOR,
    OWNED_BY_USER,
    TooManyViews,
    UnknownView,
    ViewNameTaken,
    Wanted,
    is_about,
    is_by,
)
from .unit_of_work import Repository

_SELECT = f"""SELECT v.id, v.owner, v.shared, v.name, v.filters, v.columns,
    v.created_at, v.updated_at, o.name AS operator_name
  FROM lea_fleet_views AS v
  LEFT JOIN lea_fleet_operators AS o ON v.owner = '{OWNED_BY_OPERATOR}' || o.id"""
_INSERT = (
    "INSERT INTO lea_fleet_views"
    " (owner, shared, name, filters, columns, created_at, updated_at)"
    " VALUES (:owner, :shared, :name, :filters, :columns, :now, :now) RETURNING id"
)
_UPDATE = (
    "UPDATE lea_fleet_views SET shared = :shared, name = :name, filters = :filters,"
    " columns = :columns, updated_at = :now WHERE id = :id"
)
_FORGET_ENDED = (
    "DELETE FROM lea_fleet_views WHERE shared = false AND owner IN"
    f" (SELECT '{OWNED_BY_OPERATOR}' || id FROM lea_fleet_operators"
    " WHERE revoked_at IS NOT NULL OR expires_at <= :now)"
)


class Views(Repository):
    """Saved views. Who may see and change which is for the caller to tell."""

    def list(self) -> list[View]:
        """Return all views, the private ones first, then by name."""
        return self._select("")

    def visible_to(self, owner: str) -> builtins.list[View]:
        """Return the private views of *owner*, then the shared ones."""
        return self._select("WHERE v.shared = true OR v.owner = :owner", owner=owner)

    def shared(self) -> builtins.list[View]:
        """Return the shared views, by name."""
        return self._select("WHERE v.shared = true")

    def shared_as(self, name: str) -> View | None:
        """Return the shared view of that *name*, in any case, or None."""
        found = [each for each in self.shared() if folded(each["name"]) == folded(name)]
        return next(iter(found), None)

    def require(self, view_id: int) -> View:
        """Return the view with that id. Raises UnknownView."""
        found = self._select("WHERE v.id = :id", id=view_id)
        if not found:
            raise UnknownView(view_id)
        return found[0]

    def hold(self) -> None:
        """Let no other transaction change views beside the open one."""
        self._unit.dialect.take_turn(self._unit.session, "views")

    def create(self, owner: str, wanted: Wanted) -> View:
        """Save a new view of *owner*, and return it; a transaction of its own.

        Raises ViewNameTaken and TooManyViews.
        """
        with self._unit.transaction():
            self.hold()
            self.forget_ended()
            self._refuse_full(owner, wanted.shared)
            self._refuse_taken(owner, wanted)
            values = {"owner": owner, **self._stored(wanted)}
            ((view_id,),) = self._unit.session.execute(_INSERT, values).fetchall()
            return self.require(view_id)

    def change(self, view: View, wanted: Wanted) -> View:
        """Make *view* what is *wanted*, and return it; its owner stays.

        Needs an open transaction, which holds the views. Nothing is written if it is
        that already. Raises ViewNameTaken and TooManyViews.
        """
        if wanted == _wanted(view):
            return view
        if wanted.shared != view["shared"]:
            self._refuse_full(view["owner"], wanted.shared)
        self._refuse_taken(view["owner"], wanted, but=view["id"])
        values = {"id": view["id"], **self._stored(wanted)}
        self._unit.session.execute(_UPDATE, values)
        return self.require(view["id"])

    def delete(self, view_id: int) -> None:
        """Delete a view; a transaction of its own."""
        with self._unit.transaction():
            self._unit.session.execute(
                "DELETE FROM lea_fleet_views WHERE id = :id", {"id": view_id}
            )

    def forget_ended(self) -> None:
        """Delete what only operators saw whose tokens are revoked or have expired.

        Needs an open transaction.
        """
        self._unit.session.execute(_FORGET_ENDED, {"now": self._unit.timestamp})

    def erase(self, email: str) -> None:
        """Delete the views that name a person, and their private ones.

        Shared ones that they made as a user of the host become the server's. Needs an
        open transaction.
        """
        self.hold()
        for view in self.list():
            is_theirs = is_by(view, email)
            if is_about(view, email) or (is_theirs and not view["shared"]):
                self.delete(view["id"])
            elif is_theirs:
                self._unit.session.execute(
                    "UPDATE lea_fleet_views SET owner = '' WHERE id = :id",
                    {"id": view["id"]},
                )

    def _refuse_full(self, owner: str, shared: bool) -> None:
        most = MOST_SHARED_VIEWS if shared else MOST_OWN_VIEWS
        if len(self._beside(owner, shared)) >= most:
            raise TooManyViews(most, shared)

    def _refuse_taken(self, owner: str, wanted: Wanted, but: int | None = None) -> None:
        """Raise ViewNameTaken; names that differ by case only are the same."""
        others = self._beside(owner, wanted.shared)
        names = {folded(each["name"]) for each in others if each["id"] != but}
        if folded(wanted.name) in names:
            raise ViewNameTaken(wanted.shared)

    def _beside(self, owner: str, shared: bool) -> builtins.list[View]:
        """Return the views among which a name is unique."""
        if shared:
            return self.shared()
        return self._select("WHERE v.shared = false AND v.owner = :owner", owner=owner)

    def _stored(self, wanted: Wanted) -> dict[str, Any]:
        stored = {**wanted._asdict(), "now": self._unit.timestamp}
        return {**stored, "columns": json.dumps(wanted.columns)}

    def _select(self, which: str, **values: Any) -> builtins.list[View]:
        rows = self._unit.session.execute(f"{_SELECT} {which}", values).fetchall()
        views = map(_view, rows)
        return sorted(views, key=lambda view: (view["shared"], _order(view["name"])))


def _view(row: Any) -> View:
    view_id, owner, shared, name, filters, columns, created, updated, operator = row
    user = owner.removeprefix(OWNED_BY_USER)
    return View(
        id=view_id,
        owner=owner,
        owner_name=(user if user != owner else operator) or None,
        shared=bool(shared),
        name=name,
        filters=filters,
        columns=json.loads(columns),
        created_at=created,
        updated_at=updated,
    )


def _wanted(view: View) -> Wanted:
    return Wanted(view["name"], view["shared"], view["filters"], tuple(view["columns"]))


def _order(name: str) -> str:
    return sort_key(name.encode())
