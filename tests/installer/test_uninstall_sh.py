"""uninstall.sh, in every shell there is: the server is told, and no uninstall fails."""

from __future__ import annotations

import shutil

import pytest

from tests.installer.faulty import answer, bad_gateway, hang, lose, redirect
from tests.installer.posix import PROGRAMS, SLOW_CURL, events, row

KEPT = {"agent-token.txt", "machine-id.txt"}


@pytest.fixture
def enrolled(computer, front):
    """A computer that is enrolled; its requests from now on are counted."""
    assert computer.enroll().exit_code == 0
    front.requests.clear()
    return computer


def assert_gone(computer, server, run, reason="uninstalled"):
    """The server was told, and nothing is left on the computer."""
    assert run.exit_code == 0, run.output
    assert not computer.state.exists()
    agent = row(server, computer.machine_id)
    assert (agent["status"], agent["uninstall_reason"]) == ("uninstalled", reason)
    assert events(server, computer.machine_id) == ["enrolled", "uninstalled"]


def assert_kept(computer, run, *words):
    """The server was not told; the identity is kept for a later installation."""
    assert run.exit_code == 0
    assert computer.stored == KEPT
    for word in words:
        assert word in run.output


def test_it_tells_the_server_and_leaves_nothing(enrolled, server, front):
    run = enrolled.uninstall()

    assert_gone(enrolled, server, run)
    assert len(front.requests) == 1


def test_it_says_why(enrolled, server):
    reason = 'It\'s "over" \\ 100% 🤖' + "é" * 600

    assert_gone(enrolled, server, enrolled.uninstall("--reason", reason), reason[:500])


def test_files_of_others_are_left_alone(enrolled):
    (enrolled.state / "notes").write_text("mine")

    enrolled.uninstall()

    assert enrolled.stored == {"notes"}


def test_it_tells_the_server_that_enrolled_it_or_the_one_it_is_told(
    enrolled, server, front
):
    url = front.url
    (enrolled.state / "server-url.txt").write_text("http://127.0.0.1:9\n")
    assert_kept(enrolled, enrolled.uninstall(), "http://127.0.0.1:9")

    (enrolled.state / "server-url.txt").write_text("http://127.0.0.1:9\n")
    assert_gone(enrolled, server, enrolled.uninstall("--url", f"{url}/"))


@pytest.mark.parametrize(
    "fault",
    [answer(503, retry_after=30), bad_gateway, lose],
    ids=["503", "502", "lost"],
)
def test_it_asks_once_more(enrolled, server, front, fault):
    front.then(fault)

    assert_gone(enrolled, server, enrolled.uninstall())
    assert len(front.requests) == 2
    assert enrolled.pauses == [1]


def test_it_asks_no_third_time(enrolled, front):
    front.always(bad_gateway)

    assert_kept(enrolled, enrolled.uninstall(), "HTTP 502")
    assert len(front.requests) == 2


def test_with_no_server_the_next_installation_finds_its_identity(
    enrolled, server, front
):
    token = enrolled.token
    with front.closed():
        assert_kept(enrolled, enrolled.uninstall(), "No response from")

    assert enrolled.enroll("--version", "2").exit_code == 0
    assert enrolled.token == token
    assert events(server, enrolled.machine_id) == ["enrolled"]
    assert row(server, enrolled.machine_id)["version"] == "2"


def test_a_server_that_hangs_delays_it_for_8_seconds_at_most(enrolled):
    enrolled.replace("curl", SLOW_CURL)

    assert_kept(enrolled, enrolled.uninstall(), "No response from")
    assert len(enrolled.limits) == 2 and min(enrolled.limits) > 0
    assert sum(enrolled.limits) + sum(enrolled.pauses) <= 8


def test_a_server_that_hangs_once_is_asked_once_more(enrolled, server, front):
    curl = shutil.which("curl")
    enrolled.replace(  # the same curl, with 1 second instead of 4
        "curl",
        'for word; do shift; [ "$word" != 4 ] || word=1; set -- "$@" "$word"; done\n'
        f'exec {curl} "$@"\n',
    )
    front.then(hang)

    assert_gone(enrolled, server, enrolled.uninstall())


def test_one_that_the_server_has_uninstalled_already_is_gone(enrolled, server):
    server.operator.uninstall(enrolled.machine_id, reason="sold")

    assert_gone(enrolled, server, enrolled.uninstall(), "sold")


def test_an_identity_that_is_over_is_not_kept(enrolled, front):
    body = '{"code": "agent_uninstalled", "action": "reenroll"}'
    front.always(answer(401, body, "application/problem+json"))

    assert enrolled.uninstall().exit_code == 0
    assert not enrolled.state.exists()


STRANGE = [
    redirect(308, "/elsewhere"),
    answer(200, "<html>Please sign in</html>", "text/html"),
    answer(401, '{"code": "invalid_token", "action": "ask_operator"}'),
    answer(404),
]


def test_any_other_answer_ends_no_identity(enrolled, front):
    for fault in STRANGE:
        front.then(fault)
        assert_kept(enrolled, enrolled.uninstall(), "HTTP ")
    assert len(front.requests) == len(STRANGE)


def test_an_enrollment_that_had_no_answer_is_not_forgotten(computer, server, front):
    front.then(lose)
    computer.enroll(LEA_PATIENCE="0")
    key = computer.read("enroll-key.txt")

    run = computer.uninstall()

    assert run.exit_code == 0
    assert computer.stored == {"enroll-key.txt", "machine-id.txt"}
    assert len(front.requests) == 1
    assert computer.enroll().exit_code == 0
    assert front.requests[-1].headers["Idempotency-Key"] == key
    assert events(server, computer.machine_id) == ["enrolled", "token_revoked"]


def test_what_a_killed_run_left_goes_too(enrolled, server):
    (enrolled.state / ".work.7").mkdir()
    (enrolled.state / ".work.7" / "answer").write_text("a token")
    (enrolled.state / ".agent-token.txt.new").write_text("another")
    (enrolled.state / "enroll.lock").symlink_to("7")

    assert_gone(enrolled, server, enrolled.uninstall())


def test_one_that_was_never_enrolled_is_no_failure(computer, front):
    assert computer.uninstall().exit_code == 0
    assert not computer.state.exists() and not front.requests


def test_a_wrong_option_is_no_failure(enrolled, server):
    run = enrolled.uninstall("nonsense", "--nonsense", "--version=1", "--reason")

    assert_gone(enrolled, server, run, None)
    for word in ("nonsense", "--nonsense", "--version"):
        assert f"unknown option: {word}" in run.output


def test_help_does_nothing(enrolled, front):
    run = enrolled.uninstall("--help")

    assert run.exit_code == 0
    for option in ("--reason", "--url", "--state-dir"):
        assert option in run.output
    assert enrolled.token and not front.requests


def test_without_curl_it_is_no_failure(enrolled):
    enrolled.leave_only(*PROGRAMS)

    assert_kept(enrolled, enrolled.uninstall(), "No response from")


def test_without_its_other_half_it_is_no_failure(enrolled):
    (enrolled.kit / "lea-fleet.sh").unlink()

    assert enrolled.uninstall().exit_code == 0
    assert enrolled.token


@pytest.mark.parametrize("program", ["awk", "mkdir", "od", "rm", "sleep"])
def test_whatever_fails_the_uninstall_does_not(enrolled, front, program):
    front.then(bad_gateway)
    enrolled.replace(program, "exit 1\n")

    assert enrolled.uninstall().exit_code == 0
