"""Nobody else may read what we make, and its owner may always write all of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import click._termui_impl  # noqa: F401  else imported as a user who may not read it
import pytest

from lea_fleet import create_app
from lea_fleet.storage.sqlite.permissions import owner_may_write
from tests.support.api import OPERATOR_TOKEN, Api
from tests.support.older_server import OlderServer

pytestmark = pytest.mark.sqlite

# Users of every Unix; each has a group of the same name and number.
OWNER, OTHER = 1, 2

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user"
)


@pytest.fixture
def umask():
    """Set the umask; it is put back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture
def folder(tmp_path):
    """A folder that everybody may enter; only root may enter pytest's."""
    where = Path(tempfile.mkdtemp())
    where.chmod(0o755)
    yield where
    shutil.rmtree(where)


@pytest.fixture
def start():
    """Start a server, or a command, with the database at a path."""
    made = []

    def start(path):
        app = create_app(
            {
                "RPA_API_TOKEN": OPERATOR_TOKEN,
                "RPA_AGENTS_DB_PATH": path,
                "LEA_FLEET_BUSY_TIMEOUT": "0s",
            }
        )
        made.append(app.extensions["lea_fleet"].store)
        return app

    yield start
    for store in made:
        store.close_idle()


def stop(app):
    app.extensions["lea_fleet"].store.close_idle()


def modes(folder):
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
    }


# What is new


@pytest.mark.parametrize(
    ("mask", "file", "above"),
    [
        (0o022, 0o640, 0o750),
        (0o002, 0o660, 0o770),
        (0o077, 0o600, 0o700),
        (0, 0o660, 0o770),
    ],
)
def test_a_new_database_and_its_folders_give_others_nothing(
    umask, start, tmp_path, mask, file, above
):
    umask(mask)
    app = start(tmp_path / "data" / "databases" / "rpa.db")
    Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")

    assert modes(tmp_path) == {
        "data": above,
        "data/databases": above,
        "data/databases/rpa.db": file,
        "data/databases/rpa.db-wal": file,
        "data/databases/rpa.db-shm": file,
    }


def test_nor_does_it_at_any_moment_before(umask, start, tmp_path, monkeypatch):
    umask(0o022)
    path = tmp_path / "rpa.db"
    seen = []
    opened = sqlite3.connect

    def look(*args, **options):
        seen.extend(modes(tmp_path).values())
        return opened(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", look)
    Api(start(path).test_client(), OPERATOR_TOKEN).enroll("PC-1")

    assert seen and set(seen) == {0o640}


@as_root
def test_the_group_of_the_folder_keeps_what_the_umask_leaves_it(umask, start, folder):
    umask(0o002)
    os.chown(folder, OWNER, OTHER)
    folder.chmod(0o2770)

    Api(start(folder / "new" / "rpa.db").test_client(), OPERATOR_TOKEN).enroll("PC-1")

    for name in ("new", "new/rpa.db", "new/rpa.db-wal", "new/rpa.db-shm"):
        assert (folder / name).stat().st_gid == OTHER
        assert (folder / name).stat().st_mode & 0o077 == (
            0o070 if name == "new" else 0o060
        )


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600])
def test_nothing_changes_for_a_file_that_is_there(umask, start, tmp_path, mode):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    path = folder / "rpa.db"
    with closing(sqlite3.connect(path)):
        OlderServer(path).enroll("PC-1")
    path.chmod(mode)

    Api(start(path).test_client(), OPERATOR_TOKEN).enroll("PC-2")

    named = {"rpa.db", "rpa.db-wal", "rpa.db-shm"}
    assert modes(folder) == dict.fromkeys(named, mode)
    assert modes(tmp_path)["data"] == 0o755


def test_what_commands_write_gives_others_nothing(umask, start, tmp_path):
    umask(0o022)
    app = start(tmp_path / "data" / "rpa.db")
    Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")
    (tmp_path / "machines.csv").write_text("machine_id\nPC/1\n")
    (tmp_path / "machines.csv").chmod(0o600)
    kit = tmp_path / "kits" / "kit"
    for words in (
        ["backup", tmp_path / "copy.db"],
        ["import", tmp_path / "machines.csv", "--errors", tmp_path / "errors.csv"],
        ["installer", kit, "--url", "https://rpa.example.com"],
    ):
        app.test_cli_runner().invoke(args=["fleet", *map(str, words)])

    made = modes(tmp_path)
    assert {"copy.db", "errors.csv", "kits/kit/lea-enroll-token.txt"} <= made.keys()
    assert [name for name, mode in made.items() if mode & 0o007] == []
    assert made["kits/kit/enroll.sh"] == 0o750
    assert made["kits/kit/lea-enroll-token.txt"] == 0o600


def test_a_database_that_another_process_is_making_is_taken_as_it_is(
    start, tmp_path, monkeypatch
):
    path = tmp_path / "rpa.db"
    make = os.mknod

    def late(*args):
        monkeypatch.setattr(os, "mknod", make)
        path.touch(mode=0o600)
        return make(*args)

    monkeypatch.setattr(os, "mknod", late)

    Api(start(path).test_client(), OPERATOR_TOKEN).enroll("PC-1")
    assert modes(tmp_path)["rpa.db"] == 0o600


def test_where_files_cannot_be_made_by_name_they_are_opened(
    umask, start, tmp_path, monkeypatch
):
    umask(0o022)

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)

    Api(start(tmp_path / "rpa.db").test_client(), OPERATOR_TOKEN).enroll("PC-1")
    assert modes(tmp_path)["rpa.db"] == 0o640


# Another user's command


@contextmanager
def acting_as(user, *groups):
    """Be *user* for a while, with the group of that number and *groups*."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@pytest.fixture
def place(folder, start):
    """A database of the user OWNER in a folder of its own, and nobody uses it."""
    path = folder / "data" / "rpa.db"
    app = start(path)
    Api(app.test_client(), OPERATOR_TOKEN).enroll("PC-1")
    app.test_cli_runner().invoke(args=["fleet", "token", "create"])  # all is imported
    stop(app)
    for each, mode in ((path, 0o640), (path.parent, 0o770)):
        os.chown(each, OWNER, OWNER)
        each.chmod(mode)
    return path


@pytest.fixture
def table(folder):
    path = folder / "machines.csv"
    path.write_text("machine_id\nPC-1\nPC-2\n")
    return path


def command(app, *words):
    result = app.test_cli_runner().invoke(args=["fleet", *map(str, words)])
    stop(app)
    return result


def beside(path):
    """Return the owners of the files in the folder of the database."""
    return {each.name: each.stat().st_uid for each in path.parent.iterdir()}


def lacking_a_column(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE lea_fleet_tokens DROP COLUMN replaced")
    os.chown(path, OWNER, OWNER)


def complete(path):
    pass


@as_root
@pytest.mark.parametrize("state", [complete, lacking_a_column])
@pytest.mark.parametrize("groups", [[OWNER], []], ids=["in the group", "outside"])
def test_a_dry_run_by_another_user_leaves_nothing_behind(
    place, table, start, state, groups
):
    state(place)
    if not groups:
        place.chmod(0o644)
        place.parent.chmod(0o777)

    with acting_as(OTHER, *groups):
        result = command(start(place), "import", table, "--dry-run")

    assert result.exit_code == 0, result.output
    assert "       1 imported " in result.stdout
    assert "       1 enrolled " in result.stdout
    assert beside(place) == {"rpa.db": OWNER}
    with acting_as(OWNER):
        assert Api(start(place).test_client(), OPERATOR_TOKEN).enroll("PC-2").token


@as_root
def test_nor_does_one_by_a_user_who_may_write(place, table, start):
    place.chmod(0o660)

    with acting_as(OTHER, OWNER):
        result = command(start(place), "import", table, "--dry-run")

    assert result.exit_code == 0, result.output
    assert beside(place) == {"rpa.db": OWNER}


@as_root
def test_a_command_beside_a_server_uses_the_owners_files(place, start):
    place.chmod(0o660)
    with acting_as(OWNER):
        server = Api(start(place).test_client(), OPERATOR_TOKEN)
        server.enroll("PC-2")

    with acting_as(OTHER, OWNER):
        assert command(start(place), "enroll", "PC-3").exit_code == 0

    files = beside(place)
    assert len(files) == 3 and set(files.values()) == {OWNER}
    with acting_as(OWNER):
        assert server.enroll("PC-4").token


@as_root
def test_nor_does_one_beside_a_server(place, table, start):
    with acting_as(OWNER):
        server = Api(start(place).test_client(), OPERATOR_TOKEN)
        server.enroll("PC-2")  # in the WAL only
    before = beside(place)

    with acting_as(OTHER, OWNER):
        result = command(start(place), "import", table, "--dry-run")

    assert "       2 enrolled " in result.stdout, result.output
    assert beside(place) == before == dict.fromkeys(before, OWNER)
    with acting_as(OWNER):
        assert server.enroll("PC-3").token


@as_root
@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--csv"],
        ["show", "PC-1"],
        ["events"],
        ["summary"],
        ["token", "list"],
        ["export", "--user", "zoe@example.com"],
        ["backup", "copy.db"],
        ["erase", "PC-1"],
        ["prune", "--silent-for", "1d"],
        ["enroll", "PC-2"],
        ["uninstall", "PC-1"],
        ["token", "create"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("mode", [0o640, 0o660], ids=["may read", "may write"])
def test_a_command_whose_files_the_owner_could_not_write_is_refused_before(
    place, start, monkeypatch, words, mode
):
    place.chmod(mode)
    before = place.read_bytes()

    with acting_as(OTHER, OWNER):
        result = command(start(place), *words)

    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr.startswith(f"Error: {place} ") and result.stderr.count("\n") == 1
    )
    assert beside(place) == {"rpa.db": OWNER}
    assert place.read_bytes() == before


@as_root
def test_one_whose_files_the_owner_can_write_is_not(place, start):
    place.chmod(0o660)
    place.parent.chmod(0o2770)  # what is made there belongs to the folder's group

    with acting_as(OTHER, OWNER):
        app = start(place)
        result = app.test_cli_runner().invoke(args=["fleet", "enroll", "PC-2"])
        assert result.exit_code == 0, result.output
        assert beside(place)["rpa.db-wal"] == OTHER
        with acting_as_owner_in_between():
            assert Api(start(place).test_client(), OPERATOR_TOKEN).enroll("PC-3").token
        stop(app)


@contextmanager
def acting_as_owner_in_between():
    os.seteuid(0)
    with acting_as(OWNER):
        yield
    os.setgroups([OWNER])
    os.setegid(OTHER)
    os.seteuid(OTHER)


@as_root
def test_what_root_makes_is_its_owners(place, start):
    app = start(place)
    result = app.test_cli_runner().invoke(args=["fleet", "enroll", "PC-2"])

    assert result.exit_code == 0, result.output
    assert set(beside(place).values()) == {OWNER}
    stop(app)


@as_root
@pytest.mark.parametrize("user", [0, OTHER])
@pytest.mark.parametrize("place", ["rpa.db", "new/folder/rpa.db"])
@pytest.mark.parametrize(
    "words",
    [["token", "create", "--create"], ["import", "{table}", "--create", "--yes"]],
)
def test_no_database_is_begun_that_the_folders_owner_could_not_write(
    folder, table, start, umask, user, place, words
):
    folder.chmod(0o777)
    os.chown(folder, OWNER, OWNER)
    words = [word.format(table=table) for word in words]

    with acting_as(user):
        result = command(start(folder / place), *words)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Error: The folder {folder} belongs to" in result.stderr
    assert list(folder.glob("*.db*")) == [] == list(folder.glob("new*"))


@as_root
@pytest.mark.parametrize("user", [OWNER, OTHER])
def test_one_that_its_group_may_write_is_begun(folder, start, umask, user):
    umask(0o002)
    os.chown(folder, OWNER, OWNER)
    folder.chmod(0o2770)

    with acting_as(user, OWNER):
        app = start(folder / "rpa.db")
        assert command(app, "token", "create").exit_code == 0
        stop(app)

    with acting_as(OWNER):
        assert Api(start(folder / "rpa.db").test_client(), OPERATOR_TOKEN).enroll("PC")


@pytest.mark.parametrize(
    ("file", "folder", "user", "may"),
    [
        (0o600, 0o700, OWNER, True),
        (0o640, 0o770, OTHER, False),
        (0o660, 0o770, OTHER, False),  # of the other's group
        (0o660, 0o2770, OTHER, True),
        (0o640, 0o2770, OTHER, False),
        (0o666, 0o777, OTHER, True),
        (0o640, 0o770, 0, True),
    ],
)
def test_the_owner_may_write_what_the_modes_allow(file, folder, user, may):
    there = SimpleNamespace(st_uid=OWNER, st_gid=OWNER, st_mode=file)
    around = SimpleNamespace(st_uid=OWNER, st_gid=OWNER, st_mode=folder)

    assert owner_may_write(there, around, user, user) is may


def test_an_owner_without_a_name_is_taken_to_be_in_the_files_group():
    there = SimpleNamespace(st_uid=54321, st_gid=54321, st_mode=0o660)
    around = SimpleNamespace(st_uid=0, st_gid=0, st_mode=0o755)

    assert owner_may_write(there, around, OTHER, 54321)
    assert not owner_may_write(there, around, OTHER, OTHER)
