"""Where 0.1.0 goes on writing a file that the fleet has left, its tokens come over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.support.api import OPERATOR_TOKEN, Api, assert_problem
from tests.support.moves import moved, operator_of

#: Run by 0.1.0 on the file that is closed.
LATE = """
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
print("late", post("/enroll", {"machine_id": "late"})["api_token"])
post("/heartbeat", {"version": "2"}, sys.argv[2])
post("/uninstall", {"machine_id": "used"}, sys.argv[3])
print("rotated", post("/machines/rotated/token", {}, sys.argv[4])["api_token"])
app.extensions["lea_fleet"].connections.close_idle()
"""


def test_what_0_1_0_wrote_late_is_valid_on_the_new_side(
    made, packages, sqlite_file, postgresql_schema
):
    known = made[1]
    sqlite_file.path.parent.mkdir()
    shutil.copy(made[0], sqlite_file.path)
    moved(sqlite_file, postgresql_schema)

    written = [known[name] for name in ("unused", "used", "rotated")]
    told = subprocess.run(
        [sys.executable, "-c", LATE, str(packages), *written],
        env={
            **os.environ,
            "PYTHONPATH": str(packages),
            "RPA_API_TOKEN": OPERATOR_TOKEN,
            "RPA_AGENTS_DB_PATH": str(sqlite_file.path),
        },
        cwd=sqlite_file.path.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    issued = dict(line.split() for line in told.splitlines())
    brought = moved(sqlite_file, postgresql_schema, "--again")["brought"]

    assert {each["outcome"] for each in brought} <= {"added", "updated", "kept", "left"}
    with operator_of(postgresql_schema) as operator:
        for token in [*issued.values(), known["unused"]]:
            assert Api(operator.client, token).post("/heartbeat").status_code == 200
        gone = Api(operator.client, known["used"]).post("/heartbeat")
        assert_problem(gone, 401, "agent_uninstalled", "reenroll")
        # A rotation replaces the former token as soon as the new one is used.
        former = Api(operator.client, known["rotated"]).post("/heartbeat")
        assert former.status_code == 401
        assert operator.machine("unused")["version"] == "2"
        assert operator.get("/machines/late/events").json["events"]
    assert moved(sqlite_file, postgresql_schema, "--again")["brought"] == []
