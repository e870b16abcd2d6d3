"""GET /fleet of a large fleet on a real server: its memory does not grow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.engines import SqliteFile
from tests.support.fleets import fill
from tests.support.server import running_server

MACHINES = 40_000

#: Bytes that a server may grow by. The response alone has 18 MB; rows and
#: dictionaries of as many machines take 75 MB.
ROOM = 32 * 1024 * 1024 * MACHINES // 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    fill(
        SqliteFile(folder / "rpa_data.db"),
        (
            {
                "machine_id": f"AIVA-PC-{number:06}",
                "user_name": f"Zoé Lefèvre {number}",
                "user_email": f"zoe.lefevre.{number}@example.fr",
                "hostname": f"COMPTA-{number}",
                "os_info": "Windows 11 Pro 23H2",
                "version": f"1.{number % 9}.0",
                "status": "uninstalled" if number % 5 == 0 else "active",
            }
            for number in range(MACHINES)
        ),
    )
    with running_server(folder, "--workers", "1") as server:
        yield server


def most_memory(server):
    """Return the peak memory of the server's worker, in bytes."""
    process = server.process.pid
    children = Path(f"/proc/{process}/task/{process}/children").read_text()
    (worker,) = children.split()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.parametrize(
    "query", ["", "?format=csv", "?sort=-user_name", "?q=ZO%C3%89"], ids=str
)
def test_the_whole_fleet_is_answered_in_flat_memory(server, query):
    server.operator.get("/fleet?limit=1000")
    before = most_memory(server)

    response = server.operator.get(f"/fleet{query}")

    assert response.text.count("AIVA-PC-") == MACHINES
    assert most_memory(server) - before < ROOM
