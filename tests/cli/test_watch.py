"""``flask fleet list --watch``: on a terminal that is one, until Ctrl-C."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from fcntl import ioctl

import pytest

from tests.support.api import OPERATOR_TOKEN
from tests.support.fleets import fill
from tests.support.processes import heed_interrupts

_DEADLINE = 60  # seconds
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
CODES = re.compile(r"\x1b\[[?;0-9]*[A-Za-z]")


class Screen:
    """A program on a terminal of its own, and what it has written there so far."""

    def __init__(self, *words, lines, columns, **variables):
        self.written = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        unset = ("COLUMNS", "LINES", "NO_COLOR")
        kept = {name: os.environ[name] for name in os.environ if name not in unset}
        flask = [sys.executable, "-m", "flask", "--app", "lea_fleet", "fleet"]
        # Whoever has no terminal gets the first one that it opens, and Ctrl-C with it.
        opening = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave)]
        self.process = subprocess.Popen(
            [*opening, *flask, *words],
            env={**kept, "TERM": "xterm", **variables},
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        self._slave = slave

    def wait_for(self, *texts):
        """Read until a picture shows all of *texts*; return its lines."""
        deadline = time.monotonic() + _DEADLINE
        while not all(text in self.picture() for text in texts):
            assert time.monotonic() < deadline, self.written
            assert self._read(), self.written
        return self.picture().splitlines()

    def picture(self):
        """Return the newest picture that is complete, as plain text."""
        pictures = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.written, re.DOTALL)
        return CODES.sub("", pictures[-1]).replace("\r", "") if pictures else ""

    def type(self, keys):
        os.write(self._master, keys)

    def end(self):
        """Wait for the end; return the exit code."""
        code = self.process.wait(_DEADLINE)
        while select.select([self._master], [], [], 0)[0] and self._read():
            pass
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_DEADLINE)
        os.close(self._slave)
        os.close(self._master)

    def _read(self):
        """Read some more; tell whether there was any."""
        if not select.select([self._master], [], [], _DEADLINE)[0]:
            return False
        self.written += self._decode(os.read(self._master, 65536))
        return True


@pytest.fixture
def start(engine):
    """Start ``flask fleet`` with these words on a terminal."""
    screens = []

    def start(*words, lines=24, columns=80, **variables):
        settings = {"RPA_API_TOKEN": OPERATOR_TOKEN, **engine.environment}
        screens.append(
            Screen(*words, lines=lines, columns=columns, **{**settings, **variables})
        )
        return screens[-1]

    yield start
    for screen in screens:
        screen.close()


@pytest.fixture
def watch(start):
    """Watch the list, drawn every second."""

    def watch(*words, **options):
        return start("list", "--watch", "--interval", "1s", *words, **options)

    return watch


@contextmanager
def locked(engine, app):
    """Let nobody else even read the database."""
    app.extensions["lea_fleet"].store.close_idle()
    with engine.being_rewritten():
        yield


def fleet_of(count):
    return [{"machine_id": f"PC-{n:03}"} for n in range(count)]


def test_a_machine_that_appears_is_there_in_the_next_picture(watch, operator):
    operator.enroll("PC-1")
    screen = watch()
    screen.wait_for("PC-1", "1 machine: 1 active")

    operator.enroll("PC-2", user_name="Zoé")
    lines = screen.wait_for("PC-2", "Zoé", "2 machines: 2 active")

    assert lines[0].endswith(" UTC, every 1 s until Ctrl-C")
    heading = "MACHINE USER HOSTNAME VERSION PRESENCE LAST SEEN"
    assert lines[2].split() == heading.split()
    operator.uninstall("PC-1")
    lines = screen.wait_for("1 uninstalled")
    assert "PC-1" not in "".join(lines)


def test_ctrl_c_ends_it_with_exit_code_0_and_gives_the_screen_back(watch, operator):
    operator.enroll("PC-1")
    screen = watch()
    screen.wait_for("PC-1")

    screen.type(b"\x03")

    assert screen.end() == 0
    assert screen.written.count(ENTER) == screen.written.count(LEAVE) == 1
    after = screen.written.partition(LEAVE)[2]
    assert CODES.sub("", after) == ""  # no traceback, no "Aborted!"
    assert "\x1b[?25h" in screen.written and "\x1b[?7h" in screen.written


def test_ctrl_c_while_it_waits_for_the_database_ends_it_too(
    watch, operator, engine, app
):
    operator.enroll("PC-1")
    with locked(engine, app):
        screen = watch(FLASK_LEA_FLEET_BUSY_TIMEOUT="1s")
        # Not in the first picture: CPython 3.11 ends with the signal, although the
        # exception is handled, if it comes while a module that calls exec() is loaded.
        screen.wait_for("Error: ")
        time.sleep(1.5)  # the next picture begins after one second
        screen.type(b"\x03")

        assert screen.end() == 0
    assert screen.written.count(LEAVE) == 1
    assert "Aborted" not in screen.written and "Traceback" not in screen.written


def test_nothing_is_cleared_and_nothing_scrolls(watch, operator):
    """What is drawn over itself does not flicker."""
    operator.enroll("PC-1")
    screen = watch()
    screen.wait_for("PC-1")
    operator.enroll("PC-2")
    screen.wait_for("PC-2")

    assert "\x1b[2J" not in screen.written
    pictures = re.findall(r"\x1b\[H(.*?)\x1b\[J", screen.written, re.DOTALL)
    assert len(pictures) >= 2
    assert all(picture.count("\n") < 24 for picture in pictures)


@pytest.mark.parametrize("lines", [10, 24])
def test_it_fits_the_screen_and_says_how_many_more_there_are(watch, engine, lines):
    fill(engine, fleet_of(100))

    shown = watch(lines=lines, columns=60).wait_for("100 machines")

    machines = [line for line in shown if line.startswith("PC-")]
    assert len(shown) == lines - 1
    assert f"… and {100 - len(machines)} more" in shown
    assert all(len(line) <= 60 for line in shown[:-1])


def test_a_screen_of_a_few_lines_is_no_fault(watch, engine):
    fill(engine, fleet_of(5))

    screen = watch(lines=4)

    assert "MACHINE" in "".join(screen.wait_for("UTC"))
    screen.type(b"\x03")
    assert screen.end() == 0


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--limit", "30"], "… and 13 more"),
        (["--limit", "17"], None),
        (["--status", "uninstalled"], None),
        (["--search", "pc-00"], None),
        (["--status", "all"], "… and 84 more"),
    ],
    ids=str,
)
def test_the_other_options_narrow_it(watch, engine, words, more):
    fill(engine, [*fleet_of(100), {"machine_id": "PC-x", "status": "uninstalled"}])

    shown = watch(*words).wait_for(" machine")

    assert [line for line in shown if line.startswith("… and")] == (
        [] if more is None else [more]
    )


def test_a_fault_is_shown_and_watched_until_it_is_over(watch, operator, engine, app):
    operator.enroll("PC-1")
    app.extensions["lea_fleet"].store.close_idle()
    with engine.missing():
        screen = watch(columns=200)
        screen.wait_for(f"Error: {engine.says_absent}")

    screen.wait_for("PC-1", "1 machine: 1 active")
    engine.execute("ALTER TABLE enrolled_agents RENAME COLUMN os_info TO system")
    screen.wait_for("Error:", "os_info")

    screen.type(b"\x03")
    assert screen.end() == 0
    assert "Traceback" not in screen.written


def test_a_locked_database_is_a_fault_that_passes(watch, operator, engine, app):
    operator.enroll("PC-1")
    with locked(engine, app):
        screen = watch(FLASK_LEA_FLEET_BUSY_TIMEOUT="0s", columns=200)
        screen.wait_for(f"Error: {engine.says_busy}")

    screen.wait_for("PC-1", "1 machine: 1 active")


def test_between_two_pictures_the_database_is_anybodys(watch, operator, database, app):
    """The picture is drawn when the database is let go."""
    operator.enroll("PC-1")
    app.extensions["lea_fleet"].store.close_idle()
    screen = watch("--interval", "1h")
    screen.wait_for("PC-1")

    open_files = os.listdir(f"/proc/{screen.process.pid}/fd")
    paths = [os.readlink(f"/proc/{screen.process.pid}/fd/{n}") for n in open_files]
    assert not [path for path in paths if str(database) in path]


def test_what_a_machine_says_moves_no_cursor(watch, operator):
    operator.enroll("PC-1", user_name="a\x1b[2Jb", hostname="\x1b[?1049l")

    screen = watch(columns=200)

    screen.wait_for("a\\x1b[2Jb", "\\x1b[?1049l")
    assert LEAVE not in screen.written and "\x1b[2J" not in screen.written


def test_colours_are_as_in_the_list(watch, engine):
    long_ago = "2020-01-01T00:00:00+00:00"
    row = {"machine_id": "PC-1", "enrolled_at": long_ago, "last_seen_at": long_ago}
    fill(engine, [row])
    coloured, plain = watch(), watch(NO_COLOR="1")

    for screen in (coloured, plain):
        screen.wait_for("PC-1")
    assert "\x1b[31m" in coloured.written
    assert "\x1b[31m" not in plain.written and ENTER in plain.written


@pytest.mark.parametrize("words", [["--watch"], ["--watch", "--interval", "1s"]])
def test_without_a_terminal_it_is_a_wrong_option(app, operator, words):
    operator.enroll("PC-1")

    result = app.test_cli_runner().invoke(args=["fleet", "list", *words])

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: --watch needs a terminal.\n")


def test_a_terminal_that_knows_no_codes_is_none(start, operator):
    operator.enroll("PC-1")
    screen = start("list", "--watch", TERM="dumb")

    assert screen.end() == 2
    assert "--watch needs a terminal." in screen.written


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--interval", "5s"], "--interval needs --watch"),
        (["--watch", "--interval", "0s"], "must be longer than 0 seconds"),
        (["--watch", "--interval", "never"], "must be a duration such as 12h or 14d"),
        (["--watch", "--interval", "25h"], "must be at most 1d"),
        (["--watch", "--interval", ""], "--interval"),
        (["--watch", "--interval", "\udc80"], "--interval"),
        (["--watch", "--json"], "one of --json, CSV and --watch"),
        (["--watch", "--csv"], "one of --json, CSV and --watch"),
        (["--watch", "--semicolon"], "one of --json, CSV and --watch"),
    ],
    ids=str,
)
def test_what_cannot_be_is_exit_code_2(app, operator, words, complaint):
    result = app.test_cli_runner().invoke(args=["fleet", "list", *words])

    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
