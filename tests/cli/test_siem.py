"""The recipes for a SIEM in operations.rst, typed as they stand there."""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
from queue import Queue
from threading import Thread

import pytest
from docutils import nodes

from tests.support import docs
from tests.support.api import OPERATOR_TOKEN

_DEADLINE = 60  # seconds
SECTION = docs.section(docs.parse(docs.OPERATIONS), "History, and a SIEM")
BLOCKS = [block.astext() for block in SECTION.findall(nodes.literal_block)]

#: Of a syslog message: what stands before the text.
_HEAD = re.compile(r"<38>1 \S+ \S+ lea-fleet \S+ - \[.*?\] ")


class Receiver:
    """A syslog server on a port of its own, and the lines that it has received."""

    def __init__(self, protocol):
        lines = self.lines = Queue()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    lines.put(line.decode())

        class Datagrams(socketserver.DatagramRequestHandler):
            def handle(self):
                lines.put(self.rfile.read().decode())

        if protocol == "tcp":
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
        else:
            server = socketserver.UDPServer(("127.0.0.1", 0), Datagrams)
            server.max_packet_size = 65_536
        self.port = server.server_address[1]
        self._server = server
        self._thread = Thread(target=server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def events(self, count):
        """Return that many events, once they have come."""
        for _ in range(count):
            line = self.lines.get(timeout=_DEADLINE)
            head = _HEAD.match(line)
            assert head, line
            yield json.loads(line[head.end() :])


@pytest.fixture(params=["tcp", "udp"])
def receiver(request):
    receiver = Receiver(request.param)
    receiver.protocol = request.param
    yield receiver
    receiver.close()


@pytest.fixture
def start(engine, tmp_path):
    """Run a shell command with the program in place of ``flask`` until the end."""
    started = []

    def start(command):
        flask = f"{sys.executable} -m flask --app lea_fleet"
        command = re.sub(r"\S*flask --app your_host", flask, command)
        process = subprocess.Popen(
            ["sh", "-c", command],
            env={**os.environ, "RPA_API_TOKEN": OPERATOR_TOKEN, **engine.environment},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_DEADLINE)
        process.stdout.close()


def longest_event(operator):
    """Let the longest event happen; return its id."""
    astral = 255 * "\U0001f600"
    names = ("hostname", "user_name", "user_email", "user_id")
    machine = 128 * "\U00020000"
    agent = operator.enroll(machine, **dict.fromkeys(names, astral))
    agent.heartbeat(**dict.fromkeys(names, astral[1:] + "\U0001f601"))
    return operator.get("/events?limit=1").json["events"][0]["id"]


def test_logger_sends_each_event_whole(operator, engine, receiver, start):
    (command,) = (block for block in BLOCKS if "| logger" in block)
    operator.enroll("PC-1", version="Zoé's\n")
    longest = longest_event(operator)
    engine.wait_for_others()
    command = command.replace("--follow", "--follow --from beginning")
    command = command.replace("siem.example.com", "127.0.0.1")
    command = command.replace("--tcp --port 514", f"--{receiver.protocol} --port")

    start(f"{command} {receiver.port}")
    sent = [*receiver.events(3)]
    operator.uninstall("PC-1")
    sent += receiver.events(1)

    for event in sent:
        event.pop("position")
    assert sent == operator.get("/events").json["events"][::-1]
    assert sent[2]["id"] == longest


def test_the_longest_line_is_as_long_as_the_page_says(operator, engine, run):
    longest_event(operator)
    engine.wait_for_others()
    (said,) = re.findall(r"longest line has ([\d,]+) characters", SECTION.astext())

    lines = run("events", "--from", "beginning", "--jsonl").stdout.splitlines()

    assert 0.95 < max(map(len, lines)) / int(said.replace(",", "")) <= 1


def test_the_unit_of_systemd_prints_what_happens_and_goes_on(
    operator, engine, start, tmp_path
):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    (text,) = (block for block in BLOCKS if "ExecStart" in block)
    unit.read_string(text.replace("\\\n", ""))
    command = " ".join(unit["Service"]["ExecStart"].split())
    folder = f"/var/lib/{unit['Service']['StateDirectory']}"
    assert folder in command
    command = f"exec {command.replace(folder, str(tmp_path))}"
    operator.enroll("PC-1")
    engine.wait_for_others()

    first = start(command)
    assert json.loads(first.stdout.readline())["machine_id"] == "PC-1"
    while not (tmp_path / "siem.position").read_text().strip():
        pass
    first.send_signal(signal.SIGKILL)
    operator.enroll("PC-2")
    engine.wait_for_others()

    again = start(command)
    machines = []
    while machines[-1:] != ["PC-2"]:
        machines.append(json.loads(again.stdout.readline())["machine_id"])
    assert machines in (["PC-2"], ["PC-1", "PC-2"])
