"""Detect the encoding of a CSV file, as the programs of Windows write it.

================================  =====================================================
Excel, CSV                        the code page of Windows: 1252 in western countries
Excel, CSV UTF-8                  UTF-8 with a mark
Excel, Unicode text               UTF-16 with a mark, tabs
Excel, CSV (MS-DOS)               the code page of DOS: 850 in Europe, 437 in the US
Windows PowerShell, Export-Csv    ASCII; ``-Encoding UTF8``, ``Unicode``, ``UTF32`` with
                                  a mark, ``Default`` as Excel's CSV, ``OEM`` as DOS
Windows PowerShell, ``>``         UTF-16 with a mark
PowerShell 7, LibreOffice         UTF-8 without a mark
================================  =====================================================

Of a single-byte encoding only the letters tell; any other than these two must be named.
"""

from __future__ import annotations

import codecs
import io
import re
from functools import partial
from typing import IO

#: Byte order marks, and the encoding of a file that begins with one. The one of UTF-32
#: begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: How a heading begins in UTF-16 without a mark: a character of ASCII takes two bytes.
_UNMARKED_UTF_16 = {
    "utf-16-le": re.compile(rb"[\t -~]\0[\t\r\n -~]\0"),
    "utf-16-be": re.compile(rb"\0[\t -~]\0[\t\r\n -~]"),
}

#: Small letters with accents in Windows-1252, but for the sharp s of DOS.
_SMALL_IN_WINDOWS = re.compile(rb"[\xe0\xe2-\xff]")

#: What no word has in Windows-1252: an undefined character, a sign after a letter, a
#: sign or space between letters, a capital letter after a small one.
_ODD_IN_WINDOWS = re.compile(
    r"\ufffd|(?<=[^\W\d_])[‚ƒ„†‡ˆ‰‹‘“•˜]"
    r"|(?<=[^\W\d_])[”…–—›\xa0¡¢£¤¥](?=[^\W\d_])|(?<=[a-z])[ŠŒŽŸ]"
)

#: The same in the code pages of DOS.
_ODD_IN_DOS = re.compile(
    r"[\u2500-\u25ff\x80-\x9f]|(?<=[^\W\d_])[¿®¬½¼»«×ƒ]"
    r"|(?<=[a-zà-öø-ÿ])[ÇÄÅÉÆÖÜØÑÁÂÀÃÐÊËÈÍÎÏ]"
)

#: Bytes that are not UTF-8, as Python escapes them; characters beyond ASCII.
_NO_UTF8 = re.compile("[\udc80-\udcff]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")

#: The most characters of a line, so that a file without lines cannot fill the memory.
_LONGEST_LINE = 1024 * 1024


#: The encoding of DOS, in which its code page 437 has the same letters.
DOS = "cp850"


class NotCsv(ValueError):
    """A file that cannot be read as a table; the text says why."""


def text_of(file: IO[bytes], given: str | None = None) -> io.TextIOWrapper:
    """Return *file* as text in its encoding, with its line ends unchanged.

    *given* is the encoding that somebody named; without it, it is detected.

    The whole file is read: its last byte may be the one that is not valid UTF-8.
    """
    for encoding in _encodings(file, given):
        file.seek(0)
        text = io.TextIOWrapper(file, encoding, newline="")
        try:
            _refuse_other_than_lines(text)
            return text
        except UnicodeError:
            text.detach()  # otherwise it would close the file
            if encoding.startswith("utf-8") and given is None:
                _refuse_damaged_utf8(file, encoding)
    if given is not None:
        raise NotCsv(f"It is not text in the encoding {given}.")
    raise NotCsv(
        "It is not text: neither UTF-8 nor UTF-16 nor Windows-1252. If it is in"
        " another encoding, name it with --encoding, such as cp850 or cp1250."
    )


def is_text_encoding(name: str) -> bool:
    """Tell whether *name* is an encoding of text that Python knows."""
    try:
        "".encode(name)
        b"".decode(name)
    except (LookupError, ValueError):  # also one from bytes to bytes; a NUL
        return False
    return True


def _refuse_damaged_utf8(file: IO[bytes], encoding: str) -> None:
    """Refuse a file that is mostly valid UTF-8, with some damaged bytes.

    If it were read as Windows-1252, each of its umlauts would become two wrong letters.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="")
    faults, letters, first = 0, 0, 0
    for number, line in enumerate(iter(partial(text.readline, _LONGEST_LINE), ""), 1):
        if line.isascii():
            continue
        damaged = _NO_UTF8.findall(line)
        faults += len(damaged)
        letters += len(_BEYOND_ASCII.findall(line)) - len("".join(damaged))
        first = first or (number if damaged else 0)
    text.detach()
    if letters >= faults:
        raise NotCsv(f"Line {first} is damaged: it is not UTF-8, as the others are.")


def _refuse_other_than_lines(text: io.TextIOWrapper) -> None:
    number = 0
    while line := text.readline(_LONGEST_LINE):
        number += 1
        if "\0" in line:
            raise NotCsv(f"Line {number} has a NUL character: it is not a CSV file.")
        if len(line) == _LONGEST_LINE and line[-1] not in "\r\n":
            raise NotCsv(f"Line {number} has over {_LONGEST_LINE} characters.")


def _encodings(file: IO[bytes], given: str | None) -> tuple[str, ...]:
    """Return the encodings to try, one after the other."""
    file.seek(0)
    start = file.read(max(map(len, _MARKS)))
    marked = (name for mark, name in _MARKS.items() if start.startswith(mark))
    encoding = next(marked, None)
    if given is not None:  # the mark is no part of the text
        is_unicode = codecs.lookup(given).name.startswith("utf")
        return (encoding if encoding and is_unicode else given,)
    if encoding is not None:
        return (encoding,)
    for name, pattern in _UNMARKED_UTF_16.items():
        if pattern.match(start):
            return (name,)
    return ("utf-8", DOS if _is_from_dos(file) else "cp1252")


def _is_from_dos(file: IO[bytes]) -> bool:
    """Tell whether a file that is not UTF-8 makes sense in the code page of DOS.

    Code pages 850 and 437 have the same letters of western languages. In Windows-1252,
    where most of those are signs, they stand within words; they must do so more often
    than in the other direction, and there must be no small letter of Windows-1252.
    """
    file.seek(0)
    windows, dos = 0, 0
    for line in iter(partial(file.readline, _LONGEST_LINE), b""):
        if line.isascii():
            continue
        if _SMALL_IN_WINDOWS.search(line):
            return False
        windows += len(_ODD_IN_WINDOWS.findall(line.decode("cp1252", "replace")))
        dos += len(_ODD_IN_DOS.findall(line.decode(DOS)))
    return windows > 2 * dos
