"""An import in a process of its own: others write meanwhile, and it may be ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from lea_fleet.cli.import_command import LINES
from tests.support.api import OPERATOR_TOKEN
from tests.support.processes import heed_interrupts

COUNT = 10 * LINES
_DEADLINE = 120  # seconds

_IMPORTED = "SELECT id FROM lea_fleet_events WHERE event = 'imported'"
_RELEASED = (
    "SELECT count(*) FROM enrolled_agents JOIN lea_fleet_releases"
    " USING (machine_id, enrolled_at)"
)


@pytest.fixture
def start(engine, tmp_path):
    """Import a file of COUNT machines in another process; yield what runs.

    The fleet has been begun, without machines.
    """
    engine.make_tables()

    @contextmanager
    def start():
        path = tmp_path / "machines.csv"
        names = "".join(f"PC-{number};Zoé\n" for number in range(COUNT))
        path.write_text(f"machine_id;user_name\n{names}", encoding="cp1252")
        words = ("fleet", "import", str(path), "--yes", "--json")
        with subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "lea_fleet", *words],
            env={
                **os.environ,
                "RPA_API_TOKEN": OPERATOR_TOKEN,
                **engine.environment,
                "FLASK_LEA_FLEET_BUSY_TIMEOUT": f"{_DEADLINE}s",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


def stop_half_way(engine, process):
    """Stop the process between its first write and its last.

    A lock that it would wait for does not do: SQLite keeps no queue of those who
    wait, and an import can be over before anybody else gets its turn.
    """
    deadline = time.monotonic() + _DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        if one(engine, "SELECT count(*) FROM enrolled_agents"):
            process.send_signal(signal.SIGSTOP)
            return
    raise AssertionError("the import wrote nothing, or was over at once")


def one(engine, query):
    return engine.execute(query)[0][0]


def outcomes(stdout):
    said = json.loads(stdout)
    return {name: said[name] for name in ("imported", "unchanged", "refused")}


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_what_is_ended_half_way_keeps_what_it_did_and_is_completed(
    start, engine, ending
):
    with start() as process:
        stop_half_way(engine, process)
        process.send_signal(ending)
        process.send_signal(signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=_DEADLINE)
        done = one(engine, "SELECT count(*) FROM enrolled_agents")

    assert (stdout, "Traceback" in stderr) == ("", False)
    if ending == signal.SIGINT:
        assert process.returncode == 1
        assert "Run it again for the rest." in stderr
    assert done % LINES == 0 and 0 < done < COUNT
    assert one(engine, f"SELECT count(*) FROM ({_IMPORTED})") == done
    assert one(engine, _RELEASED) == done

    with start() as process:
        stdout, stderr = process.communicate(timeout=_DEADLINE)

    assert (process.returncode, stderr) == (0, "")
    expected = {"imported": COUNT - done, "unchanged": done, "refused": 0}
    assert outcomes(stdout) == expected
    assert one(engine, _RELEASED) == COUNT
    assert one(engine, f"SELECT count(*) FROM ({_IMPORTED})") == COUNT


def test_the_server_is_not_kept_waiting_and_nothing_is_lost(start, engine, operator):
    agent = operator.enroll("before")
    enrolled = []
    with start() as process:
        while process.poll() is None:
            enrolled.append(f"OTHER-{len(enrolled)}")
            operator.enroll(enrolled[-1])  # which is a 201
            assert agent.heartbeat(version=str(len(enrolled))).status_code == 200
        stdout, stderr = process.communicate(timeout=_DEADLINE)

    assert (process.returncode, stderr) == (0, "")
    assert outcomes(stdout) == {"imported": COUNT, "unchanged": 0, "refused": 0}
    total = one(engine, "SELECT count(*) FROM enrolled_agents")
    assert total == COUNT + len(enrolled) + 1
    between = one(
        engine,
        "SELECT count(*) FROM lea_fleet_events WHERE event = 'enrolled' AND id BETWEEN"
        f" (SELECT min(id) FROM ({_IMPORTED})) AND (SELECT max(id) FROM ({_IMPORTED}))",
    )
    assert between > 0
