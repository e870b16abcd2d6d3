"""What the kit for Inno Setup calls in Windows is declared as wide as Windows has it.

A 64-bit setup, which Inno Setup 7 makes, passes pointers and handles of 8 bytes; one
that is declared with 4 has anything in its upper half. No Windows is needed to see it.
"""

from __future__ import annotations

import re

import pytest

from tests.installer.pc import KIT

#: The parameters and the result of each function, by the headers of Windows: p is a
#: pointer, a handle, SIZE_T or DWORD_PTR, d has 4 bytes, w 2, v is nothing.
WINDOWS = {
    "CloseHandle": "p:d",
    "CoCreateGuid": "p:d",
    "ConvertSidToStringSidW": "pp:d",
    "ConvertStringSecurityDescriptorToSecurityDescriptorW": "pdpp:d",
    "CreateFileW": "pddpddp:p",
    "CryptProtectData": "pppppdp:d",
    "CryptUnprotectData": "pppppdp:d",
    "GetComputerNameExW": "dpp:d",
    "GetFileAttributesW": "p:d",
    "GetFinalPathNameByHandleW": "ppdd:d",
    "GetTickCount": ":d",
    "LocalAlloc": "dp:p",
    "LocalFree": "p:p",
    "LookupAccountNameW": "ppppppp:d",
    "MoveFileExW": "ppd:d",
    "ReadFile": "ppdpp:d",
    "RtlMoveMemory": "ppp:v",
    "SetFileSecurityW": "pdp:d",
    "WinHttpCloseHandle": "p:d",
    "WinHttpConnect": "ppwd:p",
    "WinHttpOpen": "pdppd:p",
    "WinHttpOpenRequest": "ppppppd:p",
    "WinHttpQueryDataAvailable": "pp:d",
    "WinHttpQueryHeaders": "pdpppp:d",
    "WinHttpReadData": "ppdp:d",
    "WinHttpReceiveResponse": "pp:d",
    "WinHttpSendRequest": "ppdpddp:d",
    "WinHttpSetOption": "pdpd:d",
    "WinHttpSetTimeouts": "pdddd:d",
    "WriteFile": "ppdpp:d",
    "lstrcpynW": "ppd:p",
}

#: Types of Inno Setup 6.4 and 7. THandle and DWORD_PTR have 4 bytes in 32-bit setups.
WIDTHS = {
    "AnsiString": "p",
    "Boolean": "d",
    "Cardinal": "d",
    "DWORD": "d",
    "DWORD_PTR": "p",
    "Integer": "d",
    "String": "p",
    "THandle": "p",
    "Word": "w",
    "": "v",
}

SOURCE = "\n".join(path.read_text("utf-8") for path in KIT.glob("*.iss"))
DECLARED = re.findall(
    r"(?:function|procedure) \w+(?:\(([^)]*)\))?(?:: (\w+))?;\s*external '(\w+)@",
    SOURCE,
)


def width(parameter, kind):
    return "p" if parameter.strip().startswith("var ") else WIDTHS[kind.strip()]


def widths(parameters, result):
    """Return the widths of a declaration, written as in WINDOWS."""
    found = []
    for group in filter(None, parameters.split(";")):
        names, _, kind = group.partition(":")
        found += [width(group, kind)] * (names.count(",") + 1)
    return f"{''.join(found)}:{WIDTHS[result]}"


def test_every_function_of_windows_is_found():
    assert SOURCE.count("\nexternal '") == len(DECLARED)
    assert {name for _, _, name in DECLARED} == set(WINDOWS)


@pytest.mark.parametrize(("parameters", "result", "name"), DECLARED)
def test_handles_and_pointers_are_as_wide_as_those_of_windows(parameters, result, name):
    assert widths(parameters, result) == WINDOWS[name]


def test_no_handle_or_pointer_is_kept_in_4_bytes():
    names = "Handle|Session|Connection|Request|Descriptor|Lock|LeaFleetLock|Memory"
    kept = re.findall(rf"\b(?:{names})\b[\w, ]*: (\w+)", SOURCE)

    assert len(kept) > 10
    assert set(kept) <= {"THandle", "DWORD_PTR"}


@pytest.mark.parametrize("record", ["TLeaFleetSecurity", "TLeaFleetBlob"])
def test_records_are_padded_as_windows_does(record):
    (fields,) = re.findall(rf"{record} = record\s+(.*?)\s+end;", SOURCE, re.DOTALL)

    assert set(re.findall(r": (\w+);", fields)) == {"DWORD_PTR"}
