"""What deployment.rst says about services is run as it stands, but for the folders."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import docs
from tests.support.api import Api
from tests.support.docs import free_port
from tests.support.server import TcpClient, wait_until_it_listens

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def page():
    return docs.parse(docs.DEPLOYMENT)


@pytest.fixture
def place(page):
    """The folders of the page, below one of the test; its settings are there.

    In /tmp, since the path of a socket has at most 107 bytes.
    """
    section = docs.section(page, "A service on Linux (systemd)")
    settings, unit = docs.blocks(section, "ini")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    (folder / "srv/rpa/data/databases").mkdir(parents=True)
    (folder / "srv/rpa/.venv").mkdir()
    (folder / "srv/rpa/.venv/bin").symlink_to(PROGRAMS)
    (folder / "run/lea-fleet").mkdir(parents=True)
    (folder / "etc/lea-fleet").mkdir(parents=True)
    (folder / "etc/lea-fleet/environment").write_text(here(folder, settings))
    (folder / "lea-fleet.service").write_text(here(folder, unit))
    yield folder
    shutil.rmtree(folder)


def here(folder, text):
    return re.sub("/(srv/|etc/lea|run/lea)", rf"{folder}/\1", text)


def settings_in(place):
    lines = (place / "etc/lea-fleet/environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@contextmanager
def started(command, folder, settings, log=None):
    """Run the server *command* on a free port; yield a client of it."""
    port = free_port()
    command = re.sub(r"127\.0\.0\.1:8000", f"127.0.0.1:{port}", command)
    process = subprocess.Popen(
        shlex.split(command),
        cwd=folder,
        env=docs.environment(**settings),
        stderr=log,
    )
    try:
        wait_until_it_listens(process, port)
        yield TcpClient(port)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def service(place):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(place / "lea-fleet.service")
    return unit["Service"]


def test_the_unit_starts_a_server_with_the_settings(place, service):
    settings = settings_in(place)
    assert service["EnvironmentFile"] == str(place / "etc/lea-fleet/environment")
    folder = service["WorkingDirectory"]

    with started(service["ExecStart"], folder, settings) as client:
        operator = Api(client, settings["RPA_API_TOKEN"])
        assert operator.enroll("PC-1").heartbeat().status_code == 200

    database = Path(settings["RPA_AGENTS_DB_PATH"])
    assert database.is_relative_to(service["ReadWritePaths"]) and database.exists()


def test_the_server_needs_no_folder_that_the_unit_closes(place, service):
    """gunicorn makes a socket, by default in the home folder."""
    name, _, folder = service["Environment"].partition("=")
    assert folder == str(place / "run" / service["RuntimeDirectory"])
    closed = {"HOME": str(place / "lea-fleet.service"), name: folder}
    log = place / "log"

    with log.open("w") as output:
        given = settings_in(place) | closed
        where = service["WorkingDirectory"], given, output
        with started(service["ExecStart"], *where) as client:
            assert client.open("/fleet").status_code == 200

    assert "Listening at" in log.read_text()
    assert "ERROR" not in log.read_text()


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)
def test_systemd_finds_no_fault_in_the_unit(place):
    command = ["systemd-analyze", "verify", "--man=no", place / "lea-fleet.service"]
    checked = subprocess.run(command, capture_output=True, text=True)

    assert [line for line in checked.stderr.splitlines() if "lea-fleet" in line] == []


def test_the_commands_run_with_the_services_settings(place, page):
    section = docs.section(page, "A service on Linux (systemd)")
    *_, command = docs.blocks(section, "sh")
    command = here(place, command).replace("sudo -u rpa ", "")
    settings = settings_in(place)
    begin = [PROGRAMS / "flask", "fleet", "token", "create"]
    subprocess.run(begin, env=docs.environment(**settings), check=True)

    checked = subprocess.run(
        ["sh", "-c", command], env=docs.environment(), capture_output=True, text=True
    )

    for key in ("RPA_AGENTS_DB_PATH", "LEA_FLEET_STALE_AFTER"):
        assert f"{key}={settings[key]}" in checked.stdout, checked.stderr


def test_the_service_is_installed_from_a_clone(page):
    """No package index has it: pip finds nothing there, or what somebody else put."""
    section = docs.section(page, "A service on Linux (systemd)")
    install, *_ = docs.blocks(section, "sh")

    (command,) = (line for line in install.splitlines() if "pip install" in line)
    assert shlex.split(command)[-1] == ".[server]"


def scheduled():
    """Yield what cron and NRPE run by operations.rst, as ``sh`` gets it."""
    page = docs.parse(docs.OPERATIONS)
    for title in ("Health check (doctor)", "Backup, restore and move"):
        for block in docs.blocks(docs.section(page, title), "sh"):
            yield from re.findall(r"^[\d *]+ rpa (.+)$", block, re.MULTILINE)
            yield from re.findall(r"sudo -u rpa sh -c '(.+)'$", block, re.MULTILINE)


def test_scheduled_commands_run_with_the_services_settings(place):
    """Cron has a short PATH and no setting of the service."""
    folder, written = place / "srv/rpa", place / "etc/lea-fleet/environment"
    folder.joinpath("backups").mkdir()
    lines = re.sub("(?m)^RPA_API_TOKEN=.*", "RPA_API_TOKEN=weak", written.read_text())
    written.write_text(lines)  # a finding, of which a mail tells
    settings = settings_in(place)
    begin = [PROGRAMS / "flask", "fleet", "token", "create"]
    subprocess.run(begin, env=docs.environment(**settings), check=True)
    commands = [here(place, line).replace("\\%", "%") for line in scheduled()]

    assert len(commands) == 4
    for command in commands:
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env={**docs.environment(), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert ran.stderr == ""
        if "doctor" in command:
            assert "LEA_FLEET_STALE_AFTER=30d" in ran.stdout
    (copy,) = folder.joinpath("backups").iterdir()
    assert re.fullmatch(r"rpa_data-[1-7]\.db", copy.name)


def test_waitress_serves_the_fleet(tmp_path, page):
    section = docs.section(page, "A service on Windows (waitress)")
    (command,) = docs.blocks(section, "bat")
    command = command.replace(".venv\\Scripts\\", f"{PROGRAMS}/")
    settings = {
        "RPA_API_TOKEN": "change-me",
        "RPA_AGENTS_DB_PATH": str(tmp_path / "rpa.db"),
    }

    with started(command, tmp_path, settings) as client:
        assert Api(client, "change-me").enroll("PC-1").heartbeat().status_code == 200


def test_the_commands_for_windows_are_commands(tmp_path, page):
    """What follows ``flask`` is the same in each shell; the quotes are too."""
    section = docs.section(page, "Commands on Windows")
    blocks = docs.blocks(section, "powershell") + docs.blocks(section, "bat")
    lines = [line for block in blocks for line in block.splitlines()]
    words = [shlex.split(line.replace("\\", "/")) for line in lines if "flask" in line]
    settings = docs.environment(RPA_API_TOKEN="change-me")
    settings["RPA_AGENTS_DB_PATH"] = str(tmp_path / "rpa.db")

    commands = [typed[1:] for typed in words if typed[-1] != "run"]
    assert len(commands) == 5
    for command in sorted(commands, key=lambda command: "create" not in command):
        called = [PROGRAMS / "flask", *command]
        done = subprocess.run(
            called, cwd=tmp_path, env=settings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
