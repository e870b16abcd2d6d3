"""lea-fleet.sh: JSON written and read with each awk there is, and what shellcheck says.

mawk is Debian's awk, original-awk that of macOS and the BSDs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lea_fleet.core.limits import LONGEST_DETAIL
from tests.installer.posix import KIT, SCRIPTS

AWKS = [awk for awk in ("mawk", "gawk", "original-awk", "busybox") if shutil.which(awk)]

TEXTS = [
    'O\'Connor "Zoé" \\ 100%',
    "".join(map(chr, range(1, 0x250))),
    "\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
    "-n",
    "%s%d%%\\n",
    "\n\n",
    "x" * 255,
]

#: Bytes that are no UTF-8, and how Python reads them (Unicode 3.9, table 3-8).
BROKEN = [
    b"\xff",
    b"a\x80b",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xe6\x9d",
    b"\xf0\x9f\xa4x",
    b"\xe6\xe6\x9d\x8e\xc3\xa9\xc3",
]

ANSWERS = [
    ('{"code": "a", "agent": {"code": "b"}}', "a"),
    ('{"agent": {"code": "b", "x": ["code", {"code": 1}]}, "code": "a"}', "a"),
    ('{"agent": {"code": "b"}}', ""),
    ('{"x": "code", "y": "\\"code\\": \\"no\\"", "code": "a"}', "a"),
    ('{"x": "{[", "code": "a"}', "a"),
    ('{"x": "\\\\", "code": "a"}', "a"),
    ('{"co\\u0064e": "a"}', "a"),
    ('{"code": "\\u0041\\"\\\\\\/\\n\\u00e9\\ud83e\\udd16\\u001b."}', 'A"\\/ ????.'),
    ('{"code": "é\x1b"}', "???"),
    ('{\n  "x": [],\n  "code":\n    60\n}', "60"),
    ('{"code":-1.5e3}', "-1.5e3"),
    ('{"code": true}', "true"),
    ('{"code": null}', ""),
    ('{"code": {"code": "b"}}', ""),
    ('{"code": ["b"]}', ""),
    ('["code", "a"]', ""),
    ('"code"', ""),
    ('<a code="code">{"code": "a"}</a>', ""),
    ('{"code": "cut of', ""),
    ('{"code":', ""),
    ("", ""),
    ("[" * 5000 + '"code"', ""),
]


@pytest.fixture(params=AWKS)
def run(request, tmp_path):
    """Run shell code that knows lea-fleet.sh, with one awk; return what it says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "awk").symlink_to(shutil.which(request.param))

    def run(code, *words):
        done = subprocess.run(
            ["sh", "-euc", f'. "$0"; {code}', KIT / "lea-fleet.sh", *words],
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            cwd=tmp_path,
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode("ascii").splitlines()

    return run


def test_a_text_becomes_a_json_string_in_ascii(run):
    lines = run('for text; do json_string "$text" 600; done', *TEXTS)

    assert list(map(json.loads, lines)) == TEXTS


def test_a_text_is_cut_to_characters_and_not_to_bytes(run):
    texts = ["é" * 300, "🤖" * 300, "x" * 300]

    lines = run(f'for text; do json_string "$text" {LONGEST_DETAIL}; done', *texts)

    assert list(map(json.loads, lines)) == [text[:LONGEST_DETAIL] for text in texts]


def test_bytes_that_are_no_utf8_become_marks(run):
    lines = run('for text; do json_string "$text" 255; done', *BROKEN)

    for line, text in zip(lines, BROKEN, strict=True):
        readable = text.decode(errors="ignore")
        assert json.loads(line).replace("\ufffd", "") == readable
        assert "\ufffd" in json.loads(line)


def test_a_member_is_found_where_it_is_the_answers_own(run, tmp_path):
    for number, (answer, _) in enumerate(ANSWERS):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "answer").write_text(answer, "utf-8")

    folders = map(str, range(len(ANSWERS)))
    found = run('for work; do echo "<$(member code)>"; done', *folders)

    assert found == [f"<{value}>" for _, value in ANSWERS]


def test_shellcheck_finds_no_fault():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "--external-sources"] + list(SCRIPTS),
        cwd=KIT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )

    assert done.returncode == 0, done.stdout
