"""A computer that has a shell: the kit on it, what the scripts store, and how they end.

Whatever a script does in a test, it says no secret: see Computer.run.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lea_fleet

KIT = Path(lea_fleet.__file__).parent / "installer"
SCRIPTS = ("enroll.sh", "uninstall.sh", "lea-fleet.sh")
PLACEHOLDER = "https://rpa.example.com/api/v1/agents"

#: Every shell that is here, of those the scripts are for.
SHELLS = [
    shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])
]

#: All that the scripts call, besides curl.
PROGRAMS = (
    "awk cat chmod chown date dirname id ln ls mkdir mv od readlink rm rmdir sed sleep"
    " tr uname"
).split()

_DEADLINE = 60  # seconds
_SECRETS = ("agent-token.txt", "enroll-key.txt")

#: In the place of curl: gets no answer in all the seconds that it is given, in no time.
SLOW_CURL = """while [ "$1" != --max-time ]; do shift; done
echo "$2" >>"$LEA_TEST_FOLDER/limits"
echo "000 $2.004"
exit 28
"""

_SLEEP = 'echo "$1" >>"$LEA_TEST_FOLDER/pauses"\n'


@dataclass(frozen=True)
class Run:
    exit_code: int
    output: str


class Computer:
    """A computer in *folder* that runs the scripts with *shell*.

    The kit there is for the server at *url*. ``sleep`` takes no time; *pauses* are
    the seconds that it was asked for.
    """

    def __init__(self, folder, shell, url, machine_id):
        self.kit, self.state = folder / "kit", folder / "state"
        self.machine_id = machine_id
        self.shell = shell
        self._folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir(parents=True)
        self._secrets = set()
        self.environment = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "LEA_STATE_DIR": str(self.state),
            "LEA_TEST_FOLDER": str(folder),
            "no_proxy": "127.0.0.1",
        }
        self.kit.mkdir()
        for name in SCRIPTS:
            text = (KIT / name).read_text("utf-8").replace(PLACEHOLDER, url)
            (self.kit / name).write_text(text, "utf-8")
        if shell[0] == "busybox":  # with its own programs, where there are no others
            for program in PROGRAMS:
                (self._programs / program).symlink_to(shutil.which("busybox"))
        self.replace("sleep", _SLEEP)

    @property
    def pauses(self):
        return [int(line) for line in self.noted("pauses")]

    @property
    def limits(self):
        """The seconds that each call of SLOW_CURL was given."""
        return [int(line) for line in self.noted("limits")]

    @property
    def stored(self):
        """The names of the files in the state folder; work in progress is one too."""
        return {path.name for path in self.state.iterdir()}

    @property
    def error(self):
        return self.read("enroll-last-error.txt")

    @property
    def token(self):
        return self.read("agent-token.txt")

    def read(self, name):
        """Return the text that a file of the state folder holds, or None."""
        path = self.state / name
        return path.read_text("utf-8").rstrip("\n") if path.is_file() else None

    def give(self, token):
        """Lay an enrollment token beside the scripts."""
        (self.kit / "lea-enroll-token.txt").write_text(f"{token}\n", "utf-8")
        self._secrets.update(token.split())

    def replace(self, program, script):
        """Put a shell script in the place of a program."""
        path = self._programs / program
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}", "utf-8")
        path.chmod(0o755)

    def restore(self, program):
        (self._programs / program).unlink()
        if self.shell[0] == "busybox":
            (self._programs / program).symlink_to(shutil.which("busybox"))

    def noted(self, name):
        """Return the lines that a replaced program has left in that file."""
        path = self._folder / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def leave_only(self, *programs):
        """Let there be no other programs than these."""
        for program in programs:
            if not (self._programs / program).exists():
                (self._programs / program).symlink_to(shutil.which(program))
        self.environment["PATH"] = str(self._programs)

    def enroll(self, *options, **environment):
        """Run enroll.sh as this machine, and with *options* that may say otherwise."""
        machine = ["--machine-id", self.machine_id] if self.machine_id else []
        return self.run("enroll.sh", *machine, *options, **environment)

    def uninstall(self, *options, **environment):
        return self.run("uninstall.sh", *options, **environment)

    def run(self, script, *options, **environment):
        return self.finish(self.start(script, *options, **environment))

    def start(self, script, *options, **environment):
        return subprocess.Popen(
            [*map(shutil.which, self.shell[:1]), *self.shell[1:], self.kit / script]
            + list(options),
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def finish(self, process):
        """Wait for the end; no secret that was or is stored may have been said."""
        self._secrets.update(filter(None, map(self.read, _SECRETS)))
        output, _ = process.communicate(timeout=_DEADLINE)
        self._secrets.update(filter(None, map(self.read, _SECRETS)))
        said = output + (self.error or "")
        assert not [secret for secret in self._secrets if secret in said]
        assert not re.search(r"lea_(agent|enroll)_", said)
        return Run(process.returncode, output)


def rows(server, query, *values):
    """Return what the server's database answers."""
    with closing(sqlite3.connect(server.database)) as connection, connection:
        return connection.execute(query, values).fetchall()


def row(server, machine_id):
    """Return the machine's row as a dictionary."""
    with closing(sqlite3.connect(server.database)) as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT * FROM enrolled_agents WHERE machine_id = ?"
        return dict(connection.execute(query, (machine_id,)).fetchone())


def events(server, machine_id):
    """Return what happened to a machine, the first thing first."""
    query = "SELECT event FROM lea_fleet_events WHERE machine_id = ? ORDER BY id"
    return [event for (event,) in rows(server, query, machine_id)]
