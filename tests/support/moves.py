"""Both sides of a move, and the command that moves a fleet from one to the other."""

from __future__ import annotations

import json
from contextlib import contextmanager
from unittest.mock import patch

from lea_fleet import create_app
from lea_fleet.cli import move
from lea_fleet.core.problems import DatabaseProblem
from lea_fleet.storage.tables import TABLES
from tests.support.api import OPERATOR_TOKEN, Api

#: Text that one engine or the other may treat in a way of its own.
_TEXTS = (
    "",
    " ",
    "\\N",
    "\\",
    "a\tb\nc\rd",
    'it\'s "quoted"',
    "Zoé Lefèvre",
    "李 明",
    "😀",
    "\x01\x7f\x80",
    "\ufffd\uffff",
    "é",
    "NULL",
    "t",
    "1",
    "01",
    "1e3",
    "{a,b}",
    "%s :name",
    "x" * 5000,
)


def settings_of(here, there):
    """Return the settings of an application on *here* that may move to *there*."""
    chosen = {k: v for k, v in there.settings.items() if k.endswith("_SCHEMA")}
    return {"RPA_API_TOKEN": OPERATOR_TOKEN, **chosen, **here.settings}


def run_move(here, there, *words, to=None, meanwhile=None, **settings):
    """Run ``flask fleet move`` in this process; return the result.

    It does not wait before it looks for late writes, but calls *meanwhile*. *to*
    replaces the address of *there*, and *settings* are added to those of *here*.
    """
    with patch.object(move, "time") as time, application(
        here, there, **settings
    ) as app:
        time.sleep.side_effect = lambda seconds: meanwhile and meanwhile()
        given = ["--to", to or there.address, *words]
        return app.test_cli_runner().invoke(args=["fleet", "move", *given])


def moved(here, there, *words, **options):
    """Run ``flask fleet move --json``, which must succeed; return what it prints."""
    result = run_move(here, there, "--json", *words, **options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(here, there, *words, **options):
    """Run ``flask fleet move``, which must fail with one line; return that line."""
    result = run_move(here, there, *words, **options)
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    error = result.stderr[result.stderr.index("Error: ") :]
    assert error.count("\n") == 1, error
    return error


@contextmanager
def application(here, there=None, **settings):
    """Yield an application on *here*; nothing of it stays open."""
    app = create_app({**settings_of(here, there or here), **settings})
    try:
        yield app
    finally:
        app.extensions["lea_fleet"].store.close_idle()


@contextmanager
def operator_of(here):
    """Yield an operator at a server in this process, on the database *here*."""
    with application(here) as app:
        yield Api(app.test_client(), OPERATOR_TOKEN)


def takes_writes(engine):
    """Return whether a server takes writes there; none begins a database for that."""
    with application(engine) as app:
        store = app.extensions["lea_fleet"].store
        store.never_begin()
        try:
            session = store.acquire()
        except DatabaseProblem:
            return False
        try:
            store.dialect.begin_writing(session, "PC-1", True)
            session.execute("UPDATE enrolled_agents SET status = ''", {})
        except (DatabaseProblem, *store.errors):
            return False
        finally:
            store.release(session)
        return True


def rows_of(engine):
    """Return the rows of each table of a fleet, the same on both engines."""
    with engine.connected() as connection:
        return {
            table.name: sorted(
                (
                    tuple(int(v) if isinstance(v, bool) else v for v in row)
                    for row in connection.execute(
                        f"SELECT {', '.join(table.columns)} FROM {table.name}"
                    )
                ),
                key=repr,
            )
            for table in TABLES
        }


def fill_all_tables(engine, count=40):
    """Make our tables, and put *count* rows with odd values into each of them."""
    engine.make_tables()
    with engine.connected() as connection:
        connection.execute("BEGIN")
        for table in TABLES:
            for number in range(count):
                row = _odd_row(table, number)
                if table.name == "enrolled_agents":
                    row = engine.stored(row)
                marks = ", ".join("?" * len(row))
                connection.execute(
                    f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({marks})",
                    [*row.values()],
                )
        connection.execute("COMMIT")


def _odd_row(table, number):
    return {
        name: _odd_value(table, name, column, number)
        for column, name in enumerate(table.columns)
    }


def _odd_value(table, name, column, number):
    if name == "id":
        return 3 * number + 1
    if name in _TRUTHS or (table.name, name) == _NOTED:
        return number % 2 == 0
    if name in _NUMBERS:
        return 2**40 * number + number
    if column < table.width or name in _UNIQUE:
        return f"{number} {_TEXTS[number % len(_TEXTS)]}"
    is_null = name in _MAY_BE_NULL and (table.name, name) != _NEVER_NULL
    if is_null and (number + column) % 3 == 0:
        return None
    return _TEXTS[(number + column) % len(_TEXTS)]


_TRUTHS = {
    *("pending", "replaced", "rotated_by_agent", "personal", "shared"),
    "by_operator",
}
_NOTED = ("lea_fleet_budgets", "noted")
_NEVER_NULL = ("lea_fleet_selections", "expires_at")
_NUMBERS = {
    *("said", "max_uses", "uses", "seconds", "refused", "events"),
    *("hour", "machines", "counts", "lowest", "alert_id", "attempts"),
    *("enrollment_token", "selection", "step", "hours"),
}
_UNIQUE = {"machine_id", "token_hash"}
_MAY_BE_NULL = {
    *("user_name", "user_email", "user_id", "hostname", "os_info", "version"),
    *("last_seen_at", "uninstalled_at", "uninstall_reason", "first_used_at"),
    *("revoked_at", "former_id", "expires_at"),
}
