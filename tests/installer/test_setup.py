"""The kit for Inno Setup, proven: real setup programs against the real server.

Whatever an installation meets, the program is installed, a person finds why the fleet
does not know the PC, the exit code says it to a program, and running the same setup
again goes on where the last one ended.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lea_fleet.core.problems import Problem
from tests.installer import faulty
from tests.installer.pc import (
    APP,
    STATE,
    TOKEN_FILE,
    Pc,
    compile_kit,
    details,
    example,
    happened,
    machines,
    rows,
)
from tests.installer.wine import CompileError, Windows
from tests.support.api import OPERATOR_TOKEN
from tests.support.server import running_server

pytestmark = pytest.mark.installer

AGAIN, ASK, MEND, SETTLED, UNSTORED, PROXY = 20, 21, 22, 23, 24, 25

KEPT = {
    "agent-token.txt",
    "enroll-key.txt",
    "heartbeat-interval.txt",
    "machine-id.txt",
    "server-url.txt",
}

UPDATE = "UPDATE lea_fleet_enrollment_tokens SET"


@pytest.fixture(scope="session")
def compiled(bed, tmp_path_factory):
    """Compile a script that includes the kit; the same one only once."""
    made = {}

    def compiled(script):
        if script not in made:
            windows = Windows(tmp_path_factory.mktemp("compiler"))
            made[script] = compile_kit(windows, script)
        return made[script]

    return compiled


@pytest.fixture
def server(tmp_path):
    with running_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def pc(compiled, front, server, tmp_path):
    """A PC on whose disk the setup lies, with an enrollment token beside it."""
    pc = Pc(tmp_path / "pc", compiled(example()), front.url)
    pc.hand(server.operator.installer(max_uses=5).token)
    return pc


def sent(front):
    """Return which routes were asked, in order."""
    return [request.path.rpartition("/")[2] for request in front.requests]


def bodies(front):
    return [request.json for request in front.requests]


def keys(front):
    """Return the idempotency keys of the enrollments that were tried."""
    return {request.headers["Idempotency-Key"] for request in front.requests}


# The life of a PC


def test_an_installation_enrolls_and_its_token_is_the_agents(pc, server):
    run = pc.set_up("/LEAUSEREMAIL=zoe@example.com", "/LEAUSERID=z1")

    assert run.exit_code == 0
    (machine,) = machines(server)
    assert machine["status"] == "active"
    assert (machine["version"], machine["user_email"]) == ("1.4.0", "zoe@example.com")
    assert re.fullmatch(r"Windows 10\.\d+\.\d+ x86", machine["os_info"])
    assert machine["user_id"] == "z1" and machine["user_name"] and machine["hostname"]
    assert happened(server) == ["enrolled"]
    assert pc.kept("machine-id") == machine["machine_id"]
    assert pc.kept("server-url") == pc.url
    assert pc.kept("heartbeat-interval").isdigit()
    assert pc.kept("enroll-key") is None and pc.error is None
    assert pc.agent(server).post("/heartbeat", {"version": "1.4.1"}).status_code == 200
    assert machines(server)[0]["version"] == "1.4.1"


def test_the_hostname_is_the_whole_one(pc, server):
    pc.set_up()

    hostname = "comptabilite-paris-03"  # of the bed; Windows' short name has 15 letters
    assert machines(server)[0]["hostname"].lower() == hostname


def test_the_machine_id_is_windows_own(pc, server):
    pc.set_up()

    (machine,) = machines(server)
    registry = pc.run("reg", "query", r"HKLM\Software\Microsoft\Cryptography")
    assert f"MachineGuid    REG_SZ    {machine['machine_id']}" in registry.output


def test_an_upgrade_does_not_enroll_but_reports_its_version(
    pc, server, front, compiled
):
    pc.set_up()
    token = pc.token
    pc.take(compiled(example("1.5.0")))
    pc.take_away()

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll", "heartbeat"]
    assert (machines(server)[0]["version"], pc.token) == ("1.5.0", token)
    assert happened(server) == ["enrolled"]


def test_uninstalling_says_goodbye_and_leaves_nothing(pc, server):
    pc.set_up()

    assert pc.remove("/LEAREASON=Remplacé: «PC-2» 漢").exit_code == 0

    (machine,) = machines(server)
    assert machine["status"] == "uninstalled"
    assert machine["uninstall_reason"] == "Remplacé: «PC-2» 漢"
    assert not pc.path(APP).exists()


def test_installing_again_after_that_reactivates(pc, server):
    pc.set_up()
    pc.remove()

    assert pc.set_up().exit_code == 0

    (machine,) = machines(server)
    assert (machine["status"], machine["uninstall_reason"]) == ("active", None)
    assert happened(server) == ["enrolled", "uninstalled", "reactivated"]
    assert details(server, "uninstalled")["reason"] == "Uninstalled on the computer"
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_a_pc_that_the_operator_uninstalled_enrolls_again(pc, server, front):
    pc.set_up()
    server.operator.uninstall(pc.kept("machine-id"))

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll", "heartbeat", "enroll"]
    assert machines(server)[0]["status"] == "active"
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_names_arrive_as_they_are(pc, server):
    name = "O'Connor Zoé \\ 100% 漢字 😀 \u202eיוסי"

    pc.set_up(f"/LEAUSERNAME={name}")

    assert machines(server)[0]["user_name"] == name


def test_quotes_do_too(compiled, pc, server):
    odd = """
#define LeaFleetUserName "{code:OddName}"
#define LeaFleetUserId "d'Artagnan"
[Code]
function OddName(Param: String): String;
begin
  Result := 'O''Connor "Zoé" \\ 100% {x}' + #9'!';
end;
"""
    pc.take(compiled(example(before=odd)))

    assert pc.set_up().exit_code == 0

    (machine,) = machines(server)
    assert machine["user_name"] == 'O\'Connor "Zoé" \\ 100% {x}\t!'
    assert machine["user_id"] == "d'Artagnan"


def test_what_is_too_long_is_cut(pc, server):
    pc.set_up(f"/LEAUSERNAME={'é' * 300}", "/LEAUSEREMAIL= ")

    (machine,) = machines(server)
    assert machine["user_name"] == "é" * 255
    assert machine["user_email"] is None


def test_half_a_letter_is_no_dead_end(pc, server):
    # Windows counts this smile as two, of which the first is the last that fits.
    assert pc.set_up(f"/LEAUSERNAME={'é' * 254}😀").exit_code == 0

    assert machines(server)[0]["user_name"] == "é" * 254 + "\ufffd"


def test_so_do_accents_in_the_machines_id(compiled, pc, server, front):
    pc.take(compiled(example(before='#define LeaFleetMachineId "Zoé 漢"')))

    assert (pc.set_up().exit_code, pc.set_up().exit_code) == (0, 0)

    assert sent(front) == ["enroll", "heartbeat"]
    assert [row["machine_id"] for row in machines(server)] == ["Zoé 漢"]


def test_where_all_share_the_operators_token_a_pc_lives_the_same_life(
    compiled, tmp_path
):
    with running_server(tmp_path / "server", LEA_FLEET_ISSUE="shared") as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/agents"
        pc = Pc(tmp_path / "pc", compiled(example()), url)
        pc.hand(OPERATOR_TOKEN)

        assert pc.set_up().exit_code == 0
        assert pc.token == OPERATOR_TOKEN
        pc.take(compiled(example("1.5.0")))
        assert pc.set_up().exit_code == 0
        assert machines(server)[0]["version"] == "1.5.0"
        assert pc.remove().exit_code == 0
        assert machines(server)[0]["status"] == "uninstalled"


# Where the enrollment token comes from


def test_the_file_goes_before_the_environment(pc, server):
    assert pc.set_up(env={"LEA_ENROLL_TOKEN": "lea_enroll_wrong"}).exit_code == 0


def test_a_byte_order_mark_in_the_file_does_not_matter(pc):
    token = pc.take_away()
    pc.path(TOKEN_FILE).write_text(f" {token}\r\n", "utf-8-sig")

    assert pc.set_up().exit_code == 0


@pytest.mark.parametrize(
    "written",
    [
        "\ufeff{}\r\n".encode("utf-16-le"),
        "\ufeff{}\r\n".encode("utf-16-be"),
        b"\r\n \t\r\n{}\r\n\r\n-- the operator\r\n",
        b'"{}" \r\n',
    ],
    ids=["PowerShell's >", "UTF-16, big endian", "a blank first line", "echo of cmd"],
)
def test_the_file_is_read_however_a_shell_has_written_it(pc, written):
    token = pc.take_away()
    wide = written[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding = {0xFF: "utf-16-le", 0xFE: "utf-16-be"}[written[0]] if wide else "ascii"
    text = written.decode(encoding).replace("{}", token)
    pc.path(TOKEN_FILE).write_bytes(text.encode(encoding))

    assert pc.set_up().exit_code == 0, pc.error


def test_the_token_may_stand_in_the_environment(pc):
    token = pc.take_away()

    run = pc.set_up("/LEATOKEN=lea_enroll_wrong", env={"LEA_ENROLL_TOKEN": token})

    assert run.exit_code == 0


def test_the_token_may_stand_on_the_command_line(pc):
    token = pc.take_away()

    run = pc.run(
        r"Z:\work\lea-setup.exe",
        "/VERYSILENT",
        "/SUPPRESSMSGBOXES",
        f"/LEAURL={pc.url}",
        f"/LEATOKEN={token}",
    )

    assert run.exit_code == 0
    assert pc.token


def test_a_token_that_setup_has_logged_is_not_used(pc, front):
    pc.take_away()

    assert pc.set_up("/LEATOKEN=lea_enroll_logged").exit_code == MEND

    assert front.requests == []
    assert "revoked" in pc.error


@pytest.mark.parametrize("token", ["", "two words", "clé"])
def test_without_a_token_the_file_says_where_it_is_missed(pc, front, token):
    pc.path(TOKEN_FILE).write_text(token, "utf-8")

    assert pc.set_up().exit_code == MEND

    assert front.requests == []
    assert pc.is_installed
    assert (TOKEN_FILE in pc.error) is not bool(token)


# What the server refuses


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("DELETE FROM lea_fleet_enrollment_tokens", "invalid_token"),
        (f"{UPDATE} uses = max_uses", "enrollment_token_exhausted"),
        (f"{UPDATE} expires_at = created_at", "token_expired"),
        (f"{UPDATE} revoked_at = created_at", "token_revoked"),
    ],
    ids=["unknown", "used up", "expired", "revoked"],
)
def test_an_enrollment_token_that_is_no_good_asks_for_the_operator(
    pc, server, front, spoil, code
):
    change(server, spoil)

    assert pc.set_up().exit_code == ASK

    assert pc.is_installed and pc.token is None
    assert code in pc.error and "ask_operator" in pc.error
    assert sent(front) == ["enroll"]

    pc.hand(server.operator.installer().token)
    assert pc.set_up().exit_code == 0
    assert pc.error is None
    assert len(machines(server)) == 1


def test_an_active_machine_asks_for_a_release(pc, server):
    pc.set_up()
    pc.path(STATE + r"\agent-token.txt").unlink()

    assert pc.set_up().exit_code == ASK
    assert "already_enrolled" in pc.error

    server.operator.post(f"/machines/{pc.kept('machine-id')}/release")
    assert pc.set_up().exit_code == 0
    assert happened(server) == ["enrolled", "released", "reenrolled"]


def test_a_stored_token_that_was_replaced_is_kept_and_reported(pc, server):
    pc.set_up()
    token, machine = pc.token, pc.kept("machine-id")
    other = server.operator.post(f"/machines/{machine}/token").json["api_token"]
    heartbeat = {"Authorization": f"Bearer {other}"}
    server.operator.post("/heartbeat", {}, headers=heartbeat)

    assert pc.set_up().exit_code == ASK

    assert "token_revoked" in pc.error
    assert pc.token == token


def test_a_request_that_cannot_be_is_the_setups_own_fault(compiled, pc):
    before = '#define LeaFleetMachineId " 漢/b "'
    pc.take(compiled(example(before=before)))

    assert pc.set_up().exit_code == MEND
    assert "400 invalid_field" in pc.error and "slash" in pc.error
    assert pc.kept("machine-id") == "漢/b"


def test_it_works_on_an_older_windows(pc, server):
    pc.run("reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win7", "/f")

    assert pc.set_up(patience=0).exit_code == 0
    assert machines(server)[0]["os_info"].startswith("Windows 6.01")


def test_a_proxy_that_wants_a_password_has_an_exit_code_of_its_own(pc, front):
    front.always(faulty.answer(407, "Who are you?", Proxy_Authenticate="Basic"))

    assert pc.set_up().exit_code == PROXY

    assert "proxy wants a name and password" in pc.error
    assert pc.token is None and pc.kept("enroll-key")
    assert sent(front) == ["enroll"]


def test_a_last_word_is_taken_as_one(pc, front):
    body = {"code": "reactivation_refused", "action": "stop", "detail": "Déjà"}
    front.then(faulty.answer(409, json.dumps(body), "application/problem+json"))

    assert pc.set_up().exit_code == SETTLED

    assert "409 reactivation_refused: Déjà (stop)" in pc.error
    assert sent(front) == ["enroll"]


# When the server is away


def test_a_server_that_is_down_is_found_by_running_setup_again(pc, server, front):
    with front.closed():
        assert pc.set_up(patience=3).exit_code == AGAIN
    assert pc.is_installed and "did not respond" in pc.error
    key = pc.kept("enroll-key")

    assert pc.set_up().exit_code == 0

    assert keys(front) == {key}
    assert pc.error is None and len(machines(server)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        faulty.answer(503, retry_after=1),
        faulty.answer(429, retry_after=1),
        faulty.answer(500),
        faulty.bad_gateway,
        faulty.answer(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
    ],
    ids=["503", "429", "500", "502", "date"],
)
def test_what_may_pass_is_tried_again(pc, server, front, fault):
    front.then(fault)

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll"] * 2
    assert len(keys(front)) == 1 and len(machines(server)) == 1


def test_retry_after_is_obeyed_and_bounded(pc, front):
    front.then(
        faulty.answer(503, retry_after=3),
        faulty.answer(503, retry_after=86400),
    )

    run = pc.set_up(patience=60)

    assert run.exit_code == 0
    assert re.findall(r"again in (\d+) s", run.log) == ["3", "30"]


def test_no_pause_is_begun_that_patience_does_not_cover(pc, front):
    front.always(faulty.answer(503, retry_after=86400))

    run = pc.set_up(patience=5)

    assert (run.exit_code, "again in" in run.log) == (AGAIN, False)


@pytest.mark.parametrize(
    "fault",
    [
        faulty.answer(403, "<html>The proxy says no</html>", "text/html"),
        faulty.answer(200, "<html>Welcome to our guest network</html>", "text/html"),
        faulty.answer(201, '{"status": "enrolled", "agent": {"api_token": "x"}}'),
        faulty.answer(201, '{"status": "enrolled", "api_token": "lea_agent_cut'),
        faulty.answer(201, '{"status": "enrolled", "api_token": "two words"}'),
        faulty.answer(201, '{"x": "%s", "api_token": "t"}' % ("x" * 300_000)),
    ],
    ids=["403", "200", "not its member", "cut off", "no token", "too long"],
)
def test_what_is_not_the_servers_answer_changes_nothing(pc, front, fault):
    front.then(fault)

    assert pc.set_up().exit_code == AGAIN

    assert pc.token is None and pc.kept("enroll-key")
    assert "not from the server" in pc.error
    assert sent(front) == ["enroll"]


def test_what_the_server_may_add_to_its_answer_does_not_matter(pc, front):
    token = "a\"b\\c'{d}"
    body = {"links": [{"api_token": "]}"}, 1], "status": "new", "api_token": token}
    front.then(faulty.answer(201, json.dumps(body)))

    assert pc.set_up().exit_code == 0

    assert pc.token == token


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_takes_the_token_elsewhere(pc, front, status):
    front.always(faulty.redirect(status, f"{front.url}/elsewhere"))

    assert pc.set_up().exit_code == AGAIN

    assert sent(front) == ["enroll"]


@pytest.mark.parametrize("fault", [faulty.hang, faulty.drip])
def test_a_server_that_never_answers_is_given_up(pc, front, fault):
    front.always(fault)

    assert pc.set_up(patience=2).exit_code == AGAIN

    assert "did not respond" in pc.error


def test_a_lost_answer_is_asked_for_again(pc, server, front):
    front.then(faulty.lose)

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll"] * 2
    assert len(keys(front)) == 1
    assert len(machines(server)) == 1
    assert rows(server, "SELECT uses FROM lea_fleet_enrollment_tokens") == [{"uses": 1}]
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_also_by_a_setup_that_is_run_again(pc, server, front):
    front.always(faulty.lose)
    assert pc.set_up(patience=1).exit_code == AGAIN
    front.always(faulty.forward)

    assert pc.set_up().exit_code == 0

    assert len(keys(front)) == 1
    assert happened(server).count("enrolled") == 1
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_an_upgrade_without_the_server_keeps_the_identity(pc, server, front):
    pc.set_up()
    token = pc.token
    with front.closed():
        assert pc.set_up(patience=1).exit_code == AGAIN

    assert pc.token == token and pc.is_installed


# Uninstalling, whatever the server does


@pytest.mark.parametrize("fault", [faulty.hang, faulty.answer(503)])
def test_an_uninstall_does_not_wait_for_a_server_that_is_away(pc, server, front, fault):
    pc.set_up()
    front.always(fault)

    assert pc.remove().exit_code == 0

    assert not pc.is_installed
    assert machines(server)[0]["status"] == "active"


def test_a_pc_that_could_not_say_goodbye_finds_its_identity_again(pc, server, front):
    pc.set_up()
    token = pc.token
    with front.closed():
        assert pc.remove().exit_code == 0
    assert pc.token == token
    assert pc.kept("server-url") is None and pc.kept("heartbeat-interval") is None

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll", "heartbeat"]
    assert pc.remove().exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"
    assert not pc.path(APP).exists()


def test_an_uninstall_that_the_operator_was_faster_with_leaves_nothing(pc, server):
    pc.set_up()
    server.operator.uninstall(pc.kept("machine-id"), reason="stolen")
    pc.hand("lea_enroll_none")

    assert pc.remove().exit_code == 0

    assert machines(server)[0]["uninstall_reason"] == "stolen"
    assert not pc.path(APP).exists()


def test_an_identity_that_is_over_leaves_nothing_either(pc, front):
    pc.set_up()
    body = {"code": "agent_uninstalled", "action": "reenroll"}
    front.then(faulty.answer(401, json.dumps(body), "application/problem+json"))

    assert pc.remove().exit_code == 0

    assert sent(front) == ["enroll", "uninstall"]
    assert not pc.path(APP).exists()


def test_a_pc_that_never_enrolled_uninstalls_without_a_word(pc, front):
    pc.take_away()
    pc.set_up()

    assert pc.remove().exit_code == 0

    assert front.requests == [] and not pc.path(APP).exists()


def test_a_token_that_is_in_use_does_not_stop_an_uninstall(compiled, pc, server):
    in_use = r"""
[Code]
var
  Token: TFileStream;
function InitializeUninstall: Boolean;
var
  Path: String;
begin
  Path := ExpandConstant('{app}\fleet\agent-token.txt');
  Token := TFileStream.Create(Path, fmOpenRead or fmShareDenyWrite);
  Result := True;
end;
"""
    pc.take(compiled(example() + in_use))
    pc.set_up()

    assert pc.remove().exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"

    assert pc.set_up().exit_code == 0
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_an_uninstall_keeps_the_key_of_an_answer_that_is_still_due(pc, server, front):
    front.always(faulty.lose)
    pc.set_up(patience=1)
    pc.remove()
    front.always(faulty.forward)

    assert pc.set_up().exit_code == 0
    assert len(keys(front)) == 1 and len(machines(server)) == 1


# What the PC keeps


def test_only_administrators_may_look_into_what_it_keeps(pc):
    pc.set_up()

    # What Wine makes of the access rights that were set: nothing for others.
    kept = [pc.path(STATE), *pc.path(STATE).iterdir()]
    assert len(kept) == 5
    assert [path.stat().st_mode & 0o007 for path in kept] == [0] * 5


def test_everybody_may_look_into_the_file_with_the_error(pc):
    pc.take_away()
    pc.set_up()

    (found,) = pc.path(APP).glob("enroll-last-error.txt")
    assert found.stat().st_mode & 0o004


@pytest.mark.parametrize(
    ("account", "outcome"),
    [
        ("LOCAL SERVICE", 0),
        ("S-1-5-19", 0),
        ("S-1-nonsense", UNSTORED),
        ("No Such Account", UNSTORED),
    ],
)
def test_the_agents_account_is_let_in_by_its_name(compiled, pc, account, outcome):
    before = f'#define LeaFleetAccount "{account}"'
    pc.take(compiled(example(before=before)))

    assert pc.set_up().exit_code == outcome

    assert bool(pc.token) is (outcome == 0)
    assert outcome == 0 or account in pc.error


def test_a_token_that_cannot_be_stored_is_asked_for_again(pc, server):
    in_its_way = pc.path(STATE) / "agent-token.txt"
    in_its_way.mkdir(parents=True)

    assert pc.set_up().exit_code == UNSTORED
    assert "agent-token.txt" in pc.error
    assert not list(pc.path(STATE).glob("*.new"))

    in_its_way.rmdir()
    assert pc.set_up().exit_code == 0
    assert happened(server).count("enrolled") == 1
    assert pc.agent(server).post("/heartbeat", {}).status_code == 200


def test_no_link_is_followed_that_stands_where_a_file_is_written(pc):
    secret = pc.path(r"Z:\work\secret")
    secret.write_text("only for administrators")
    secret.chmod(0o600)
    before = secret.stat()
    pc.path(STATE).mkdir(parents=True)
    for name in KEPT:  # only these: Wine takes a link that is replaced for its target
        (pc.path(STATE) / f"{name}.new").symlink_to("/work/secret")

    assert pc.set_up().exit_code == 0, pc.error

    after = secret.stat()
    assert secret.read_text() == "only for administrators"
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    kept = list(pc.path(STATE).iterdir())
    stored = {path.name for path in kept if not path.is_symlink()}
    assert stored == KEPT - {"enroll-key.txt"}


def test_a_folder_that_is_a_link_to_another_one_is_refused(pc, front):
    elsewhere = pc.path(r"Z:\work\elsewhere")
    elsewhere.mkdir(mode=0o755)
    pc.path(APP).mkdir(parents=True)
    pc.path(STATE).symlink_to("/work/elsewhere")

    assert pc.set_up().exit_code == UNSTORED

    assert "is a link to another one" in pc.error
    assert list(elsewhere.iterdir()) == []
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert front.requests == []


def test_the_folder_cannot_become_a_link_while_setup_works_in_it(compiled, pc):
    # Windows makes a link of an empty folder only. A file in it is open and cannot be
    # removed, from before its access rights are set until the last file is stored.
    script = example() + r"""
[Code]
procedure Look(const Moment: String);
begin
  DeleteFile(LeaFleetPath(LeaFleetLockName));
  if FileExists(LeaFleetPath(LeaFleetLockName)) then
    Log(Moment + ': held')
  else
    Log(Moment + ': free');
end;
procedure CurStepChanged(CurStep: TSetupStep);
begin
  if CurStep <> ssPostInstall then
    Exit;
  Look('after it');
  LeaFleetMakeFolder;
  Look('in it');
  LeaFleetRelease;
  Look('released');
end;
"""
    pc.take(compiled(script))

    log = pc.set_up().log

    assert re.findall("(after it|in it|released): (held|free)", log) == [
        ("after it", "free"),
        ("in it", "held"),
        ("released", "free"),
    ]


def test_nothing_is_asked_for_that_could_not_be_stored(pc, front):
    pc.path(APP).mkdir(parents=True)
    pc.path(STATE).write_text("no folder")

    assert pc.set_up().exit_code == UNSTORED

    assert front.requests == [] and pc.is_installed


def test_a_copied_disk_does_not_bring_another_pcs_identity_along(pc, server, front):
    pc.set_up()
    token = pc.token
    pc.path(STATE + r"\machine-id.txt").write_text("another-pc")
    change(server, "UPDATE enrolled_agents SET machine_id = 'another-pc'")
    with front.closed():
        assert pc.set_up(patience=1).exit_code == AGAIN
    assert pc.token is None

    assert pc.set_up().exit_code == 0

    assert sent(front) == ["enroll", "enroll"]
    assert pc.token != token
    assert [row["machine_id"] for row in machines(server)] == [
        "another-pc",
        pc.kept("machine-id"),
    ]


def test_a_pc_without_an_id_of_its_own_is_given_one_once(pc, server):
    forget = ("delete", r"HKLM\Software\Microsoft\Cryptography", "/v", "MachineGuid")
    pc.run("reg", *forget, "/f")

    pc.set_up()
    given = pc.kept("machine-id")
    pc.run("reg", *forget, "/f")
    pc.set_up()

    assert re.fullmatch("[0-9a-f]{32}", given)
    assert [row["machine_id"] for row in machines(server)] == [given]


# The token at rest


DPAPI = '#define LeaFleetEncryption "DPAPI"'

#: An agent's own part: Windows decrypts what setup has encrypted, and the other way.
AGENT = r"""
[Code]
procedure InitializeWizard;
var
  Bytes: AnsiString;
begin
  Bytes := LeaFleetSealed('a secret of Zo' + #$C3#$A9, True);
  Log('opened: ' + LeaFleetLine(LeaFleetSealed(Bytes, False)));
  Log('spoilt: <' + LeaFleetSealed(Copy(Bytes, 1, Length(Bytes) - 9), False) + '>');
end;
"""


def sealed(pc):
    """Return the bytes of the encrypted token, or None."""
    path = pc.path(STATE) / "agent-token.dpapi"
    return path.read_bytes() if path.exists() else None


def test_with_dpapi_no_file_has_the_token(compiled, pc, server):
    pc.take(compiled(example(before=DPAPI) + AGENT))

    run = pc.set_up()

    assert run.exit_code == 0, pc.error
    assert "opened: a secret of Zoé" in run.log and "spoilt: <>" in run.log
    assert pc.token is None and len(sealed(pc)) > 100
    for path in pc.path(STATE).iterdir():
        assert b"lea_agent_" not in path.read_bytes()
        assert "lea_agent_".encode("utf-16-le") not in path.read_bytes()
        assert path.stat().st_mode & 0o007 == 0
    assert pc.set_up("/LEAUSERID=z2").exit_code == 0
    assert machines(server)[0]["user_id"] == "z2"
    assert happened(server) == ["enrolled", "identity_changed"]
    assert pc.remove().exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"
    assert not pc.path(APP).exists()


def test_an_upgrade_to_dpapi_and_back_keeps_the_token(compiled, pc, server, front):
    pc.set_up()
    token = pc.token
    pc.take(compiled(example(before=DPAPI)))
    with front.closed():
        assert pc.set_up(patience=1).exit_code == AGAIN
    assert pc.token is None and sealed(pc)
    assert pc.set_up().exit_code == 0

    pc.take(compiled(example()))
    assert pc.set_up().exit_code == 0

    assert pc.token == token and sealed(pc) is None
    assert happened(server) == ["enrolled"]


def test_what_dpapi_cannot_open_is_no_token(compiled, pc, server):
    pc.take(compiled(example(before=DPAPI)))
    pc.set_up()
    (pc.path(STATE) / "agent-token.dpapi").write_bytes(b"of another computer")

    assert pc.set_up().exit_code == ASK
    assert "already_enrolled" in pc.error


def test_another_encryption_does_not_compile(bed, tmp_path):
    script = example(before='#define LeaFleetEncryption "ROT13"')
    with pytest.raises(CompileError, match="LeaFleetEncryption must be"):
        compile_kit(Windows(tmp_path / "pc"), script)


# Installed elsewhere before


def test_setup_in_another_folder_takes_the_identity_along(pc, server, front):
    pc.set_up()
    token = pc.token
    pc.take_away()

    for folder in (r"C:\Zoé 漢\Elsewhere", r"C:\Elsewhere"):
        run = pc.set_up(f"/DIR={folder}")
        assert run.exit_code == 0, run.log
        there = pc.path(folder) / "fleet"
        assert (there / "agent-token.txt").read_text().strip() == token

    assert sent(front) == ["enroll", "heartbeat", "heartbeat"]
    assert not pc.path(STATE).exists()
    assert not pc.path(r"C:\Zoé 漢\Elsewhere\fleet").exists()


def test_a_program_of_another_appid_is_left_alone(compiled, pc, front):
    pc.set_up()
    token = pc.token
    pc.take(compiled(example().replace("LeaAgentExample", "{{A-B}\\Other")))

    assert pc.set_up(r"/DIR=C:\Elsewhere").exit_code == ASK
    assert pc.token == token and sent(front) == ["enroll", "enroll"]


PROGRAM_X86 = r"C:\Program Files (x86)\Lea"
IN_64_BIT_MODE = "[Setup]\nArchitecturesInstallIn64BitMode=x64compatible\n[Files]"
BRACES = "{{8D2E5F4A-3C1B-4A7E-9F10-0123456789AB}"


def of_64_bits(script):
    return script.replace("[Files]", IN_64_BIT_MODE)


@pytest.fixture
def pc64(compiled, front, server, tmp_path):
    """A PC with a 64-bit Windows, on which the 32-bit setup lies."""
    pc = Pc(tmp_path / "pc", compiled(example()), front.url, bits=64)
    pc.hand(server.operator.installer(max_uses=5).token)
    return pc


@pytest.mark.parametrize("appid", ["LeaAgentExample", BRACES])
def test_on_a_64_bit_windows_a_setup_for_it_takes_over_from_an_older_one(
    compiled, pc64, server, front, appid
):
    script = example().replace("LeaAgentExample", appid)
    pc64.take(compiled(script))
    assert pc64.set_up().exit_code == 0, pc64.error
    older = pc64.path(PROGRAM_X86) / "fleet"
    token = (older / "agent-token.txt").read_text().strip()
    pc64.take(compiled(of_64_bits(script.replace("1.4.0", "1.5.0"))))

    assert pc64.set_up().exit_code == 0, pc64.error

    assert pc64.token == token and not older.exists()
    assert sent(front) == ["enroll", "heartbeat"]
    assert re.fullmatch(r"Windows 10\.\d+\.\d+ x64", machines(server)[0]["os_info"])
    assert pc64.uninstall(PROGRAM_X86).exit_code == 0
    assert sent(front) == ["enroll", "heartbeat"]  # the older one has nothing to say
    assert pc64.remove().exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"
    assert len(machines(server)) == 1


def test_on_a_64_bit_windows_dpapi_works(compiled, pc64, server):
    pc64.take(compiled(of_64_bits(example(before=DPAPI))))

    assert (pc64.set_up().exit_code, pc64.set_up().exit_code) == (0, 0)

    assert sealed(pc64) and pc64.token is None
    assert happened(server) == ["enrolled"]


# HTTPS, with a certificate authority of the company's own


def test_it_speaks_https_with_a_server_that_windows_trusts(
    compiled, server, https_front, trusted, tmp_path
):
    pc = Pc(tmp_path / "pc", compiled(example()), https_front.url, trusted)
    pc.hand(server.operator.installer().token)

    assert pc.set_up().exit_code == 0
    assert pc.remove().exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"


def test_a_server_that_windows_does_not_trust_never_sees_the_token(
    compiled, server, https_front, tmp_path
):
    pc = Pc(tmp_path / "pc", compiled(example()), https_front.url)
    pc.hand(server.operator.installer().token)

    run = pc.set_up()

    assert (run.exit_code, "again in" in run.log) == (AGAIN, False)
    assert https_front.requests == []
    assert "certificate" in pc.error and "Windows error" in pc.error


# In somebody's script


def test_the_kit_that_the_command_writes_serves_a_script_as_the_readme_says(
    bed, server, tmp_path
):
    url = f"http://127.0.0.1:{server.port}"
    words = ["fleet", "installer", tmp_path / "kit", "--url", url, "--create"]
    command = [sys.executable, "-m", "flask", "--app", "lea_fleet", *words]
    subprocess.run(command, env=server.environment, cwd=tmp_path, check=True)
    readme = (Path(__file__).parents[2] / "README.rst").read_text("utf-8")
    (lines,) = re.findall(r"\n\n((?: +#(?:define|include) .*\n)+)\n", readme)
    lines = lines.replace("https://rpa.example.com", url)
    lines = lines.replace(r"NT SERVICE\Lea", "LOCAL SERVICE")  # which Wine has
    windows = Windows(tmp_path / "pc")
    shutil.copytree(tmp_path / "kit", windows.work, dirs_exist_ok=True)

    def install(version):
        script = windows.work / "own.iss"
        script.write_text(f"""[Setup]
AppName=Robot
AppVersion={version}
DefaultDirName={{autopf}}\\Robot

{lines}""")
        setup = windows.compile(script)
        assert windows.install(setup).exit_code == 0
        return machines(server)[0]["status"], machines(server)[0]["version"]

    assert install("2.0") == ("active", "2.0")
    assert install("2.1") == ("active", "2.1")
    assert windows.uninstall(r"C:\Program Files\Robot").exit_code == 0
    assert machines(server)[0]["status"] == "uninstalled"
    assert happened(server) == ["enrolled", "uninstalled"]


# The server's address


def test_the_address_may_be_written_in_other_ways(pc, front):
    url = front.url.replace("http", "HTTP") + "//"

    assert pc.set_up(url=url).exit_code == 0

    assert pc.kept("server-url") == url.rstrip("/")
    assert pc.remove().exit_code == 0
    assert {request.path for request in front.requests} == {
        "/api/v1/agents/enroll",
        "/api/v1/agents/uninstall",
    }


def test_an_address_that_is_none_is_the_setups_own_fault(pc, front):
    without_scheme = front.url.removeprefix("http://")

    assert pc.set_up(url=without_scheme).exit_code == MEND

    assert "URL" in pc.error and without_scheme in pc.error
    assert front.requests == [] and pc.is_installed


def test_each_part_of_an_address_is_found(compiled, pc):
    addresses = {
        "https://a": "a 443 secure",
        "http://a/b/c": "a 80 /b/c",
        "HTTPS://a.example:8443/b": "a.example 8443 /b secure",
        "http://[::1]/b": "[::1] 80 /b",
        "https://[2001:db8::7]:8443": "[2001:db8::7] 8443 secure",
        "": "none",
        "a/b": "none",
        "//a/b": "none",
        "ftp://a/b": "none",
        "http:/a/b": "none",
        "https://": "none",
        "https:///b": "none",
        "https://a:/b": "none",
        "https://a:b/c": "none",
        "https://a:0": "none",
        "https://a:65536": "none",
    }
    calls = "\n".join(f"  Show('{address}');" for address in addresses)
    script = f"""{example()}
[Code]
procedure Show(const Url: String);
var
  Place: TLeaFleetPlace;
  Found: String;
begin
  Found := 'none';
  if LeaFleetTakeApart(Url, Place) then begin
    Found := Trim(Format('%s %d %s', [Place.Host, Place.Port, Place.Path]));
    if Place.Flags = LeaFleetFlagSecure then
      Found := Found + ' secure';
  end;
  Log('<' + Url + '> is ' + Found);
end;
procedure InitializeWizard;
begin
{calls}
end;
"""
    pc.take(compiled(script))

    assert dict(re.findall("<(.*)> is (.*)", pc.set_up().log)) == addresses


# Silence


def test_a_silent_setup_waits_for_nobody(pc):
    pc.take_away()

    run = pc.run(r"Z:\work\lea-setup.exe", "/VERYSILENT", f"/LEAURL={pc.url}")

    assert run.exit_code == MEND and pc.error


def test_every_refusal_is_handled_by_its_action(compiled, pc):
    outcomes = {
        "ask_operator": ASK,
        "reenroll": ASK,
        "fix_request": MEND,
        "stop": SETTLED,
        "retry": AGAIN,
    }
    actions = {problem.code: problem.action for problem in refusals(Problem)}
    calls = "\n".join(
        f"""  Answer.Text := '{{"agent": {{"action": "no"}}, "action": "{action}"}}';
  Log('outcome of {code} ' + IntToStr(LeaFleetVerdict(Answer)));"""
        for code, action in actions.items()
    )
    script = f"""{example()}
[Code]
procedure InitializeWizard;
var
  Answer: TLeaFleetAnswer;
begin
{calls}
end;
"""
    pc.take(compiled(script))

    found = dict(re.findall(r"outcome of (\w+) (\d+)", pc.set_up().log))

    assert found == {code: str(outcomes[action]) for code, action in actions.items()}


JSON = {
    r'{"a": "\"\\\/\b\t\n\f\r\u00e9\ud83d\ude00", "b": 1}': '"\\/\b\t\n\f\ré😀',
    '{"b": [{"a": 1}, "]", [2]], "a": true}': "true",
    '\t{ "b" : {"a": "}"} , "a" : [1, {}] } ': "[1, {}]",
    '{"a": "first", "a": "second"}': "first",
    '{"b": 1}': "",
    "{}": "",
    '{"b": 1, }': "",
    '{"b" 1, "a": 2}': "",
    '{"b": 1 "a": 2}': "",
    '{"b": ], "a": 2}': "",
    '[{"a": 1}]': "",
    '{"a": 1': "",
    '{"a": "1': "",
    '{"a": [1, 2': "",
    r'{"a": "1\u00': "",
    r'{"a": "\uxyz!"}': "\ufffd",
    '{"a"': "",
    "": "",
}


def test_json_is_read_as_it_is_meant_and_half_of_it_not_at_all(compiled, pc):
    pc.path(r"Z:\work\json.txt").write_text("\n".join([*JSON, ""]), "utf-8")
    script = example() + r"""
[Code]
procedure InitializeWizard;
var
  Lines: TArrayOfString;
  I: Integer;
begin
  LoadStringsFromFile(ExpandConstant('{src}\json.txt'), Lines);
  for I := 0 to GetArrayLength(Lines) - 1 do
    Log('read ' + LeaFleetQuoted(LeaFleetMember(Lines[I], 'a')));
  try
    LeaFleetProtect('C:\none');
  except
    Log(GetExceptionMessage);
  end;
end;
"""
    pc.take(compiled(script))

    log = pc.set_up().log

    found = [json.loads(text) for text in re.findall('read (".*")', log)]
    assert found == list(JSON.values())
    assert r"The access rights of C:\none cannot be set" in log


def test_it_stands_beside_the_scripts_own_handlers(compiled, pc):
    own = """
[Code]
procedure CurStepChanged(CurStep: TSetupStep);
begin
  if CurStep = ssPostInstall then
    SaveStringToFile(ExpandConstant('{app}\\fleet\\own.txt'), 'after it', False);
end;
function GetCustomSetupExitCode: Integer;
begin
  Result := 77;
end;
procedure CurUninstallStepChanged(CurUninstallStep: TUninstallStep);
begin
  if CurUninstallStep = usUninstall then
    DeleteFile(ExpandConstant('{app}\\fleet\\own.txt'));
end;
"""
    pc.take(compiled(example() + own))

    assert pc.set_up().exit_code == 77
    assert pc.token and pc.kept("own") == "after it"
    assert pc.remove().exit_code == 0
    pc.take_away()
    assert pc.set_up().exit_code == MEND


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('#include "LeaFleet.iss"', "LeaFleetUrl is not defined"),
        ('#define LeaFleetUrl "x"\n#include "LeaFleet.iss"', "LeaFleetVersion is emp"),
    ],
)
def test_a_script_that_says_too_little_does_not_compile(bed, tmp_path, script, message):
    with pytest.raises(CompileError, match=message):
        compile_kit(Windows(tmp_path / "pc"), script)


def change(server, statement):
    """Change the server's database behind its back."""
    with closing(sqlite3.connect(server.database)) as connection:
        connection.execute(statement)
        connection.commit()


def refusals(kind):
    """Return every class of problem that the API has a code for."""
    for problem in kind.__subclasses__():
        if hasattr(problem, "code"):
            yield problem
        yield from refusals(problem)
