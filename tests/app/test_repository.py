"""The repository that hosts call from Python, without HTTP.

It has the method names of the older server's registry.
"""

from __future__ import annotations

import gc
import weakref

import pytest

from lea_fleet import (
    AgentRepository,
    AlreadyEnrolled,
    FleetFilter,
    InvalidField,
    LeaFleet,
    ReactivationRefused,
    UnknownAgent,
    new_agent_token,
    new_enrollment_token,
)
from tests.support.api import Api
from tests.support.fleets import get_db
from tests.support.processes import in_processes

DETAILS = {
    "user_name": "Zoé Lefèvre",
    "user_email": "zoe@exemple.fr",
    "user_id": "AIVA-001",
    "hostname": "PC-COMPTA-01",
    "os_info": "Windows 11 Pro 10.0.22631",
    "version": "1.3.1",
}


@pytest.fixture
def repository(app, the_clock):
    with app.app_context():
        yield LeaFleet().repository


def test_a_host_is_given_one_on_the_connection_of_its_context(app):
    with app.app_context():
        repository = LeaFleet().repository

        assert isinstance(repository, AgentRepository)
        assert repository.connection is get_db()


def test_what_the_host_enrolls_is_in_the_fleet(app, operator):
    with app.app_context():
        LeaFleet().repository.enroll("PC-1", **DETAILS)

    assert operator.machine("PC-1")["user_name"] == "Zoé Lefèvre"


def test_what_a_host_writes_in_a_transaction_of_its_own_is_one(app, operator, engine):
    """The end of the context rolls it back if the host has not committed it."""
    with app.app_context():
        get_db().execute(engine.begin)
        LeaFleet().repository.enroll("PC-1")
        assert LeaFleet().repository.get("PC-1")

    assert operator.get("/fleet").json["totals"]["total"] == 0


# What the API can, too


def test_pages_of_a_listing_come_to_its_end_once_each(repository, the_clock):
    for number in range(5):
        repository.enroll(f"PC-{number}")
    repository.uninstall("PC-1")
    wanted = FleetFilter(sort="-machine_id")
    cursor, pages = None, []

    while len(pages) < 10:
        agents, cursor = repository.listing.page(wanted, limit=2, cursor=cursor)
        pages.append([agent["machine_id"] for agent in agents])
        if cursor is None:
            break

    assert pages == [["PC-4", "PC-3"], ["PC-2", "PC-0"], ["PC-1"]]
    assert agents[0] == repository.get("PC-1")


def test_a_page_is_the_apis_but_for_tags_and_notes(repository, operator):
    for number in range(3):
        repository.enroll(f"PC-{number}", version=str(number % 2))
    wanted = FleetFilter(version="0", sort="machine_id")

    page = repository.listing.page(wanted, limit=1)
    answer = operator.get("/fleet?version=0&sort=machine_id&limit=1").json

    shown = [{**agent, "tags": [], "note": None} for agent in page.agents]
    assert (shown, page.next_cursor) == (answer["active"], answer["next_cursor"])
    assert repository.listing.totals(wanted) == answer["totals"]


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (FleetFilter(), {"limit": 0}),
        (FleetFilter(sort="status"), {"limit": 1}),
        (FleetFilter(), {"limit": 1, "cursor": "nonsense"}),
    ],
)
def test_what_is_no_page_is_a_value_error(repository, wanted, options):
    with pytest.raises(ValueError, match="not"):
        repository.listing.page(wanted, **options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"presence": "online"},
        {"presence": ("Online",)},
        {"presence": ("online", "gone")},
        {"status": "Active"},
        {"silent_for": -1},
        {"silent_for": float("nan")},
        {"silent_for": 1e30},
    ],
    ids=str,
)
def test_a_filter_that_no_machine_could_match_is_a_value_error(wrong):
    """It would be a fleet without machines, or of another size, in silence."""
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        FleetFilter(**wrong)


@pytest.mark.parametrize("limit", [0, -1, -2])
def test_a_page_of_events_has_at_least_one(repository, limit):
    repository.enroll("PC-1")

    with pytest.raises(ValueError, match="limit"):
        repository.events.page("PC-1", limit=limit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime": 0},
        {"lifetime": -60},
        {"lifetime": float("inf")},
        {"lifetime": 1e30},
        {"max_uses": 0},
        {"max_uses": 1_000_001},
        {"token": "lea_enroll_"},
        {"token": "lea_enroll_guessed"},
        {"token": "lea_agent_" + 43 * "x"},
    ],
    ids=str,
)
def test_an_enrollment_token_that_the_api_would_not_make_is_not_stored(
    repository, wrong
):
    given = {"label": "a", "lifetime": 60, "max_uses": 1, **wrong}
    token = given.pop("token", new_enrollment_token())

    with pytest.raises(ValueError, match="token"):
        repository.enrollment_tokens.create(token, **given)

    assert repository.enrollment_tokens.list() == []


def test_a_listing_follows_the_clock_in_one_context(repository, the_clock):
    """Of a context that lives long, such as a thread of the host's."""
    repository.enroll("PC-1")
    stale = FleetFilter(presence=("stale",))
    assert repository.listing.page(stale, limit=1).agents == []

    the_clock.advance(days=30)

    assert len(repository.listing.page(stale, limit=1).agents) == 1


@pytest.mark.parametrize("give", ["rotate_token", "replace_token"])
def test_a_token_that_could_never_be_used_is_not_stored(repository, give):
    """Or that is short enough to be guessed."""
    repository.enroll("PC-1")
    before = repository.events.page("PC-1", limit=9)

    for token in ("of-the-host", "lea_agent_", "lea_agent_guessed"):
        with pytest.raises(ValueError, match="new_agent_token"):
            getattr(repository, give)("PC-1", token)
    with pytest.raises(ValueError):
        repository.enrollment_tokens.create(
            "of-the-host", label="", lifetime=None, max_uses=1
        )

    assert repository.events.page("PC-1", limit=9) == before
    assert repository.enrollment_tokens.list() == []
    assert repository.tokens.dates(repository.get("PC-1")) is None


def test_a_token_that_a_host_issues_enrolls_and_works(repository, client):
    secret, token = new_enrollment_token(), new_agent_token()
    repository.enrollment_tokens.create(secret, label="a", lifetime=60, max_uses=1)
    repository.enroll("PC-1")
    repository.replace_token("PC-1", token)

    assert Api(client, token).post("/heartbeat").status_code == 200
    assert Api(client, secret).enroll("PC-2").heartbeat().status_code == 200


def test_an_unknown_machine_is_none(repository):
    assert repository.get("PC-1") is None


def test_a_new_machine_is_enrolled(repository, the_clock):
    status, agent = repository.enroll("PC-1", **DETAILS)

    assert status == "enrolled"
    assert agent == repository.get("PC-1")
    assert agent == {
        "id": 1,
        "machine_id": "PC-1",
        **DETAILS,
        "status": "active",
        "enrolled_at": the_clock.iso(),
        "last_seen_at": the_clock.iso(),
        "uninstalled_at": None,
        "uninstall_reason": None,
        "presence": "online",
        "suspected_clone": False,
    }


def test_a_machine_that_was_uninstalled_keeps_what_is_not_given(repository, the_clock):
    repository.enroll("PC-1", **DETAILS)
    repository.uninstall("PC-1", "moved")
    the_clock.advance(days=1)

    status, agent = repository.enroll("PC-1", version="1.4.0", hostname=None)

    assert status == "reactivated"
    assert agent == {
        "id": 1,
        "machine_id": "PC-1",
        **DETAILS,
        "version": "1.4.0",
        "status": "active",
        "enrolled_at": the_clock.iso(),
        "last_seen_at": the_clock.iso(),
        "uninstalled_at": None,
        "uninstall_reason": None,
        "presence": "online",
        "suspected_clone": False,
    }


def test_an_active_machine_is_not_enrolled_again(repository):
    repository.enroll("PC-1")

    with pytest.raises(AlreadyEnrolled):
        repository.enroll("PC-1", hostname="another")
    assert repository.get("PC-1")["hostname"] is None


def test_of_processes_that_enroll_one_machine_one_does(app, operator):
    assert operator.get("/fleet").status_code == 200  # the tables are there
    names = [f"PC-{number}" for number in range(100)]

    def enroll_them_all():
        with app.app_context():
            return sum(enrolls(LeaFleet().repository, name) for name in names)

    def enrolls(repository, name):
        try:
            return repository.enroll(name).status == "enrolled"
        except AlreadyEnrolled:
            return False

    assert sum(in_processes(*[enroll_them_all] * 4)) == len(names)


def test_a_reactivation_may_be_forbidden(repository):
    repository.enroll("PC-1")
    repository.uninstall("PC-1")

    with pytest.raises(ReactivationRefused):
        repository.enroll("PC-1", allow_reactivate=False)
    assert repository.get("PC-1")["status"] == "uninstalled"


@pytest.mark.parametrize("machine_id", ["", "  ", "x" * 129, "a/b", "a\nb", ".."])
def test_a_machine_id_that_cannot_be_is_refused(repository, machine_id):
    with pytest.raises(InvalidField) as refused:
        repository.enroll(machine_id)

    assert [e["field"] for e in refused.value.members["errors"]] == ["machine_id"]
    assert repository.count_by_status() == {"active": 0, "uninstalled": 0}


def test_a_detail_that_does_not_exist_is_an_error_of_the_caller(repository):
    with pytest.raises(TypeError, match="colour"):
        repository.enroll("PC-1", colour="blue", hostname="PC")

    assert repository.get("PC-1") is None


def test_an_uninstall_is_noted_once(repository, the_clock):
    repository.enroll("PC-1")
    the_clock.advance(hours=1)
    first = repository.uninstall("PC-1", "moved")
    the_clock.advance(hours=1)

    assert first["status"] == first["presence"] == "uninstalled"
    assert first["uninstall_reason"] == "moved"
    assert repository.uninstall("PC-1", "again") == first == repository.get("PC-1")


def test_an_uninstall_needs_no_reason(repository):
    repository.enroll("PC-1")

    assert repository.uninstall("PC-1")["uninstall_reason"] is None


def test_an_unknown_machine_is_not_uninstalled(repository):
    with pytest.raises(UnknownAgent):
        repository.uninstall("PC-1")


def test_lists_and_counts_are_by_status_and_newest_first(repository, the_clock):
    for number in range(5):
        repository.enroll(f"PC-{number}")
        if number % 2:  # so that some have the same timestamp
            the_clock.advance(minutes=1)
    repository.uninstall("PC-1")
    repository.uninstall("PC-3")

    def listed(status):
        return [agent["machine_id"] for agent in repository.list_by_status(status)]

    assert listed("active") == ["PC-4", "PC-2", "PC-0"]
    assert listed("uninstalled") == ["PC-3", "PC-1"]
    assert repository.count_by_status() == {"active": 3, "uninstalled": 2}


def test_machines_of_one_moment_are_listed_the_last_one_first(repository):
    for name in ("PC-b", "PC-a", "PC-c"):
        repository.enroll(name)

    listed = [agent["machine_id"] for agent in repository.list_by_status("active")]
    assert listed == ["PC-c", "PC-a", "PC-b"]


def test_an_empty_fleet_has_counts(repository):
    assert repository.list_by_status("active") == []
    assert repository.count_by_status() == {"active": 0, "uninstalled": 0}


# Marking as seen


def seen(repository):
    return repository.get("PC-1")["last_seen_at"]


def test_a_machine_is_seen(repository, the_clock):
    repository.enroll("PC-1", **DETAILS)
    before = repository.get("PC-1")
    the_clock.advance(minutes=1)

    repository.touch_last_seen("PC-1")

    assert repository.get("PC-1") == {**before, "last_seen_at": the_clock.iso()}


def test_nothing_is_said_about_an_unknown_machine(repository, engine):
    assert repository.count_by_status() == {"active": 0, "uninstalled": 0}

    with engine.being_written():  # it waits for no writer
        assert repository.touch_last_seen("PC-1") is None

    assert repository.count_by_status() == {"active": 0, "uninstalled": 0}


def test_an_uninstalled_machine_is_seen_and_stays_uninstalled(repository, the_clock):
    repository.enroll("PC-1")
    repository.uninstall("PC-1")
    the_clock.advance(minutes=1)

    repository.touch_last_seen("PC-1")

    assert seen(repository) == the_clock.iso()
    assert repository.get("PC-1")["status"] == "uninstalled"


@pytest.mark.parametrize("status", ["active", "uninstalled"])
@pytest.mark.parametrize(("seconds", "written"), [(0, False), (14, False), (15, True)])
def test_what_is_fresh_is_not_written_again(
    repository, the_clock, seconds, written, status
):
    repository.enroll("PC-1")
    if status == "uninstalled":
        repository.uninstall("PC-1")
    before = seen(repository)
    the_clock.advance(seconds=seconds)

    repository.touch_last_seen("PC-1")

    assert (seen(repository) != before) is written


def test_how_fresh_is_for_the_settings_to_say(make_app, the_clock):
    with make_app(LEA_FLEET_HEARTBEAT_RESOLUTION="0s").app_context():
        repository = LeaFleet().repository
        repository.enroll("PC-1")
        the_clock.advance(milliseconds=1)
        repository.touch_last_seen("PC-1")

        assert seen(repository) == the_clock.iso()


def test_a_clock_that_was_set_back_does_not_keep_a_machine_online(
    repository, the_clock
):
    repository.enroll("PC-1")
    the_clock.advance(hours=-1)

    repository.touch_last_seen("PC-1")

    assert seen(repository) == the_clock.iso()


def test_a_machine_that_was_never_seen_is(repository, engine, the_clock):
    repository.enroll("PC-1")
    engine.execute("UPDATE enrolled_agents SET last_seen_at = NULL")

    repository.touch_last_seen("PC-1")

    assert seen(repository) == the_clock.iso()


def test_a_repository_keeps_nothing_alive_once_it_is_dropped(app, engine):
    """A host may make one for each question: neither unit nor dialect may pile up."""
    with app.app_context():
        get_db()  # makes the tables
    with engine.opened_by_host() as connection:
        gc.collect()
        gc.disable()
        try:
            units = []
            for _ in range(3):
                repository = AgentRepository(connection)
                assert repository.list_by_status("active") == []
                units.append(weakref.ref(repository.unit))
                dialect = repository.unit.dialect
                del repository
        finally:
            gc.enable()

        assert [unit() for unit in units] == [None] * 3
        assert AgentRepository(connection).unit.dialect is dialect
