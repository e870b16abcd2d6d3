"""enroll.sh, in every shell there is, against the real server in its own processes.

By way of a server with faults, where that is the point. What it did is looked up in
the server's database and in the computer's state folder.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import stat
import sys
from itertools import accumulate, chain
from uuid import uuid4

import pytest

from tests.installer.faulty import answer, bad_gateway, hang, lose, redirect
from tests.installer.posix import PROGRAMS, SLOW_CURL, events, row, rows
from tests.support.api import Agent, Api

IDENTITY = {
    "agent-token.txt",
    "heartbeat-interval.txt",
    "machine-id.txt",
    "server-url.txt",
}
HTML = ("<html>Please sign in to the network</html>", "text/html")


def agent_on(computer, server):
    """Return the agent as it finds itself on the computer."""
    machine_id = computer.read("machine-id.txt")
    return Agent(server.client, {"api_token": computer.token, "machine_id": machine_id})


def assert_enrolled(computer, server, run, happened=("enrolled",)):
    """The run went well, the machine has this history, and its token beats."""
    assert run.exit_code == 0, run.output
    assert computer.stored == IDENTITY
    agent = agent_on(computer, server)
    assert agent.heartbeat().status_code == 200
    assert events(server, agent.machine_id) == list(happened)


def assert_failed(computer, run, exit_code, *words):
    """The run ended so, and the file that a person finds says why, and what to do."""
    assert run.exit_code == exit_code, run.output
    assert run.output.endswith(f"{computer.error}\n")
    for word in (computer.machine_id, "What to do: ", *words):
        assert word in computer.error
    assert mode(computer, "enroll-last-error.txt") == 0o644


def mode(computer, name):
    """Return who may read a file of the state folder."""
    return stat.S_IMODE((computer.state / name).stat().st_mode)


# Installed


def test_an_installation_leaves_a_row_an_event_and_a_token(computer, server):
    run = computer.enroll("--version", "1.3.1", "--user-name=Zoé", "--user-email", "z@")

    assert_enrolled(computer, server, run)
    agent = row(server, computer.machine_id)
    assert (agent["user_name"], agent["user_email"]) == ("Zoé", "z@")
    assert (agent["version"], agent["user_id"]) == ("1.3.1", None)
    assert agent["hostname"] == os.uname().nodename
    assert os.uname().release in agent["os_info"]


def test_what_it_stores_is_there_for_the_agent_and_the_token_for_nobody_else(
    computer, front
):
    computer.enroll()

    modes = {name: mode(computer, name) for name in computer.stored}
    assert modes.pop("agent-token.txt") == 0o600
    assert set(modes.values()) == {0o644}
    assert mode(computer, ".") == 0o755
    assert computer.read("machine-id.txt") == computer.machine_id
    assert computer.read("server-url.txt") == front.url
    assert 60 <= int(computer.read("heartbeat-interval.txt")) <= 66  # with jitter


def test_the_files_belong_to_the_agents_user(computer):
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()

    computer.enroll("--agent-user", user)

    assert {path.owner() for path in computer.state.iterdir()} == {user}


@pytest.fixture
def open_handed():
    """Let the files of whoever does not care be anybody's."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_token_is_never_readable_to_others_not_even_for_a_moment(
    computer, open_handed
):
    note = 'ls -ld "$2" "$LEA_STATE_DIR"/.work.* >>"$LEA_TEST_FOLDER/seen"\n'
    computer.replace("chmod", f'{note}exec {shutil.which("chmod")} "$@"\n')

    computer.enroll()

    seen = [line.split() for line in computer.noted("seen")]
    modes = {words[-1].rsplit("/", 1)[1]: words[0] for words in seen}
    work = [name for name in modes if name.startswith(".work.")]
    assert [modes[name] for name in work] == ["drwx------"]
    assert modes[".agent-token.txt.new"] == modes[".enroll-key.txt.new"] == "-rw-------"


def test_the_token_beside_the_script_comes_before_the_one_in_the_environment(
    computer, server
):
    run = computer.enroll("--token", "typed", LEA_ENROLL_TOKEN="of-the-environment")

    assert_enrolled(computer, server, run)


def test_the_one_in_the_environment_comes_before_a_typed_one(computer, server):
    computer.give("")

    token = server.operator.installer().token
    run = computer.enroll("--token", "typed", LEA_ENROLL_TOKEN=token)

    assert_enrolled(computer, server, run)


def test_a_typed_one_will_do(computer, server):
    computer.give("")

    assert_enrolled(
        computer, server, computer.enroll("--token", server.operator.installer().token)
    )


def test_a_token_may_have_been_through_an_editor(computer, server):
    computer.give(f"\ufeff {server.operator.installer().token} \r")

    assert_enrolled(computer, server, computer.enroll())


AS_WRITTEN = {
    "PowerShell's >": lambda token: f"\ufeff{token}\r\n".encode("utf-16-le"),
    "UTF-16, big endian": lambda token: f"\ufeff{token}\r\n".encode("utf-16-be"),
    "a blank first line": lambda token: f"\ufeff\r\n \t\r\n{token}\r\n".encode(),
    "echo of cmd": lambda token: f'"{token}" \r\n'.encode(),
    "single quotes": lambda token: f" '{token}'\n".encode(),
    "no end of line": lambda token: token.encode(),
    "more lines": lambda token: f"{token}\n\n-- the operator\n".encode(),
}


@pytest.mark.parametrize("written", AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_a_token_is_read_however_a_shell_has_written_it(computer, server, written):
    token = server.operator.installer().token
    (computer.kit / "lea-enroll-token.txt").write_bytes(written(token))

    assert_enrolled(computer, server, computer.enroll())


def test_quotes_around_a_token_in_the_environment_do_not_matter(computer, server):
    computer.give("")
    token = server.operator.installer().token

    assert_enrolled(computer, server, computer.enroll(LEA_ENROLL_TOKEN=f'"{token}"'))


@pytest.mark.parametrize(
    "text",
    ["two words".encode("utf-16"), "clé".encode(), "clé".encode("utf-16"), b'a"b"'],
    ids=["words", "accent", "accent in UTF-16", "quotes inside"],
)
def test_a_token_file_with_something_else_is_named_for_that(computer, front, text):
    path = computer.kit / "lea-enroll-token.txt"
    path.write_bytes(text)

    run = computer.enroll()

    assert_failed(computer, run, 22, f"{path} has other text")
    assert not front.requests


def test_it_takes_curl_and_what_every_system_has(computer, server):
    computer.leave_only(*PROGRAMS, "curl")

    assert_enrolled(computer, server, computer.enroll())


# Upgraded, and installed again


def test_an_upgrade_reports_and_does_not_enroll_again(computer, server, front):
    computer.enroll("--version", "1.3.1")
    token = computer.token
    computer.give("")

    run = computer.enroll("--version", "1.4.0", "--user-name", "Zoé")

    assert_enrolled(computer, server, run, ["enrolled", "identity_changed"])
    assert computer.token == token
    agent = row(server, computer.machine_id)
    assert (agent["version"], agent["user_name"]) == ("1.4.0", "Zoé")
    assert [request.path.rsplit("/")[-1] for request in front.requests] == [
        "enroll",
        "heartbeat",
    ]


def test_after_an_uninstall_it_is_reactivated(computer, server):
    computer.enroll()
    computer.uninstall()

    run = computer.enroll()

    assert_enrolled(computer, server, run, ("enrolled", "uninstalled", "reactivated"))


def test_a_machine_that_an_operator_has_uninstalled_enrolls_anew(computer, server):
    computer.enroll()
    server.operator.uninstall(computer.machine_id)

    run = computer.enroll()

    assert_enrolled(computer, server, run, ("enrolled", "uninstalled", "reactivated"))


def test_its_dead_token_is_kept_until_there_is_one_to_enroll_with(computer, server):
    computer.enroll()
    server.operator.uninstall(computer.machine_id)
    computer.give("")

    assert_failed(computer, computer.enroll(), 22, "lea-enroll-token.txt")
    assert computer.token is not None


def test_a_token_that_was_replaced_is_kept_for_an_operator_to_see(computer, server):
    computer.enroll()
    Api(server.client, computer.token).post(f"/machines/{computer.machine_id}/token")
    rotated = server.operator.post(f"/machines/{computer.machine_id}/token")
    Api(server.client, rotated.json["api_token"]).post("/heartbeat")
    token = computer.token

    assert_failed(computer, computer.enroll(), 21, "401 token_revoked (ask_operator)")
    assert computer.token == token


def test_an_upgrade_that_reaches_nobody_keeps_the_token(computer, server, front):
    computer.enroll("--version", "1")
    for fault in (bad_gateway, answer(200, *HTML), answer(401, *HTML)):
        front.then(fault)
        run = computer.enroll("--version", "2", LEA_PATIENCE="0")
        assert_failed(computer, run, 20, "HTTP ")

    assert_enrolled(computer, server, computer.enroll("--version", "2"))
    assert row(server, computer.machine_id)["version"] == "2"


def strip_authorization(exchange):
    """A proxy that passes on every header field but one."""
    del exchange.headers["Authorization"]
    exchange.respond(*exchange.ask_the_real_server())


def test_a_token_that_a_proxy_removed_is_not_the_installers_fault(computer, front):
    front.then(strip_authorization)

    run = computer.enroll()

    assert_failed(computer, run, 22, "401 missing_token", "WSGIPassAuthorization On")
    assert "look at the proxies between here and the server" in computer.error
    assert "Correct what this installer sends" not in computer.error


def test_a_copy_of_another_machine_is_a_machine_of_its_own(computer, server):
    computer.enroll()
    original = agent_on(computer, server)
    computer.machine_id += "-copy"

    assert_enrolled(computer, server, computer.enroll())
    assert computer.read("machine-id.txt") == computer.machine_id
    assert original.heartbeat().status_code == 200


def test_a_copy_of_one_that_had_no_answer_takes_a_key_of_its_own(
    computer, server, front
):
    front.then(lose)
    computer.enroll(LEA_PATIENCE="0")
    computer.machine_id += "-copy"

    assert_enrolled(computer, server, computer.enroll())
    first, second = front.requests
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


# Which machine


@pytest.fixture
def system_id(computer, tmp_path):
    """The file in which the system says which machine it is."""
    computer.machine_id = None
    path = tmp_path / "the-system's-id"
    script = computer.kit / "enroll.sh"
    text = script.read_text("utf-8")
    assert "/etc/machine-id" in text
    script.write_text(text.replace("/etc/machine-id", f'"{path}"'), "utf-8")
    return path


def test_a_machine_is_what_its_system_says(computer, server, system_id):
    unique = os.urandom(16).hex()
    system_id.write_text(f"{unique}\n")

    assert_enrolled(computer, server, computer.enroll())
    assert computer.read("machine-id.txt") == unique


#: What the system's file has while the system has no id: None is no file.
NO_ID = {
    "no file": None,
    "empty": "",
    "a blank line": "\n",
    "uninitialized": "uninitialized\n",
    "zeros": "0" * 32 + "\n",
}


@pytest.fixture(params=NO_ID.values(), ids=NO_ID)
def made(request, computer, server, system_id):
    """The id that was made for a machine whose system had none."""
    if request.param is not None:
        system_id.write_text(request.param)
    assert computer.enroll().exit_code == 0
    return computer.read("machine-id.txt")


def test_where_the_system_does_not_say_an_id_is_made_once(computer, made):
    assert re.fullmatch("[0-9a-f]{32}", made) and made != "0" * 32

    assert "details reported" in computer.enroll().output
    assert computer.read("machine-id.txt") == made


@pytest.mark.parametrize("dead", [False, True], ids=["report", "enrollment"])
def test_an_id_that_was_made_stays_when_the_system_gets_one(
    computer, server, system_id, made, dead
):
    system_id.write_text(f"{os.urandom(16).hex()}\n")
    if dead:
        server.operator.uninstall(made)

    for _ in range(2):
        assert computer.enroll().exit_code == 0
        assert computer.read("machine-id.txt") == made
        assert computer.read("system-id.txt") == system_id.read_text().strip()
    system_id.write_text("")
    assert "details reported" in computer.enroll().output
    assert computer.read("machine-id.txt") == made


def test_a_copy_of_a_machine_whose_id_was_made_is_a_machine_of_its_own(
    computer, server, system_id
):
    assert computer.enroll().exit_code == 0
    made = computer.read("machine-id.txt")
    system_id.write_text(f"{os.urandom(16).hex()}\n")
    assert computer.enroll().exit_code == 0

    system_id.write_text(f"{os.urandom(16).hex()}\n")

    for _ in range(2):
        assert_enrolled(computer, server, computer.enroll())
        assert computer.read("machine-id.txt") == system_id.read_text().strip() != made


def test_an_id_that_was_made_survives_an_uninstall_that_nobody_heard(
    computer, front, server, system_id
):
    assert computer.enroll().exit_code == 0
    made = computer.read("machine-id.txt")
    with front.closed():
        computer.uninstall()
    system_id.write_text(f"{os.urandom(16).hex()}\n")

    assert "details reported" in computer.enroll().output
    assert computer.read("machine-id.txt") == made
    computer.uninstall()
    assert not computer.state.exists()


def test_on_macos_it_is_the_platforms_uuid(computer, server):
    unique, computer.machine_id = computer.machine_id.removeprefix("PC-").upper(), None
    computer.replace("uname", "case $1 in -s) echo Darwin ;; *) echo mac-7 ;; esac\n")
    computer.replace("sw_vers", "echo 15.1\n")
    computer.replace(
        "ioreg",
        f"""cat <<'EOF'
+-o J314sAP  <class IOPlatformExpertDevice, id 0x100000227, registered, matched>
    {{
      "IOPlatformSerialNumber" = "C02XL0THJGH5"
      "IOPlatformUUID" = "{unique}"
    }}
EOF
""",
    )

    assert_enrolled(computer, server, computer.enroll())
    assert computer.read("machine-id.txt") == unique
    assert row(server, unique)["os_info"] == "macOS 15.1 mac-7"


# Answers that pass


@pytest.mark.parametrize(
    ("faults", "happened"),
    [
        ([answer(503, retry_after=2)], ["enrolled"]),
        ([answer(429), answer(500), bad_gateway], ["enrolled"]),
        ([lose], ["enrolled", "token_revoked"]),
    ],
    ids=["503", "429-500-502", "lost"],
)
def test_what_passes_is_asked_again_under_the_same_key(
    computer, server, front, faults, happened
):
    front.then(*faults)

    assert_enrolled(computer, server, computer.enroll(), happened)
    assert len(front.requests) == len(faults) + 1
    assert len({request.headers["Idempotency-Key"] for request in front.requests}) == 1


def test_retry_after_is_obeyed_in_bounds(computer, server, front):
    said = {"7": 7, "0": 1, "3600": 30, "9" * 40: 30, "-5": 1, "soon": 2}
    front.then(*(answer(503, retry_after=seconds) for seconds in said))

    run = computer.enroll(LEA_PATIENCE="200")

    assert_enrolled(computer, server, run)
    assert computer.pauses == list(said.values())


def test_pauses_grow_and_patience_ends(computer, front):
    front.always(answer(503))

    assert_failed(computer, computer.enroll(), 20, "HTTP 503")
    assert computer.pauses[:5] == [1, 2, 4, 8, 16]
    assert sum(computer.pauses) <= 60
    assert len(front.requests) == len(computer.pauses) + 1


def test_pauses_and_patience_can_be_set(computer, front):
    front.always(answer(503))

    run = computer.enroll(LEA_PATIENCE="20", LEA_PAUSE="3", LEA_LONGEST_PAUSE="4")

    assert run.exit_code == 20
    assert computer.pauses[:2] == [3, 4] and max(computer.pauses) == 4
    assert max(accumulate(computer.pauses)) <= 20


def test_with_no_server_it_says_so_and_enrolls_when_run_again(computer, server, front):
    with front.closed():
        assert_failed(computer, computer.enroll(), 20, "No response from", front.url)
    assert computer.stored == {"machine-id.txt", "enroll-key.txt"} | {
        "enroll-last-error.txt"
    }
    assert mode(computer, "enroll-key.txt") == 0o600

    assert_enrolled(computer, server, computer.enroll())


def test_a_lost_answer_is_had_by_running_it_again(computer, server, front):
    front.then(lose)
    assert_failed(computer, computer.enroll(LEA_PATIENCE="0"), 20)
    assert events(server, computer.machine_id) == ["enrolled"]
    key = computer.read("enroll-key.txt")

    run = computer.enroll()

    lost, again = front.requests
    assert lost.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == key
    happened = ("enrolled", "token_revoked")  # the token of the answer that was lost
    assert_enrolled(computer, server, run, happened)


def test_a_server_that_hangs_is_waited_for_no_longer_than_patience_lasts(computer):
    computer.replace("curl", SLOW_CURL)

    assert_failed(computer, computer.enroll(), 20, "No response from")
    assert len(computer.limits) > 2
    assert 0 < min(computer.limits) and max(computer.limits) <= 20
    assert sum(computer.limits) + sum(computer.pauses) <= 60


def test_a_server_that_hangs_is_not_waited_for(computer, server, front):
    front.then(hang)
    assert_failed(computer, computer.enroll(LEA_PATIENCE="1"), 20, "No response from")

    assert_enrolled(computer, server, computer.enroll())


# Answers that do not pass


STRANGE = [
    redirect(308, "/elsewhere"),
    redirect(302, "/elsewhere"),
    answer(200, *HTML),
    answer(201, *HTML),
    answer(403, *HTML),
    answer(404),
    answer(400, '{"message": "no"}', "application/json"),
    answer(400, '["action", "stop"]', "application/json"),
    answer(201, '{"agent": {"api_token": "inner"}}', "application/json"),
    answer(200, '{"api_token": "lea"}', "application/json"),
    answer(201, '{"api_token": "a b"}', "application/json"),
]


def test_an_answer_of_somebody_else_is_no_answer_and_is_not_followed(
    computer, server, front
):
    for fault in STRANGE:
        front.then(fault)
        assert_failed(computer, computer.enroll(), 20, "HTTP ")
    assert len(front.requests) == len(STRANGE) and not computer.pauses

    assert_enrolled(computer, server, computer.enroll())


def unknown(server):
    return "lea_enroll_" + "x" * 43


def expired(server):
    made = server.operator.post("/enrollment-tokens", {}).json
    query = "UPDATE lea_fleet_enrollment_tokens SET expires_at = ? WHERE id = ?"
    rows(server, query, "2020-01-01T00:00:00+00:00", made["id"])
    return made["token"]


def revoked(server):
    made = server.operator.post("/enrollment-tokens", {}).json
    server.operator.request("DELETE", f"/enrollment-tokens/{made['id']}")
    return made["token"]


def used_up(server):
    installer = server.operator.installer(max_uses=1)
    installer.enroll(f"PC-{uuid4()}")
    return installer.token


REFUSED = {
    "invalid_token": unknown,
    "token_expired": expired,
    "token_revoked": revoked,
    "enrollment_token_exhausted": used_up,
}


def test_a_refused_enrollment_token_is_for_an_operator(computer, server, front):
    for code, make in REFUSED.items():
        computer.give(make(server))
        assert_failed(computer, computer.enroll(), 21, f"{code} (ask_operator)")
    assert len(front.requests) == len(REFUSED)

    computer.give(server.operator.installer().token)
    assert_enrolled(computer, server, computer.enroll())


def test_without_a_token_the_setup_is_wrong(computer, front):
    computer.give("")

    for token in ("", "two words", 'quo"ted', "é"):
        run = computer.enroll(LEA_ENROLL_TOKEN=token)
        assert_failed(computer, run, 22, "no enrollment token")
    assert not front.requests


def test_without_curl_the_setup_is_wrong(computer):
    computer.leave_only(*PROGRAMS)

    run = computer.enroll()

    assert run.exit_code == 22
    assert "curl" in run.output


def test_a_request_that_cannot_be_means_that_the_setup_is_wrong(computer):
    computer.machine_id = "PC/1"

    assert_failed(computer, computer.enroll(), 22, "400 invalid_field (fix_request)")


def test_a_machine_that_may_not_come_back_is_settled(computer, server):
    computer.enroll()
    computer.uninstall()

    run = computer.enroll("--no-reactivate")
    assert_failed(computer, run, 23, "409 reactivation_refused (stop)")

    run = computer.enroll("--no-reactivate", "--allow-reactivate")
    assert_enrolled(computer, server, run, ("enrolled", "uninstalled", "reactivated"))


def test_a_machine_that_is_active_is_for_an_operator(computer, server):
    server.operator.enroll(computer.machine_id)
    assert_failed(computer, computer.enroll(), 21, "409 already_enrolled")

    server.operator.post(f"/machines/{computer.machine_id}/release")
    run = computer.enroll()
    assert_enrolled(computer, server, run, ("enrolled", "released", "reenrolled"))


def test_an_action_that_is_not_known_yet_is_for_a_person(computer, front):
    body = '{"action": "dance", "code": "tired", "detail": "No\\u001b[2J\\u00e9."}'
    front.then(answer(400, body, "application/problem+json"))

    assert_failed(computer, computer.enroll(), 21, "HTTP 400 tired (dance): No?[2J?.")


# A computer that cannot keep the answer


def test_a_state_folder_that_cannot_be_made_is_said_before_anything_is_sent(
    computer, front, tmp_path
):
    (tmp_path / "a-file").write_text("")

    run = computer.enroll("--state-dir", str(tmp_path / "a-file" / "state"))

    assert run.exit_code == 24
    assert "cannot be written" in run.output
    assert not front.requests


def test_a_file_system_that_knows_no_links_is_said_and_not_waited_for_for_ever(
    computer, front
):
    computer.replace("ln", "exit 1\n")

    assert_failed(computer, computer.enroll(LEA_PATIENCE="0"), 24, "cannot be written")
    assert not front.requests


@pytest.mark.parametrize("name", ["agent-token.txt", "heartbeat-interval.txt"])
def test_a_folder_in_the_place_of_a_file_is_a_state_folder_that_cannot_be_written(
    computer, server, name
):
    (computer.state / name).mkdir(parents=True)
    assert_failed(computer, computer.enroll(), 24, "cannot be written")

    (computer.state / name).rmdir()
    assert computer.enroll().exit_code == 0
    assert agent_on(computer, server).heartbeat().status_code == 200


def test_a_token_that_cannot_be_kept_is_had_by_running_it_again(computer, server):
    mv = shutil.which("mv")
    computer.replace(
        "mv", f'case "$*" in *agent-token*) exit 1 ;; esac; exec {mv} "$@"\n'
    )
    assert_failed(computer, computer.enroll(), 24, "cannot be written")
    assert computer.token is None and computer.read("enroll-key.txt")
    assert ".agent-token.txt.new" not in computer.stored

    computer.restore("mv")
    happened = ("enrolled", "token_revoked")
    assert_enrolled(computer, server, computer.enroll(), happened)


# Names


NAMES = [
    'O\'Connor "Zoé" \\ 100% $HOME `id` $(id) !! *',
    "tab\tand\nlines\r\n",
    "\x01\x1b[31m\x7f",
    "李 明, 🤖 and 𝄞",
    "-n \\n\\u0041\\",
    "@/etc/passwd",
]


def test_every_name_arrives_as_it_is(computer, server):
    details = ("user-name", "user-email", "user-id", "hostname", "os-info", "version")
    said = dict(zip(details, NAMES, strict=True))

    run = computer.enroll(*chain(*((f"--{name}", said[name]) for name in said)))

    assert_enrolled(computer, server, run)
    agent = row(server, computer.machine_id)
    stored = {name: agent[name.replace("-", "_")] for name in said}
    assert stored == {name: value.strip() for name, value in said.items()}


def test_bytes_that_are_no_text_are_marked_and_do_no_harm(computer, server):
    name = b"Zo\xe9 \xff\xed\xa0\x80 \xf0\x9f\x98 \xc0\xaf"

    assert_enrolled(computer, server, computer.enroll("--user-name", name))
    stored = row(server, computer.machine_id)["user_name"]
    assert stored.replace("\ufffd", "") == "Zo   "


def test_a_long_name_is_cut_between_two_characters(computer, server):
    assert_enrolled(computer, server, computer.enroll("--user-name", "🤖é" * 200))
    assert row(server, computer.machine_id)["user_name"] == ("🤖é" * 200)[:255]


def test_what_is_empty_is_left_out(computer, front):
    computer.enroll("--hostname", "", "--os-info", "", "--user-name=")

    (request,) = front.requests
    assert request.json == {"machine_id": computer.machine_id}


def test_a_machine_may_be_called_anything_that_the_server_takes(computer, server):
    computer.machine_id = ' PC é "7" \\ 🤖 ' + computer.machine_id + " "

    assert_enrolled(computer, server, computer.enroll("--version", "1"))
    assert_enrolled(computer, server, computer.enroll("--version", "2"))
    assert row(server, computer.machine_id.strip())["version"] == "2"


# Secrets


#: Notes how a process and its children were called.
_NOTE = """
import os, subprocess, sys
listed = subprocess.run(['ps', '-ww', '-eo', 'ppid=,pid=,args='], capture_output=True)
with open(os.environ['LEA_TEST_FOLDER'] + '/seen', 'ab') as seen:
    seen.write(listed.stdout)
"""


def test_no_process_shows_a_secret(computer, server, tmp_path):
    curl = shutil.which("curl")
    note = f'{sys.executable} -c "{_NOTE}" "$PPID"\n'
    computer.replace("curl", f'env >>"$LEA_TEST_FOLDER/seen"\n{note}exec {curl} "$@"\n')
    computer.replace("od", f'{note}exec {shutil.which("od")} "$@"\n')
    token = server.operator.installer().token
    computer.give("")

    assert computer.enroll(LEA_ENROLL_TOKEN=token).exit_code == 0
    secret = computer.token
    computer.enroll()

    seen = "\n".join(computer.noted("seen"))
    assert "--max-time" in seen and "enroll.sh" in seen
    assert token not in seen and secret not in seen


def test_no_configuration_of_curl_gets_in_between(computer, server, tmp_path):
    (tmp_path / ".curlrc").write_text(f'trace = "{tmp_path}/traced"\n')

    run = computer.enroll(HOME=str(tmp_path), CURL_HOME=str(tmp_path))

    assert_enrolled(computer, server, run)
    assert not (tmp_path / "traced").exists()


# Two at once


def test_of_two_that_run_together_one_enrolls_and_one_reports(computer, server):
    computer.replace("sleep", f"exec {shutil.which('sleep')} 0.1\n")
    words = ["enroll.sh", "--machine-id", computer.machine_id]
    pair = [computer.start(*words), computer.start(*words)]

    for run in [computer.finish(process) for process in pair]:
        assert_enrolled(computer, server, run)


def test_a_run_that_was_killed_is_not_waited_for(computer, server):
    dead = computer.start("enroll.sh", "--help")
    computer.finish(dead)
    computer.state.mkdir()
    (computer.state / "enroll.lock").symlink_to(str(dead.pid))

    assert_enrolled(computer, server, computer.enroll())
    assert not computer.pauses


def test_a_run_that_had_the_same_number_before_is_not_waited_for(computer, server):
    computer.state.mkdir()
    lock = 'ln -s $$ "$LEA_STATE_DIR/enroll.lock" && exec "$@"'
    computer.shell = ["sh", "-c", lock, "sh", *computer.shell]

    assert_enrolled(computer, server, computer.enroll())
    assert not computer.pauses


def test_another_process_that_got_the_number_of_a_run_is_not_waited_for(
    computer, server
):
    script = computer.kit / "enroll.sh"
    script.with_name("held.sh").write_text(
        script.read_text("utf-8").replace(
            "known=$(stored", "kill -9 $$; known=$(stored"
        )
    )
    computer.run("held.sh", "--machine-id", computer.machine_id)
    lock = computer.state / "enroll.lock"
    number, _, began = os.readlink(lock).partition("-")
    assert number.isdigit() and began
    lock.unlink()
    lock.symlink_to(f"{os.getpid()}-{began}")

    assert computer.enroll().exit_code == 0
    assert not computer.pauses
    assert row(server, computer.machine_id)["status"] == "active"


def test_a_process_that_only_looks_like_a_run_is_not_waited_for_for_ever(
    computer, server
):
    computer.state.mkdir()
    (computer.state / "enroll.lock").symlink_to(str(os.getpid()))

    assert_enrolled(computer, server, computer.enroll(LEA_PATIENCE="5"))
    assert set(computer.pauses) == {1}


# Called wrongly


WRONG = [
    ["--nonsense", "x"],
    ["nonsense"],
    ["--version"],
    ["--url", "rpa.example.com"],
    ["--agent-user", "nobody-of-that-name"],
]


def test_a_wrong_option_is_exit_code_2_and_nothing_happens(computer, front):
    runs = [computer.enroll(*words) for words in WRONG]
    runs.append(computer.enroll(LEA_PATIENCE="long"))

    for run in runs:
        assert run.exit_code == 2
        assert run.output.startswith("enroll.sh: ") and "see --help" in run.output
    assert not computer.state.exists() and not front.requests


def test_help_names_every_option_and_does_nothing(computer, front):
    run = computer.enroll("--help")

    assert run.exit_code == 0
    script = (computer.kit / "enroll.sh").read_text("utf-8")
    options = re.findall(r"^    (--[a-z-]+)\) [a-z_]+=", script, re.MULTILINE)
    assert len(options) == 13
    assert not [option for option in options if f" {option}" not in run.output]
    assert not computer.state.exists() and not front.requests
