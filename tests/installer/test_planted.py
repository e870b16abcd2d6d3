"""The scripts as root, in a state folder that belongs to the agent's account.

That account can put links, pipes and folders in the place of any file there, also while
a script runs. What it reaches by that is nothing that it could not have had before.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from tests.installer.posix import Run, events

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root"
)

AGENT, THIRD = 65534, 1  # nobody and daemon
AGENT_USER = ("--agent-user", "nobody")
KEPT = {
    "agent-token.txt",
    "heartbeat-interval.txt",
    "machine-id.txt",
    "server-url.txt",
}
FILES = KEPT | {"system-id.txt", "enroll-key.txt", "enroll-last-error.txt"}
NAMES = FILES | {f".{name}.new" for name in FILES} | {"enroll.lock"}
SECRET = "only-for-root"


class Treasure:
    """What only root may read or write: a file, and a folder."""

    def __init__(self, folder):
        self.file, self.folder = folder / "secret", folder / "secrets"
        self.file.write_text(f"{SECRET}\n")
        self.file.chmod(0o600)
        self.folder.mkdir(mode=0o700)

    def assert_untouched(self):
        assert self.file.read_text() == f"{SECRET}\n"
        status = self.file.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (0, 0o600)
        assert list(self.folder.iterdir()) == []
        status = self.folder.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (0, 0o700)


@pytest.fixture
def treasure(tmp_path):
    return Treasure(tmp_path)


@pytest.fixture
def hostile(computer):
    """A computer whose state folder belongs to the agent's account."""
    computer.state.mkdir()
    os.chown(computer.state, AGENT, AGENT)
    return computer


PLANTS = {
    "link to a file": lambda path, treasure: path.symlink_to(treasure.file),
    "link to a folder": lambda path, treasure: path.symlink_to(treasure.folder),
    "link to nothing": lambda path, treasure: path.symlink_to(treasure.folder / "new"),
    "hard link": lambda path, treasure: path.hardlink_to(treasure.file),
    "pipe": lambda path, treasure: os.mkfifo(path, 0o666),
}


@pytest.fixture(params=PLANTS.values(), ids=PLANTS)
def plant(request, treasure):
    """Put something in the place of a file, as the agent's account may."""

    def plant(path):
        with suppress(FileNotFoundError):
            path.unlink()
        request.param(path, treasure)
        if path.is_symlink() or not path.is_file():
            os.chown(path, AGENT, AGENT, follow_symlinks=False)

    return plant


def run(computer, script, *options):
    """Run a script to its end. Unlike Computer.run, look into no file."""
    process = computer.start(script, *options, LEA_PATIENCE="2")
    try:
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert SECRET not in output
    return Run(process.returncode, output)


def enroll(computer, *options):
    machine = ("--machine-id", computer.machine_id)
    return run(computer, "enroll.sh", *machine, *AGENT_USER, *options)


def owners(computer):
    return {path.lstat().st_uid for path in computer.state.iterdir()}


def said(front):
    """Return all that the server was told."""
    return "\n".join(
        f"{request.path} {request.headers} {request.body}" for request in front.requests
    )


# Planted before


def test_an_enrollment_follows_nothing_that_was_planted(
    hostile, plant, treasure, front, server
):
    for name in NAMES:
        plant(hostile.state / name)

    done = enroll(hostile)

    treasure.assert_untouched()
    assert SECRET not in said(front)
    assert done.exit_code == 0, done.output
    assert all((hostile.state / name).is_file() for name in KEPT)
    assert {(hostile.state / name).lstat().st_uid for name in KEPT} == {AGENT}
    assert events(server, hostile.machine_id) == ["enrolled"]


def test_a_report_follows_nothing_that_was_planted(hostile, plant, treasure, front):
    assert enroll(hostile).exit_code == 0
    for name in NAMES - {"agent-token.txt", "machine-id.txt"}:
        plant(hostile.state / name)

    done = enroll(hostile, "--version", "2")

    treasure.assert_untouched()
    assert done.exit_code == 0, done.output
    assert "details reported" in done.output


def test_a_failure_follows_nothing_that_was_planted(hostile, plant, treasure, front):
    for name in NAMES:
        plant(hostile.state / name)
    hostile.give("")

    assert enroll(hostile).exit_code == 22

    treasure.assert_untouched()
    assert "no enrollment token" in hostile.error


def test_an_uninstall_follows_and_tells_nothing_that_was_planted(
    hostile, plant, treasure, front
):
    assert enroll(hostile).exit_code == 0
    for name in NAMES - {"server-url.txt", "machine-id.txt"}:
        plant(hostile.state / name)
    plant(hostile.state / ".work.7")

    assert run(hostile, "uninstall.sh").exit_code == 0

    treasure.assert_untouched()
    assert SECRET not in said(front)


def test_a_folder_that_is_exchanged_for_a_link_receives_no_other_one(hostile, treasure):
    assert enroll(hostile).exit_code == 0
    for number in (1, 2):  # of two runs that were killed
        (hostile.state / f".work.{number}").mkdir()
    exchange = f"rmdir ../.work.1 && ln -s '{treasure.folder}' ../.work.1"
    hostile.replace(
        "mv",
        f'case " $* " in *" ../.work.1 "*) {exchange} ;; esac\n'
        f'exec {shutil.which("mv")} "$@"\n',
    )

    assert run(hostile, "uninstall.sh").exit_code == 0

    treasure.assert_untouched()


def test_a_stored_url_is_no_option_of_curl(hostile, treasure, front):
    assert enroll(hostile).exit_code == 0
    trace = treasure.folder / "written"
    options = f'url = "{front.url}"\ntrace-ascii = "{trace}"\n'
    (hostile.state / "uninstall").write_text(options)
    (hostile.state / "server-url.txt").write_text(f"-K{hostile.state}\n")
    os.chown(hostile.state / "server-url.txt", AGENT, AGENT)

    assert run(hostile, "uninstall.sh").exit_code == 0

    treasure.assert_untouched()


def test_a_file_without_end_is_not_read_to_its_end(hostile):
    assert enroll(hostile).exit_code == 0
    with (hostile.state / "agent-token.txt").open("r+b") as file:
        file.truncate(1 << 40)

    assert "already_enrolled" in enroll(hostile).output


def default_acl(user):
    """Return an ACL that files and folders inherit: everything for *user* too."""
    entries = [(0x01, 7, 0xFFFFFFFF), (0x02, 7, user), (0x04, 7, 0xFFFFFFFF)]
    entries += [(0x10, 7, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def test_the_working_folder_inherits_no_access(hostile):
    try:
        acl = default_acl(AGENT)
        os.setxattr(hostile.state, "system.posix_acl_default", acl)
    except OSError:
        pytest.skip("the file system has no ACLs")
    curl = shutil.which("curl")
    note = 'ls -ld "$LEA_STATE_DIR"/.work.* >>"$LEA_TEST_FOLDER/seen"'
    hostile.replace("curl", f'{note}\nexec {curl} "$@"\n')

    assert hostile.enroll(*AGENT_USER).exit_code == 0

    assert [line[:10] for line in hostile.noted("seen")] == ["drwx------"]
    assert (hostile.state / "agent-token.txt").stat().st_mode & 0o777 == 0o600


# Planted meanwhile


#: Becomes the agent's account in a folder, and exchanges everything in it for links to
#: a file and a folder of root's, without a pause.
ATTACK = """
import itertools, os, sys
from contextlib import suppress
folder, file, secrets, agent, *names = sys.argv[1:]
os.chdir(folder)
os.setgroups([])
os.setgid(int(agent))
os.setuid(int(agent))
print("at it", flush=True)

def link(name, target):
    os.symlink(target, ".own")
    os.replace(".own", name)

def pipe(name):
    os.mkfifo(".own")
    os.replace(".own", name)

def swap(name):  # a folder for a link, and back
    with suppress(OSError):
        os.rename(name, ".moved")
        os.symlink(secrets, name)
        os.unlink(name)
    with suppress(OSError):
        os.rename(".moved", name)

for turn in itertools.count():
    if os.getppid() == 1:
        break
    for found in os.listdir("."):
        if found.startswith(".work."):
            swap(found)
    for name in names:
        with suppress(OSError):
            (lambda: link(name, file), lambda: link(name, secrets), lambda: pipe(name),
             lambda: os.unlink(name), lambda: os.mkdir(name), lambda: os.rmdir(name),
            )[turn % 6]()
"""


@contextmanager
def attack(computer, treasure, names):
    words = [computer.state, treasure.file, treasure.folder, AGENT, *names]
    attacker = subprocess.Popen(
        [sys.executable, "-c", ATTACK, *map(str, words)], stdout=subprocess.PIPE
    )
    try:
        assert attacker.stdout.readline() == b"at it\n"
        yield
        assert attacker.poll() is None
    finally:
        attacker.kill()
        attacker.communicate()


def clean(folder):
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def test_nothing_is_followed_that_is_exchanged_while_it_runs(
    hostile, treasure, front, server
):
    (hostile.state / "notes").write_text("so that no uninstall removes the folder")
    with attack(hostile, treasure, sorted(NAMES)):
        for _ in range(8):
            assert enroll(hostile).exit_code in (0, 21, 24)
            assert run(hostile, "uninstall.sh").exit_code == 0
            treasure.assert_untouched()
    assert SECRET not in said(front)

    clean(hostile.state)
    server.operator.post(f"/machines/{hostile.machine_id}/release")
    assert hostile.enroll(*AGENT_USER).exit_code == 0
    assert owners(hostile) == {AGENT}


# Whose folder it is


def owned_by_a_third_party(computer):
    computer.state.mkdir()
    os.chown(computer.state, THIRD, THIRD)


def writable_by_everybody(computer):
    computer.state.mkdir()
    computer.state.chmod(0o777)


def inside_of_a_third_partys(computer):
    computer.state = computer.state / "state"
    computer.state.mkdir(parents=True)
    os.chown(computer.state.parent, THIRD, THIRD)


def not_there_in_one_that_everybody_can_write(computer):
    computer.state.mkdir()
    computer.state.chmod(0o777)
    computer.state = computer.state / "state"


def reached_by_a_link_of_the_agents(computer):
    aside = computer.state.with_name("aside")
    aside.mkdir()
    computer.state.symlink_to(aside)
    os.chown(computer.state, AGENT, AGENT, follow_symlinks=False)


def below_a_link_of_the_agents(computer):
    reached_by_a_link_of_the_agents(computer)
    computer.state = computer.state / "state"


UNSAFE = [
    owned_by_a_third_party,
    writable_by_everybody,
    inside_of_a_third_partys,
    not_there_in_one_that_everybody_can_write,
    reached_by_a_link_of_the_agents,
    below_a_link_of_the_agents,
]


@pytest.mark.parametrize("unsafe", UNSAFE, ids=lambda unsafe: unsafe.__name__)
def test_a_state_folder_that_a_third_party_can_write_is_refused(
    computer, front, tmp_path, unsafe
):
    unsafe(computer)
    before = sorted(tmp_path.rglob("*"))
    where = ("--state-dir", f"{computer.state}/")

    run = computer.enroll(*AGENT_USER, *where)

    assert run.exit_code == 24
    assert str(computer.state) in run.output and "another account" in run.output
    assert computer.uninstall(*where).exit_code == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert not front.requests


def test_without_agent_user_an_empty_folder_of_the_agents_is_refused(hostile, front):
    run = hostile.enroll()

    assert run.exit_code == 24 and "--agent-user" in run.output
    assert hostile.stored == set() and not front.requests


def test_in_the_agents_own_home_the_folder_is_made_and_given_to_it(computer):
    computer.state.mkdir()
    os.chown(computer.state, AGENT, AGENT)
    computer.state = computer.state / "state"

    where = ("--state-dir", str(computer.state))
    assert computer.enroll(*AGENT_USER, *where).exit_code == 0
    assert computer.stored == KEPT and computer.state.stat().st_uid == AGENT
    assert computer.uninstall(*where).exit_code == 0
    assert not computer.state.exists()


#: Exchanges a folder on the path for a link to one of root's, at the worst moment.
EXCHANGE = """
if [ "$1 $2" = "-p $LEA_STATE_DIR/in/state" ]; then
  mv "$LEA_STATE_DIR/in" "$LEA_STATE_DIR/aside"
  ln -s "$LEA_TEST_FOLDER/secrets" "$LEA_STATE_DIR/in"
fi
"""


def test_a_path_that_is_led_elsewhere_meanwhile_gives_nothing_away(
    hostile, treasure, front
):
    (hostile.state / "in").mkdir()
    os.chown(hostile.state / "in", AGENT, AGENT)
    (treasure.folder / "state").mkdir()
    back = 'rm "$LEA_STATE_DIR/in"; mv "$LEA_STATE_DIR/aside" "$LEA_STATE_DIR/in"'
    listed = f'[ ! -L "$LEA_STATE_DIR/in" ] || {{ {back}; }}\n'
    hostile.replace("mkdir", f'{EXCHANGE}exec {shutil.which("mkdir")} "$@"\n')
    hostile.replace("ls", f'{listed}exec {shutil.which("ls")} "$@"\n')

    done = enroll(hostile, "--state-dir", str(hostile.state / "in" / "state"))

    assert done.exit_code == 24
    assert (treasure.folder / "state").stat().st_uid == 0
    assert list((treasure.folder / "state").iterdir()) == [] and not front.requests


def test_a_link_of_roots_to_the_state_folder_is_followed(computer):
    aside = computer.state.with_name("aside")
    aside.mkdir()
    computer.state.symlink_to(aside)

    assert computer.enroll(*AGENT_USER).exit_code == 0
    assert computer.stored == KEPT and aside.stat().st_uid == AGENT


# The agent's own


def as_agent(computer, code):
    """Let the agent's account do something in the state folder."""
    become = f"import os; os.chdir({str(computer.state)!r}); os.setgroups([])"
    become += f"; os.setgid({AGENT}); os.setuid({AGENT}); {code}"
    return subprocess.run([sys.executable, "-c", become]).returncode == 0


def assert_the_agents(computer):
    """The agent can read its token, replace it whole, and delete it."""
    assert owners(computer) == {AGENT}
    assert as_agent(computer, "assert open('agent-token.txt').read()")
    rotate = "open('new', 'w').write('rotated'); os.replace('new', 'agent-token.txt')"
    assert as_agent(computer, rotate)
    assert computer.token == "rotated"
    assert as_agent(computer, "os.unlink('agent-token.txt')")


def test_the_agent_can_replace_and_delete_its_token(computer):
    assert computer.enroll(*AGENT_USER).exit_code == 0

    assert_the_agents(computer)


@pytest.fixture
def older(computer):
    """A computer that an older enroll.sh enrolled: the folder is root's."""
    assert computer.enroll(*AGENT_USER).exit_code == 0
    os.chown(computer.state, 0, 0)
    return computer


@pytest.mark.parametrize("option", [AGENT_USER, ()], ids=["named", "not named"])
def test_an_upgrade_gives_the_agent_the_folder_too(older, option):
    os.chown(older.state / "server-url.txt", 0, 0)  # by a report without --agent-user
    token = older.token

    assert "details reported" in older.enroll(*option).output

    assert older.token == token
    assert_the_agents(older)


def test_a_token_that_root_kept_is_given_to_the_agent_that_is_named(computer):
    assert computer.enroll().exit_code == 0
    assert owners(computer) == {0}

    assert "details reported" in computer.enroll(*AGENT_USER).output

    assert_the_agents(computer)


def test_a_folder_with_files_of_others_stays_roots(computer):
    computer.state.mkdir()
    (computer.state / "notes").write_text("mine")

    run = computer.enroll(*AGENT_USER)

    assert run.exit_code == 0 and "cannot replace or remove" in run.output
    assert computer.state.stat().st_uid == 0
    assert as_agent(computer, "assert open('agent-token.txt').read()")
    assert "details reported" in computer.enroll().output


@pytest.mark.parametrize("again", ["report", "enroll", "token gone"])
def test_without_agent_user_the_files_keep_their_owner(computer, server, again):
    assert computer.enroll(*AGENT_USER).exit_code == 0
    if again != "report":
        server.operator.uninstall(computer.machine_id)
    if again == "token gone":
        (computer.state / "agent-token.txt").unlink()

    assert computer.enroll().exit_code == 0

    assert_the_agents(computer)


def test_an_uninstall_without_agent_user_is_reported_for_the_agent(older, server):
    os.chown(older.state / "server-url.txt", 0, 0)

    assert older.uninstall().exit_code == 0

    assert events(server, older.machine_id) == ["enrolled", "uninstalled"]
    assert not older.state.exists()


# Other systems


def limited(program, option):
    """A program that knows, of -T and -h, only *option*, as on other systems."""
    path = shutil.which(program)
    return f"""for word; do
  shift
  case $word in
    {option or "none"}) word=-T ;;
    -T | -h) exit 64 ;;
  esac
  set -- "$@" "$word"
done
exec {path} "$@"
"""


@pytest.mark.parametrize("option", ["-h", None], ids=["BSD", "older macOS"])
def test_where_mv_has_another_option_or_none_nothing_is_followed(
    hostile, treasure, option
):
    hostile.replace("mv", limited("mv", option))
    if option:
        hostile.replace("ln", limited("ln", option))
    for name in NAMES:
        (hostile.state / name).symlink_to(treasure.folder)

    run = hostile.enroll(*AGENT_USER)

    assert run.exit_code == 0, run.output
    treasure.assert_untouched()
    assert {path.name for path in hostile.state.iterdir() if path.is_file()} == KEPT
