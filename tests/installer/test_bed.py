"""The bed itself: what is compiled, installed and removed in it tells a server."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.installer.wine import BED, CompileError, Windows
from tests.support.api import OPERATOR_TOKEN

pytestmark = pytest.mark.installer

APP = r"C:\Program Files\Probe"
PROBE = r"""
[Setup]
AppName=Probe
AppVersion=1.0
DefaultDirName={autopf}\Probe
PrivilegesRequired=admin
[Files]
Source: "Probe.iss"; DestDir: "{app}"
[Code]
procedure Tell(Path: String);
var
  Http: Variant;
  Status: Integer;
begin
  try
    Http := CreateOleObject('WinHttp.WinHttpRequest.5.1');
    Http.Open('POST', ExpandConstant('{param:Url}') + Path, False);
    Http.SetRequestHeader('Content-Type', 'application/json');
    Http.SetRequestHeader('Authorization', 'Bearer {#Token}');
    Http.Send('{"machine_id": "' + ExpandConstant('{param:Machine}') + '"}');
    Status := Http.Status;
  except
    Status := 0;
  end;
  SaveStringToFile('Z:\work\statuses.txt', IntToStr(Status) + #13#10, True);
end;

procedure CurStepChanged(CurStep: TSetupStep);
begin
  if CurStep = ssPostInstall then
    Tell('/enroll');
end;

procedure CurUninstallStepChanged(CurUninstallStep: TUninstallStep);
begin
  if CurUninstallStep = usUninstall then
    Tell('/uninstall');
end;
"""
GREETING = r"""
[Code]
function InitializeSetup: Boolean;
var
  Lines: TArrayOfString;
begin
  Lines := [GetEnv('GREETING'), ExpandConstant('{param:Greeting}')];
  SaveStringsToUTF8File('Z:\work\greetings.txt', Lines, False);
  Log('Said: ' + Lines[0]);
  Result := False;
end;
"""


def script(windows, text, name="Probe.iss"):
    """Write a script into the work folder."""
    path = windows.work / name
    path.write_text(text, "utf-8-sig")
    return path


@pytest.fixture
def machine_id():
    return f"PC-{uuid4()}"


def compiled(windows, text):
    return windows.compile(script(windows, text), Token=OPERATOR_TOKEN)


def statuses(windows):
    """Return what the server answered, 0 where it did not."""
    return (windows.work / "statuses.txt").read_text().split()


def test_a_real_setup_and_its_uninstaller_tell_a_real_server(
    windows, server, machine_id
):
    setup = compiled(windows, PROBE)
    url = f"http://127.0.0.1:{server.port}/api/v1/agents"
    told = (f"/Url={url}", f"/Machine={machine_id}")

    installed = windows.install(setup, *told)
    assert installed.exit_code == 0, installed.output
    assert "Installation process succeeded." in installed.log
    names = {path.name for path in windows.path(APP).iterdir()}
    assert names == {"Probe.iss", "unins000.dat", "unins000.exe"}
    assert server.operator.machine(machine_id)["status"] == "active"

    removed = windows.uninstall(APP, *told)
    assert removed.exit_code == 0, removed.output
    assert "Uninstallation process succeeded." in removed.log
    assert not windows.path(APP).exists()
    assert server.operator.machine(machine_id)["status"] == "uninstalled"
    assert statuses(windows) == ["201", "200"]


def test_https_takes_a_trusted_authority(
    bed, tmp_path, https_front, server, trusted, machine_id
):
    doubtful, trusting = Windows(tmp_path / "1"), Windows(tmp_path / "2", trusted)
    setup = compiled(doubtful, PROBE)
    (trusting.work / setup.name).write_bytes(setup.read_bytes())
    for windows in (doubtful, trusting):
        setup = windows.work / setup.name
        told = (f"/Url={https_front.url}", f"/Machine={machine_id}")
        assert windows.install(setup, *told).exit_code == 0

    assert statuses(doubtful) == ["0"]
    assert statuses(trusting) == ["201"]
    assert len(https_front.requests) == 1  # nothing was said to one not trusted
    assert server.operator.machine(machine_id)["status"] == "active"


def test_texts_come_through_whole(windows):
    greeting = 'Zoé 王 O\'Connor "100%" \\'
    setup = compiled(windows, PROBE.partition("[Code]")[0] + GREETING)

    run = windows.install(setup, f"/Greeting={greeting}", env={"GREETING": greeting})

    assert run.exit_code == 1  # as Setup says that it was not let to begin
    said = (windows.work / "greetings.txt").read_text("utf-8-sig").splitlines()
    assert said[0] == greeting
    assert said[1].startswith("Zoé 王 O'Connor ")  # a quote is Setup's own there
    assert f"Said: {greeting}" in run.log


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("procedure Broken;\nbegin\n  NoSuchThing;\nend;", "Unknown identifier"),
        ("procedure Odd;\nvar\n  Unused: Integer;\nbegin\nend;", "never used"),
    ],
    ids=["error", "warning"],
)
def test_what_the_compiler_complains_of_is_an_error(windows, code, complaint):
    with pytest.raises(CompileError, match=complaint):
        compiled(windows, PROBE + code)


def test_each_windows_begins_fresh(bed, tmp_path):
    first, second = Windows(tmp_path / "1"), Windows(tmp_path / "2")
    first.run("cmd", "/c", r"echo x> C:\windows\mine.txt")
    assert first.path(r"C:\windows\mine.txt").exists()
    assert first.run("cmd", "/c", r"type C:\windows\mine.txt").exit_code == 0
    assert second.run("cmd", "/c", r"type C:\windows\mine.txt").exit_code == 1
    assert not (BED / "windows-32/drive_c/windows/mine.txt").exists()


def test_nothing_is_left_of_a_program_that_took_too_long(windows):
    with ThreadPoolExecutor() as pool:
        run = pool.submit(windows.run, "notepad", timeout=3)
        wait_until(lambda: processes_of(windows))
        with pytest.raises(subprocess.TimeoutExpired):
            run.result()
    wait_until(lambda: not processes_of(windows))


def processes_of(windows):
    """Return the processes that see the work folder of this Windows."""
    # What is mounted is named from the root of its file system.
    work = str(Path(*windows.work.parts[-4:]))
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it came to its end
            if work in (process / "mountinfo").read_text():
                found.append(process.name)
    return found


def wait_until(it_is_so):
    deadline = time.monotonic() + 30
    while not it_is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
