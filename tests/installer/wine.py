"""A Windows with no screen: Inno Setup's compiler and what it makes, run by Wine.

setup_testbed.sh builds the bed; each Windows begins as fresh as the bed's, with a
work folder that is Z:\\work to its programs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

_HERE = Path(__file__).parent
_SETUP = _HERE / "setup_testbed.sh"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BED = Path(os.environ.get("LEA_TESTBED") or _CACHE / "lea-fleet-testbed")

_WORK = PureWindowsPath(r"Z:\work")
_QUIETLY = ("/VERYSILENT", "/SUPPRESSMSGBOXES", "/NORESTART")
_DEADLINE = 120  # seconds


def why_there_is_no_bed():
    """Return why no Windows is to be had on this machine, or None."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "the installer's test bed needs root on Linux"
    try:
        version = (BED / "version").read_text().strip()
    except FileNotFoundError:
        return f"no test bed in {BED}: run {_SETUP}"
    if version != hashlib.sha256(_SETUP.read_bytes()).hexdigest():
        return f"the test bed in {BED} is of another version: run {_SETUP}"
    return None


class CompileError(Exception):
    """The compiler's output, where it made no setup.exe or had a warning."""


@dataclass(frozen=True)
class Run:
    """How a Windows program ended; *log* is what Setup or Uninstall logged."""

    exit_code: int
    output: str
    log: str = ""


class Windows:
    """A Windows of its own in *folder*, of 32 or 64 *bits*.

    *ca* is a file of authorities it trusts.
    """

    def __init__(self, folder, ca="", bits=32):
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self._changes = folder / "windows"  # beyond the fresh Windows of the bed
        self._ca = ca
        self._bits = str(bits)

    def path(self, path):
        """Return where the file or folder *path* of this Windows is for us."""
        path = PureWindowsPath(path)
        if path.is_relative_to(_WORK):
            return self.work.joinpath(*path.relative_to(_WORK).parts)
        assert path.drive.upper() == "C:", path
        return self._changes.joinpath("drive_c", *path.parts[1:])

    def run(self, program, *arguments, env=None, timeout=_DEADLINE):
        """Run *program* to the end of all its processes; *env* is added to its own."""
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        in_bed = [_HERE / "in_bed.sh", BED, self._bits]
        places = [self._changes, self.work, self._ca]
        ended = subprocess.run(
            [*in_bed, *places, *variables, program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        return Run(ended.returncode, ended.stdout.decode(errors="replace"))

    def compile(self, script, **defines):
        """Compile *script*, a file in the work folder; return its setup.exe there.

        Raises CompileError, for a warning too.
        """
        name = script.stem + "-setup"
        run = self.run(
            r"Z:\opt\innosetup\ISCC.exe",
            *(f"/D{define}={value}" for define, value in defines.items()),
            rf"/O{_WORK}",
            f"/F{name}",
            str(_WORK / script.relative_to(self.work)),
        )
        if run.exit_code != 0 or "\nWarning: " in run.output:
            raise CompileError(run.output)
        return self.work / f"{name}.exe"

    def install(self, setup, *parameters, **options):
        """Run *setup*, a file in the work folder."""
        program = str(_WORK / setup.relative_to(self.work))
        return self._run_logged(program, *parameters, **options)

    def uninstall(self, app, *parameters, **options):
        """Run the uninstaller in *app*, a folder of this Windows."""
        program = str(PureWindowsPath(app) / "unins000.exe")
        return self._run_logged(program, *parameters, **options)

    def _run_logged(self, program, *parameters, **options):
        log = self.work / "last.log"
        log.unlink(missing_ok=True)
        to_log = rf"/LOG={_WORK}\{log.name}"
        run = self.run(program, *_QUIETLY, to_log, *parameters, **options)
        text = log.read_text("utf-8-sig") if log.exists() else ""
        return Run(run.exit_code, run.output, text)
