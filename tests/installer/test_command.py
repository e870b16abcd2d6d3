"""The command for Linux and macOS, and the kit as a ZIP, with the real server.

Each in every shell there is. What it did is looked up in the server's database.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import zipfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from lea_fleet.app.installer_kit import enroll_script, setup_command
from tests.installer.faulty import answer, bad_gateway, redirect
from tests.installer.posix import SHELLS, events, row
from tests.support.processes import heed_interrupts
from tests.support.api import Api

PROMPT = b"Enrollment token: "
ADDRESS = "https://rpa.acme.example/api/v1/agents"
SIGN_IN = "<html>Please sign in to the network</html>"

#: Notes what every process can see of the others, and then what it is to do.
_WATCHED_CURL = """#!/bin/sh
cat /proc/[0-9]*/cmdline >>"$LEA_TEST_FOLDER/seen" 2>/dev/null
env >>"$LEA_TEST_FOLDER/seen"
exec {curl} "$@"
"""

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="it takes curl")


class Machine:
    """A machine that has *shell* as its sh, and a sudo that asks for nothing."""

    def __init__(self, folder, shell, url):
        self.folder, self.state, self.temporary = (
            folder / name for name in ("bin", "state", "tmp")
        )
        self.machine_id = f"PC-{uuid4()}"
        self.command = f"{setup_command(url)} --machine-id {self.machine_id}"
        self.shell = shutil.which(shell[0])
        self.folder.mkdir()
        self.temporary.mkdir()
        inner = " ".join([self.shell, *shell[1:]])
        self.write("sh", f'#!{self.shell} {" ".join(shell[1:])}\nexec {inner} "$@"\n')
        self.write("sudo", '#!/bin/sh\nexec "$@"\n')
        self.environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "LEA_STATE_DIR": str(self.state),
            "LEA_TEST_FOLDER": str(folder),
            "LEA_PATIENCE": "0",
            "no_proxy": "127.0.0.1",
        }

    def write(self, program, script):
        path = self.folder / program
        path.write_text(script, "utf-8")
        path.chmod(0o755)

    def paste(self, stdin, command=None):
        """Start the command as a line of a shell."""
        return subprocess.Popen(
            [self.shell, "-c", command or self.command],
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )

    def read_from(self, content, command=None):
        """Run it with the token in a file; return the exit code and the output."""
        path = self.temporary.parent / "token"
        path.write_bytes(content)
        with path.open("rb") as file:
            return self.ended(self.paste(file, command))

    def ended(self, process):
        """Wait for the end, at which nothing is left of it but what it stored."""
        output, _ = process.communicate(timeout=60)
        assert list(self.temporary.iterdir()) == []
        return process.returncode, output.decode()

    @contextmanager
    def asked(self):
        """Run it in a terminal until it asks; yield the process and the terminal."""
        ours, theirs = pty.openpty()
        try:
            process = self.paste(theirs)
            assert process.stdout.read(len(PROMPT)) == PROMPT
            assert not echoes(theirs)
            while not is_reading(process):
                assert process.poll() is None
            yield process, ours
            assert echoes(theirs)
            os.set_blocking(ours, False)
            self.seen = b""
            try:
                self.seen = os.read(ours, 1000)
            except BlockingIOError:  # nothing was typed that is seen
                pass
        finally:
            os.close(ours)
            os.close(theirs)


def is_reading(process):
    """Tell whether the program that reads the token is running."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"head\0-n" in path.read_bytes():
                if os.getpgid(int(path.parent.name)) == process.pid:
                    return True
        except OSError:  # it has ended
            continue
    return False


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def machine(request, front, tmp_path):
    return Machine(tmp_path, request.param, front.url)


@pytest.fixture
def token(server):
    return server.operator.installer().token


def assert_enrolled(machine, server, run):
    exit_code, output = run
    assert exit_code == 0, output
    assert f"Machine {machine.machine_id} is enrolled" in output
    assert not re.search("lea_(agent|enroll)_", output)
    held = (machine.state / "agent-token.txt").read_text().strip()
    assert Api(server.client, held).post("/heartbeat").status_code == 200


def assert_not_run(machine, run, *words):
    exit_code, output = run
    assert exit_code != 0, output
    for word in ("No script from http://127.0.0.1:", *words):
        assert word in output
    assert not machine.state.exists()


# Enrolling


def test_it_asks_for_the_token_without_showing_it_and_enrolls(machine, server, token):
    with machine.asked() as (process, terminal):
        os.write(terminal, f"{token}\n".encode())
        run = machine.ended(process)

    assert_enrolled(machine, server, run)
    assert token.encode() not in machine.seen


@pytest.mark.parametrize(
    ("before", "encoding", "end"),
    [
        ("", "ascii", ""),
        ("", "ascii", "\n"),
        ('"', "utf-8-sig", ' "\r\n'),
        ("", "utf-16", "\r\n"),
    ],
)
def test_it_reads_the_token_from_a_file(machine, server, token, before, encoding, end):
    content = f"{before}{token}{end}".encode(encoding)

    assert_enrolled(machine, server, machine.read_from(content))


def test_the_redirection_of_the_documentation_names_the_file(machine, server, token):
    path = machine.temporary.parent / "lea-enroll-token.txt"
    path.write_text(token)

    run = machine.read_from(b"", f"{machine.command} <'{path}'")

    assert_enrolled(machine, server, run)


def test_options_of_the_script_follow_it(machine, server, token):
    command = f"{machine.command} --version 1.4.0 --user-name 'Zoé $HOME'"

    assert_enrolled(machine, server, machine.read_from(token.encode(), command))
    enrolled = row(server, machine.machine_id)
    assert (enrolled["version"], enrolled["user_name"]) == ("1.4.0", "Zoé $HOME")


def test_a_second_run_reports_and_enrolls_nothing_again(machine, server, token):
    machine.read_from(token.encode())

    assert_enrolled(machine, server, machine.read_from(token.encode()))
    assert events(server, machine.machine_id) == ["enrolled"]


def test_no_process_shows_the_token_in_its_arguments(machine, server, front, token):
    machine.write("curl", _WATCHED_CURL.format(curl=shutil.which("curl")))

    assert_enrolled(machine, server, machine.read_from(token.encode()))
    seen = (machine.temporary.parent / "seen").read_bytes()
    assert b"installer-kit/enroll.sh" in seen and token.encode() not in seen
    assert all(token not in request.path for request in front.requests)


# Nothing is run


@pytest.mark.parametrize(
    "fault",
    [
        answer(404, "#!/bin/sh\nfind_enrollment_token() {"),
        bad_gateway,
        redirect(302, "http://127.0.0.1:1/login"),
        answer(200, SIGN_IN, "text/html"),
        answer(200, ""),
    ],
    ids=["404", "502", "302", "sign-in", "empty"],
)
def test_what_is_not_the_script_is_not_run(machine, front, token, fault):
    front.always(fault)

    assert_not_run(machine, machine.read_from(token.encode()))


def test_half_of_the_script_is_not_run(machine, front, token):
    def cut(exchange):
        script = enroll_script()
        exchange.send_response(200)
        exchange.send_header("Content-Length", str(len(script)))
        exchange.end_headers()
        exchange.wfile.write(script[:-4])

    front.always(cut)

    assert_not_run(machine, machine.read_from(token.encode()))


@pytest.mark.parametrize(
    "typed", ["", "lea_enroll_wrong", 'x"\\ url=file:///etc/passwd']
)
def test_another_token_gets_no_script(machine, typed):
    run = machine.read_from(typed.encode())

    assert_not_run(machine, run, "401", "check token and address")


def test_a_server_that_is_away_is_told(machine, front, token):
    with front.closed():
        run = machine.read_from(token.encode())

    assert_not_run(machine, run, "curl: (7)")


def test_ctrl_c_at_the_question_leaves_a_terminal_that_echoes(machine):
    with machine.asked() as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        exit_code, _ = machine.ended(process)

    assert exit_code != 0 and not machine.state.exists()


# As text


def test_it_is_one_line_without_a_secret():
    command = setup_command(ADDRESS)

    assert command.isascii() and command.isprintable()
    assert f" u={ADDRESS};" in command and "lea_" not in command


def test_a_shell_that_takes_it_literally_is_given_no_quote_in_a_quote():
    """csh, fish and zsh: nothing between the quotes means something to them."""
    before, inner, after = setup_command(ADDRESS).split("'")

    assert (before, after) == ("sudo sh -c ", " lea")
    assert "!" not in inner and "\\\\" not in inner and "\\'" not in inner


@pytest.mark.parametrize("severity", ["style", "warning"])
def test_shellcheck_finds_no_fault(severity):
    inner = setup_command(ADDRESS).split("'")[1].encode()
    # A function that only uninstall.sh calls is worth a note.
    script = inner if severity == "style" else enroll_script()
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", f"--severity={severity}", "-"],
        input=script,
        stdout=subprocess.PIPE,
    )

    assert done.returncode == 0, done.stdout.decode()


def test_the_script_is_in_one_file():
    script = enroll_script().decode()

    assert script.startswith("#!/bin/sh\n") and script.endswith("\nenroll\n")
    assert '. "$here/lea-fleet.sh"' not in script
    assert script.count("\numask 077\n") == script.count("\nask() {\n") == 1


# The ZIP


@pytest.fixture
def kit(server, front, tmp_path, token):
    """The kit of a ZIP, as unzip lays it down."""
    wanted = {"token": token, "url": front.url}
    answered = server.operator.post("/installer-kit", wanted)
    assert answered.status_code == 200
    archive = tmp_path / "kit.zip"
    archive.write_bytes(answered.data)
    (folder,) = {name.split("/")[0] for name in zipfile.ZipFile(archive).namelist()}
    subprocess.run(["unzip", "-q", archive, "-d", tmp_path], check=True)
    return tmp_path / folder


@pytest.mark.skipif(not shutil.which("unzip"), reason="there is no unzip")
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_scripts_of_the_zip_enroll_and_uninstall(kit, shell, server, tmp_path):
    machine_id, state = f"PC-{uuid4()}", tmp_path / "state"
    environment = {"PATH": os.environ["PATH"], "LEA_STATE_DIR": str(state)}
    run = [shutil.which(shell[0]), *shell[1:]]

    enrolled = subprocess.run(
        [*run, kit / "enroll.sh", "--machine-id", machine_id], env=environment
    )
    assert enrolled.returncode == 0
    held = (state / "agent-token.txt").read_text().strip()
    assert Api(server.client, held).post("/heartbeat").status_code == 200
    subprocess.run([*run, kit / "uninstall.sh"], env=environment, check=True)

    assert events(server, machine_id) == ["enrolled", "uninstalled"]


@pytest.mark.skipif(not shutil.which("unzip"), reason="there is no unzip")
def test_unzip_makes_the_scripts_executable_and_the_token_private(kit):
    assert os.access(kit / "enroll.sh", os.X_OK)
    assert os.access(kit / "uninstall.sh", os.X_OK)
    assert (kit / "lea-enroll-token.txt").stat().st_mode & 0o777 == 0o600


def test_the_same_kit_is_the_same_file_again(server, front, token):
    wanted = {"token": token, "url": front.url}
    first, second = (server.operator.post("/installer-kit", wanted) for _ in "12")

    assert first.data == second.data
    assert zipfile.ZipFile(BytesIO(first.data)).testzip() is None
