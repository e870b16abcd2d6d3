"""A database that lea_fleet 0.1.0 has made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api import OPERATOR_TOKEN

WHEEL = Path(__file__).parents[1] / "support/data/lea_fleet-0.1.0-py3-none-any.whl"

#: Run by 0.1.0 to make the file: machines in every state.
FLEET = """
import sys
from lea_fleet import create_app
assert sys.argv[1] in sys.modules["lea_fleet"].__file__
app = create_app()
client = app.test_client()
def post(path, body, token="operator-token-of-the-tests"):
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.post("/api/v1/agents" + path, json=body, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return answer.json
installer = post("/enrollment-tokens", {"label": "all"})["token"]
for name in ("used", "unused", "rotated", "departed", "released"):
    answer = post("/enroll", {"machine_id": name, "hostname": name}, installer)
    token = answer["api_token"]
    if name != "unused":
        post("/heartbeat", {"version": "1"}, token)
    if name == "rotated":
        token = post("/machines/rotated/token", {})["api_token"]
    if name == "departed":
        post("/uninstall", {"machine_id": name}, token)
    if name == "released":
        post("/machines/released/release", {})
    print(name, token)
app.extensions["lea_fleet"].connections.close_idle()
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with 0.1.0 installed, and nothing else."""
    folder = tmp_path_factory.mktemp("0.1.0")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-compile", "--target", folder]
    subprocess.run([*pip, *options, WHEEL], check=True)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, packages):
    """A database made by 0.1.0, and the token of each machine in it."""
    database = tmp_path_factory.mktemp("made") / "rpa_data.db"
    told = subprocess.run(
        [sys.executable, "-c", FLEET, str(packages)],
        env={
            **os.environ,
            "PYTHONPATH": str(packages),
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            "RPA_AGENTS_DB_PATH": str(database),
        },
        cwd=database.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return database, dict(line.split() for line in told.splitlines())
