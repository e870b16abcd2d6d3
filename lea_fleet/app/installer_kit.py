"""What sets a machine up: the installer kit, and a command for Linux and macOS."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

#: Where the scripts and setup.exe look for the enrollment token.
TOKEN_FILE = "lea-enroll-token.txt"

#: Replaced in the files by the URL of the API.
_PLACEHOLDER = b"https://rpa.example.com/api/v1/agents"

#: The line of enroll.sh that reads the functions from their file.
_SOURCING = b'\n. "$here/lea-fleet.sh"\n'

# ZIP has no earlier date: the same kit is the same file at any time.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR, _UNIX = 0o100000, 3

# The token is read from the terminal or a file, and passed to curl by its standard
# input and to the script in the environment: neither is in the process list, as
# arguments are. Nothing is run before curl has all of it, nor the page that a proxy
# sends instead. What has the token is written by echo, which is part of every sh: where
# printf is a program, the process list would show it.
_COMMAND = (
    "sudo sh -c '"
    "set -e; umask 077; d=$(mktemp -d);"
    ' t() { if [ -t 0 ]; then stty "$1"; printf %b "$2" >&2; fi; };'
    ' e() { t echo; rm -rf "$d"; }; trap e EXIT; trap "exit 1" HUP INT TERM;'
    ' n() { echo "No script from $u: check token and address." >&2; exit 1; };'
    ' t -echo "Enrollment token: "; k=$(head -n 1 | LC_ALL=C tr -cd 0-9A-Za-z._~+/=-);'
    ' t echo "\\n"; u={url};'
    ' echo "header = \\"Authorization: Bearer $k\\"" |'
    ' curl -q -g -fsS -m 60 -K - -o "$d/enroll.sh" "$u/installer-kit/enroll.sh"'
    ' || n; grep -q "^find_enrollment_token" "$d/enroll.sh" || n;'
    ' LEA_ENROLL_TOKEN=$k sh "$d/enroll.sh" --url "$u" "$@"'
    "' lea"
)


def kit_files(url: str, token: str) -> dict[str, bytes]:
    """Return the files of the kit by name, for the API at *url*, as api_url() gives it.

    The enrollment *token* is in TOKEN_FILE, the last of them, and in no other.
    """
    kit = {
        file.name: file.read_bytes().replace(_PLACEHOLDER, url.encode("ascii"))
        for file in files("lea_fleet").joinpath("installer").iterdir()
        if file.is_file()
    }
    return {**dict(sorted(kit.items())), TOKEN_FILE: f"{token}\n".encode("ascii")}


def is_script(content: bytes) -> bool:
    """Tell whether a file of the kit is one to be run."""
    return content.startswith(b"#!")


def zipped(kit: Mapping[str, bytes], folder: str) -> bytes:
    """Return the files of *kit* as a ZIP, all in one *folder* there.

    Its scripts are executable, and the token's file is its owner's alone.
    """
    whole = BytesIO()
    with ZipFile(whole, "w") as archive:
        for name, content in kit.items():
            member = ZipInfo(f"{folder}/{name}", _DATE)
            member.create_system = _UNIX
            member.external_attr = (_REGULAR | _mode(name, content)) << 16
            archive.writestr(member, content, ZIP_DEFLATED)
    return whole.getvalue()


def _mode(name: str, content: bytes) -> int:
    if name == TOKEN_FILE:
        return 0o600
    return 0o755 if is_script(content) else 0o644


def enroll_script() -> bytes:
    """Return enroll.sh with its functions, in one file, for any server: see --url."""
    folder = files("lea_fleet").joinpath("installer")
    script = folder.joinpath("enroll.sh").read_bytes()
    functions = folder.joinpath("lea-fleet.sh").read_bytes()
    return script.replace(_SOURCING, b"\n" + functions)


def setup_command(url: str) -> str:
    """Return the command, one line, that enrolls a machine with the API at *url*.

    For a shell of Linux or macOS. It asks for an enrollment token, which it does not
    contain, or reads it from a file: ``… <lea-enroll-token.txt``. *url* is what
    api_url() gives, which has nothing in it that a shell would interpret.
    """
    return _COMMAND.replace("{url}", url)
