"""What the doctor says of the machines."""

from __future__ import annotations

import pytest

from tests.cli.doctor.calling import STRONG_TOKEN, call, only, troubles
from tests.support.fleets import fill


def test_the_machines_are_counted(app, operator, the_clock):
    for machine in ("PC-1", "PC-2", "PC-3"):
        operator.enroll(machine)
    operator.uninstall("PC-3")

    assert call(app)["machines"]["detail"] == (
        "2 active (2 online, 0 offline, 0 stale), 1 uninstalled"
    )


def test_machines_that_went_silent_long_ago(app, operator, the_clock):
    operator.enroll("PC-1")
    operator.enroll("PC-2")
    the_clock.advance(days=15)
    operator.enroll("PC-3")

    found = only(call(app), "stale", "warning")

    assert found["detail"] == "2 machines"
    assert "flask fleet list --presence stale" in found["action"]
    assert "flask fleet prune" in found["action"]


def test_imported_machines_that_wait_for_their_setup_are_counted_apart(
    app, operator, the_clock, tmp_path
):
    """For months perhaps, and none of them went silent or lost its token.

    Any valid installer may claim them meanwhile.
    """
    operator.get("/fleet")  # begins the database
    export = tmp_path / "machines.csv"
    export.write_text("machine_id\n" + "".join(f"PC-{n}\n" for n in range(10)))
    imported = ["fleet", "import", str(export), "--yes"]
    assert app.test_cli_runner().invoke(args=imported).exit_code == 0

    for silence in ({}, {"days": 1}, {"days": 99}):
        the_clock.advance(**silence)
        found = call(app)
        assert troubles(found) == {}
        assert found["machines"]["detail"] == (
            "10 active (0 online, 0 offline, 0 stale, 10 pending), 0 uninstalled"
        )
        assert found["pending"]["detail"].startswith("10 imported and never seen; ")

    operator.enroll("PC-3")
    assert call(app)["machines"]["detail"] == (
        "10 active (1 online, 0 offline, 0 stale, 9 pending), 0 uninstalled"
    )
    the_clock.advance(days=15)
    assert only(call(app), "stale", "warning")["detail"] == "1 machines"


@pytest.mark.parametrize("machines", [1, 9, 12])
@pytest.mark.parametrize("silence", [{"minutes": 30}, {"hours": 13}, {"days": 13}])
def test_office_pcs_that_are_switched_off_are_no_finding(
    app, operator, the_clock, machines, silence
):
    """The doctor runs in the morning, before anybody is there."""
    for number in range(machines):
        operator.enroll(f"PC-{number}")
    the_clock.advance(**silence)

    found = call(app)

    assert troubles(found) == {}
    told = f"{machines} of {machines}, without the stale ones"
    assert found["offline"]["detail"] == told


def test_suspected_clones(app, operator):
    for number in range(7):
        agent = operator.enroll(f"PC-{number}", hostname="A")
        for hostname in ("B", "A"):
            agent.heartbeat(hostname=hostname)

    found = only(call(app), "clones", "warning")

    assert found["detail"].startswith("7 suspected")
    assert "PC-0, PC-1, " in found["detail"]
    assert "PC-4 and 2 more" in found["detail"]
    assert "flask fleet events MACHINE" in found["action"]


def test_machines_that_others_have_replaced(app, operator, the_clock):
    for number in range(5):
        operator.enroll(f"-OLD {number}", hostname=f"H-{number}")
    the_clock.advance(days=1)
    for number in range(5):
        operator.enroll(f"NEW-{number}", hostname=f"h-{number}")

    found = only(call(app), "duplicates", "warning")

    told = "5 seem to have been replaced: -OLD 0 by NEW-0, -OLD 1 by NEW-1, "
    assert found["detail"] == f"{told}-OLD 2 by NEW-2 and 2 more"
    assert found["action"].endswith("flask fleet replace -- '-OLD 0' NEW-0")


def test_machines_without_a_token(app, operator, engine):
    fill(engine, [{"machine_id": f"OLD-{number}"} for number in range(3)])

    found = call(app)["tokens"]

    assert found["level"] == "warning"
    assert found["detail"] == "3 active machines have none: OLD-0, OLD-1, OLD-2"
    assert "flask fleet release --without-token" in found["action"]


def test_a_machine_that_is_released_will_get_its_token(app, engine, the_clock):
    fill(engine, [{"machine_id": "OLD", "enrolled_at": the_clock.iso()}])
    released = ["fleet", "release", "OLD"]
    assert app.test_cli_runner().invoke(args=released).exit_code == 0

    assert troubles(call(app)) == {}
    the_clock.advance(hours=25)
    assert only(call(app), "tokens", "warning")


def test_machines_without_a_token_where_all_share_one(make_app, operator, engine):
    fill(engine, [{"machine_id": "OLD"}])
    app = make_app(RPA_API_TOKEN=STRONG_TOKEN, LEA_FLEET_ISSUE="shared")

    assert call(app)["tokens"]["level"] == "ok"


def test_what_a_machine_is_called_may_be_anything(app, operator, alter):
    alter(
        "DELETE FROM enrolled_agents",
        "INSERT INTO enrolled_agents (machine_id, enrolled_at) VALUES"
        " (x'ff00', x'ff'), (7, 8), ('\u202e', 'never')",
    )

    found = call(app)

    assert found["tokens"]["detail"].startswith("3 active machines have none: ")
    assert "\\u202e" in found["tokens"]["detail"]
    assert found["machines"]["detail"].startswith("3 active")


def test_machines_that_were_refused_within_the_last_day(app, operator, the_clock):
    operator.enroll("PC-1")
    first, second = operator.installer(), operator.installer()
    assert call(app)["refused"]["detail"] == "no machine within the last day"
    for installer in (first, second):
        installer.post("/enroll", {"machine_id": "PC-1"})
    first.post("/enroll", {"machine_id": "A/B"})

    found = only(call(app), "refused", "warning")
    assert found["detail"] == "2 machines within the last day"
    assert found["action"].endswith("flask fleet refused --since 1d")

    the_clock.advance(days=2)
    assert call(app)["refused"]["level"] == "ok"
