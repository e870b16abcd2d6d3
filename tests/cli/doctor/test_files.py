"""What the doctor sees of the files: by their status, so that root sees it too."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from lea_fleet.storage.sqlite.checks import files, mounts
from tests.support.api import Api
from tests.cli.doctor.calling import STRONG_TOKEN, call, only, troubles

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(
    ("mode", "level", "told"),
    [
        (0o644, "warning", "may read it"),
        (0o604, "warning", "may read it"),
        (0o666, "fault", "may write it"),
        (0o602, "fault", "may write it"),
        (0o640, "ok", "closed"),
        (0o600, "ok", "closed"),
    ],
)
def test_a_file_that_others_may_read_or_write(mode, level, told):
    verdict = files.exposure(Path("/srv/my rpa.db"), [mode], [0o755, 0o755])

    assert verdict.level == level and told in verdict.detail
    assert "chmod o-rw '/srv/my rpa.db'*" in verdict.action or level == "ok"


def test_a_file_that_others_may_read_in_a_folder_that_is_closed_to_them():
    path = Path("/srv/rpa.db")

    assert files.exposure(path, [0o666], [0o755, 0o750]).level == "ok"
    assert files.exposure(path, [0o600, 0o644], [0o755, 0o711]).level == "warning"


def test_the_permissions_are_those_of_the_files_and_of_every_folder(make_app):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        database = Path(folder) / "rpa.db"
        app = make_app(RPA_API_TOKEN=STRONG_TOKEN, RPA_AGENTS_DB_PATH=database)
        Api(app.test_client(), STRONG_TOKEN).enroll("PC-1").heartbeat()
        os.chmod(database, 0o600)
        os.chmod(f"{database}-wal", 0o644)

        assert "names people" in only(call(app), "permissions", "warning")["detail"]
        os.chmod(folder, 0o700)
        assert troubles(call(app)) == {}


def status(size=4096, owner=1000):
    return SimpleNamespace(st_size=size, st_uid=owner, st_mode=0o100600)


@pytest.mark.parametrize("log", ["wal", "shm"])
def test_a_log_that_another_user_has_left(log):
    found = {"file": status(), "wal": status(), "shm": status(), log: status(owner=0)}
    database = files.Database(Path("/srv/rpa.db"), **found)

    verdict = files.file_checks(database)["log_owner"]()

    assert verdict.level == "fault"
    assert f"rpa.db-{log} belongs to " in verdict.detail
    assert "chown --reference=/srv/rpa.db /srv/rpa.db-*" in verdict.action


@pytest.mark.parametrize(
    ("database", "log", "level"),
    [
        (4096, 63_000_000, "ok"),
        (4096, 65_000_000, "warning"),
        (70_000_000, 65_000_000, "ok"),
        (70_000_000, 71_000_000, "warning"),
    ],
)
def test_a_log_that_a_reader_holds(database, log, level):
    found = files.Database(Path("/srv/rpa.db"), status(database), status(log), None)

    verdict = files.file_checks(found)["log_size"]()

    assert verdict.level == level
    assert ("a reader keeps it" in verdict.detail) is (level == "warning")


@pytest.mark.parametrize(
    ("free", "used", "level"),
    [
        (99_000_000, 0, "fault"),
        (101_000_000, 0, "warning"),
        (501_000_000, 0, "ok"),
        (501_000_000, 600_000_000, "warning"),
    ],
)
def test_a_disk_that_is_nearly_full(free, used, level):
    assert files.space(Path("/srv"), free, used).level == level


def test_the_disk_is_the_one_of_the_database(app, fleet, database, monkeypatch):
    asked = []

    def usage(folder):
        asked.append(folder)
        return SimpleNamespace(free=5)

    monkeypatch.setattr(shutil, "disk_usage", usage)

    assert only(call(app), "free_space", "fault")["detail"].startswith("5 bytes free")
    assert asked == [database.parent]


def test_a_check_that_cannot_be_made_says_so_and_the_others_are(
    app, fleet, monkeypatch
):
    def fail(folder):
        raise OSError(5, "Input/output error", str(folder))

    monkeypatch.setattr(shutil, "disk_usage", fail)

    found = only(call(app), "free_space", "warning")

    assert found["detail"].startswith("not checked: /")
    assert found["detail"].endswith(": Input/output error")


MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
filer:/rpa /srv/rpa nfs4 rw,vers=4.2 0 0
//filer/rpa /srv/with\\040blank cifs rw 0 0
zoe@filer:/ /home/zoe/far fuse.sshfs rw 0 0
C:\\134 /mnt/c 9p rw 0 0
/dev/sdb1 /srv/rpa/local xfs rw 0 0
tmpfs /srv/hidden tmpfs rw 0 0
filer:/x /srv/hidden smb3 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "level", "kind"),
    [
        ("/srv/rpa/data/rpa.db", "fault", "nfs4"),
        ("/srv/with blank/rpa.db", "fault", "cifs"),
        ("/home/zoe/far/rpa.db", "fault", "fuse.sshfs"),
        ("/mnt/c/rpa.db", "fault", "9p"),
        ("/srv/hidden/rpa.db", "fault", "smb3"),
        ("/srv/rpa/local/rpa.db", "ok", "xfs"),
        ("/srv/rpa2/rpa.db", "ok", "ext4"),
    ],
)
def test_a_file_system_that_is_on_a_network(path, level, kind):
    verdict = mounts.network(Path(path), MOUNTS)

    assert verdict.level == level and verdict.detail.split(":")[0] == kind


def test_a_system_without_a_list_of_mounts(app, fleet, tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "none")

    assert call(app)["file_system"]["detail"] == "not known on this system"


@pytest.mark.parametrize(("refused", "verb"), [(os.R_OK, "read"), (os.W_OK, "write")])
def test_a_file_that_this_user_may_not_read_or_write(
    app, fleet, monkeypatch, refused, verb
):
    monkeypatch.setattr(os, "access", lambda path, how, **_: how != refused)

    found = only(call(app), "file", "fault")

    assert found["detail"].endswith(f"this user may not {verb} it")
    assert "as the server's user" in found["action"]


def test_a_lock_that_this_user_may_not_take(app, operator, monkeypatch):
    """SQLite begins to read instead, and says nothing."""
    operator.enroll("PC-1").heartbeat()
    monkeypatch.setattr(os, "access", lambda path, how, **_: how != os.W_OK)

    found = call(app)["write_lock"]

    assert found["detail"] == "not checked: this user may not write the database"


def test_a_link_is_followed_to_the_file_and_its_log(make_app, operator, database):
    operator.enroll("PC-1").heartbeat()
    link = database.with_name("link.db")
    link.symlink_to(database)
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, RPA_AGENTS_DB_PATH=link)

    found = call(app)

    assert troubles(found) == {}
    assert str(database) in found["file"]["detail"]
    assert found["log_size"]["detail"] != "there is no log at present"
    assert found["machines"]["detail"].startswith("1 active")


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_process_that_uses_a_log_that_was_removed(app, operator, database, ending):
    """The server's own, here; it answers 503 where only one of the two is gone."""
    operator.enroll("PC-1")
    assert call(app)["log_removed"]["level"] == "ok"
    os.unlink(f"{database}{ending}")
    refused = operator.get("/fleet").status_code

    found = call(app)["log_removed"]

    assert (refused, found["level"]) == (503, "fault")
    assert found["detail"].startswith(f"process {os.getpid()} still uses a WAL")


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_log_that_this_user_may_not_write(app, operator, monkeypatch, ending):
    operator.enroll("PC-1").heartbeat()
    monkeypatch.setattr(os, "access", lambda path, *_, **__: ending not in str(path))

    found = only(call(app), "file", "fault")

    assert found["detail"].endswith(f"this user may not write its {ending}")


@pytest.mark.parametrize(
    "kind",
    ["virtiofs", "fuse", "fuse.grpcfuse", "fuse.vmhgfs-fuse", "fuse.mergerfs", "vboxsf"]
    + ["vmhgfs", "prl_fs", "fakeowner", "osxfs", "9p", "ocfs2", "beegfs", "nfs"],
)
def test_one_that_is_shared_is_a_fault(kind):
    verdict = mounts.network(Path("/srv/rpa.db"), f"x / {kind} rw 0 0\n")

    assert verdict.level == "fault" and verdict.detail.startswith(f"{kind}: ")


@pytest.mark.parametrize("listed", ["x / newfs9 rw 0 0\n", "x / 9 rw 0 0\n", ""])
def test_one_that_is_not_known_is_a_warning(listed):
    verdict = mounts.network(Path("/srv/rpa.db"), listed)

    assert verdict.level == "warning" and "disk of this computer" in verdict.action


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "vfat", "exfat", "apfs"]
    + ["ntfs3", "fuseblk"],
)
def test_one_on_this_computer_is_well(kind):
    verdict = mounts.network(Path("/srv/rpa.db"), f"x / {kind} rw 0 0\n")

    assert verdict.level == "ok" and verdict.detail == kind
