"""Count the Python calls of a request in the package, and the files they are in.

Unlike a time, a count is the same in every run. The figures are for Python 3.11: later
versions call no function for a comprehension.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import lea_fleet
from tests.support.api import OPERATOR_TOKEN, Api

_PACKAGE = str(Path(lea_fleet.__file__).parent)
_DETAILS = {"hostname": "PARIS-1", "user_name": "Zoé Lefèvre"}


class Count(NamedTuple):
    calls: int
    files: int


#: The maximum for each request. Eleven calls of an enrollment look at the WAL and the
#: path after the commit, and take turns with other writers; ten bring its id and
#: details into the form that is stored. Two of each request find a host's CSRFProtect.
BARS = {
    "Fresh heartbeat": Count(42, 20),
    "Enrollment by the operator": Count(122, 28),
    "Enrollment by an installer with a key": Count(176, 31),
    "Page of 50, q finds one of eight": Count(114, 26),
}


def counts(app):
    """Return the count of each request in :data:`BARS`, in an empty fleet of *app*.

    The change log must be switched off: its lines would be counted too.
    """
    operator = Api(app.test_client(), OPERATOR_TOKEN)
    agents = [operator.enroll(f"PC-{n}", hostname=f"PARIS-{n}") for n in range(1, 9)]
    installer = operator.installer()
    enrolled = iter(range(100))

    def enroll(caller, **headers):
        body = {"machine_id": f"NEW-{next(enrolled)}", **_DETAILS}
        return caller.post("/enroll", body, headers=headers)

    requests = {
        "Fresh heartbeat": lambda: agents[0].post("/heartbeat", {}),
        "Page of 50, q finds one of eight": lambda: operator.get(
            "/fleet?limit=50&totals=0&q=PARIS-1"
        ),
        "Enrollment by the operator": lambda: enroll(operator),
        "Enrollment by an installer with a key": lambda: enroll(
            installer, **{"Idempotency-Key": f"key-{next(enrolled)}"}
        ),
    }
    counted = {}
    for name, request in requests.items():
        request()  # not counted: what is done once for each process
        counted[name] = count(request)
    return {name: counted[name] for name in BARS}


def count(request):
    """Return the calls and files of *request*, whose response must be a success."""
    codes = []

    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            codes.append(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        answer = request()
    finally:
        sys.setprofile(before)
    assert answer.status_code in (200, 201), answer.text
    return Count(len(codes), len({code.co_filename for code in codes}))
