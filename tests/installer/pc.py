"""An employee's PC, on which the kit's example is installed by its real setup.exe."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.resources import files

from tests.installer.wine import Windows
from tests.support.api import Api

KIT = files("lea_fleet") / "installer"
PLACEHOLDER = "https://rpa.example.com/api/v1/agents"

APP = r"C:\Program Files\Lea"
STATE = APP + r"\fleet"
ERROR = APP + r"\enroll-last-error.txt"
TOKEN_FILE = r"Z:\work\lea-enroll-token.txt"


def compile_kit(windows, script, **defines):
    """Compile *script*, which may include the kit; return the setup.exe."""
    for part in KIT.iterdir():
        shutil.copy(part, windows.work)
    path = windows.work / "Script.iss"
    path.write_text(script, "utf-8-sig")
    return windows.compile(path, **defines)


def example(version="1.4.0", url="{param:LEAURL}", before=""):
    """Return the kit's example, for a server that the command line names.

    *before* goes before the line that includes the kit.
    """
    script = (KIT / "Example.iss").read_text("utf-8")
    script = script.replace("AppVersion=1.4.0", f"AppVersion={version}")
    script = script.replace(PLACEHOLDER, url)
    return script.replace("#include", f"{before}\n#include")


class Pc(Windows):
    """A PC, and what an administrator does on it with *setup*, a setup.exe."""

    def __init__(self, folder, setup, url, ca="", bits=32):
        super().__init__(folder, ca, bits)
        self.url = url
        self.tokens = set()  # that no log may name
        self.take(setup)

    def take(self, setup):
        """Bring another setup.exe to the PC, in place of the one before."""
        self.setup = self.work / "lea-setup.exe"
        shutil.copy(setup, self.setup)

    def hand(self, token):
        """Put an enrollment token beside the setup.exe."""
        self.tokens.add(token)
        self.path(TOKEN_FILE).write_text(token, "utf-8")

    def take_away(self):
        """Take the enrollment token from beside the setup.exe, and return it."""
        path = self.path(TOKEN_FILE)
        token = path.read_text("utf-8")
        path.unlink()
        return token

    def set_up(self, *parameters, url=None, patience=20, env=None):
        """Run the setup.exe; return how it ended."""
        run = self.install(
            self.setup,
            f"/LEAURL={url or self.url}",
            f"/LEAPATIENCE={patience}",
            *parameters,
            env=env,
        )
        self._check(run)
        return run

    def remove(self, *parameters):
        """Run the uninstaller; return how it ended."""
        run = self.uninstall(APP, *parameters)
        self._check(run)
        return run

    def kept(self, name):
        """Return the line of a file that the PC keeps, or None."""
        path = self.path(STATE) / f"{name}.txt"
        return path.read_text("utf-8").removesuffix("\n") if path.is_file() else None

    @property
    def token(self):
        return self.kept("agent-token")

    @property
    def error(self):
        """What a person finds after a failure, or None."""
        path = self.path(ERROR)
        return path.read_text("utf-8-sig") if path.exists() else None

    @property
    def is_installed(self):
        return (self.path(APP) / "unins000.exe").exists()

    def agent(self, server):
        """Return the agent that runs on this PC, at *server*."""
        return Api(server.client, self.token)

    def _check(self, run):
        """Assert what holds whatever happens: no token is in a log."""
        if self.token:
            self.tokens.add(self.token)
        for token in self.tokens:
            assert token not in run.log + run.output + (self.error or "")


def rows(server, query):
    """Return what the server's database says."""
    with closing(sqlite3.connect(server.database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def machines(server):
    return rows(server, "SELECT * FROM enrolled_agents ORDER BY id")


def happened(server):
    """Return what happened to machines, in order."""
    found = rows(server, "SELECT event, detail, machine_id FROM lea_fleet_events")
    return [event["event"] for event in found if event["machine_id"]]


def details(server, event):
    """Return what is told of the one event of that name."""
    found = rows(server, f"SELECT detail FROM lea_fleet_events WHERE event='{event}'")
    assert len(found) == 1
    return json.loads(found[0]["detail"])
