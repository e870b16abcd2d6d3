"""CSV of other programs: any common delimiter, encoding and line ending."""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import closing

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lea_fleet.core.csv.encoding import NotCsv, is_text_encoding
from lea_fleet.core.csv.reading import CsvFile, Line
from lea_fleet.core.csv.writing import protected, unprotected
from lea_fleet.core.machine import DETAILS

COLUMNS = ("machine_id", *DETAILS)
ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


def read(content):
    """Return the lines of a file, and its unknown columns."""
    if isinstance(content, str):
        content = content.encode()
    with closing(io.BytesIO(content)) as file:
        table = CsvFile(file, COLUMNS, required="machine_id")
        lines = list(table.lines())
        assert list(table.lines()) == lines  # may be read repeatedly
        assert table.position() == table.size == len(content)
        return lines, table.ignored


def cells(content):
    lines, _ = read(content)
    assert not [line.fault for line in lines if line.fault]
    return [line.cells for line in lines]


# Excel and other programs


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_each_delimiter_encoding_and_end_of_line(delimiter, encoding, end):
    rows = [["machine_id", "user_name"], ["PC-1", "Zoé Lefèvre"], ["PC-2", ""]]
    text = "".join(delimiter.join(row) + end for row in rows)
    content = MARKS.get(encoding, b"") + text.encode(encoding)

    assert cells(content) == [
        {"machine_id": "PC-1", "user_name": "Zoé Lefèvre"},
        {"machine_id": "PC-2", "user_name": ""},
    ]


HEADING = ["machine_id", "user_name"]
PEOPLE = [["PC-1", "Zoé Lefèvre"], ["PC-2", "François Ünlü"], ["PC-3", "Noël; Hélène"]]


def table(delimiter, *, quoted=False, end="\r\n", before=""):
    """Return the bytes of the table of PEOPLE without an encoding, as text."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([HEADING, *PEOPLE])
    return before + text.getvalue()


TYPE = "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n"
POWERSHELL = table(",", quoted=True)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(table(";").encode("cp1252"), id="Excel, CSV, French"),
        pytest.param(table(",").encode("cp1252"), id="Excel, CSV, English"),
        pytest.param(table(";").encode("utf-8-sig"), id="Excel, CSV UTF-8"),
        pytest.param(table("\t").encode("utf-16"), id="Excel, Unicode text"),
        pytest.param(table(";").encode("cp850"), id="Excel, CSV MS-DOS, Europe"),
        pytest.param(table(",").encode("cp437"), id="Excel, CSV MS-DOS, US"),
        pytest.param((TYPE + POWERSHELL).encode("utf-8-sig"), id="PS 5, UTF8, TYPE"),
        pytest.param(POWERSHELL.encode("utf-8-sig"), id="PS 5, UTF8"),
        pytest.param((TYPE + POWERSHELL).encode("utf-16"), id="PS 5, Unicode"),
        pytest.param(
            codecs.BOM_UTF16_BE + POWERSHELL.encode("utf-16-be"),
            id="PS 5, BigEndianUnicode",
        ),
        pytest.param(POWERSHELL.encode("utf-32"), id="PS 5, UTF32"),
        pytest.param((TYPE + POWERSHELL).encode("cp1252"), id="PS 5, Default"),
        pytest.param((TYPE + POWERSHELL).encode("cp850"), id="PS 5, OEM"),
        pytest.param(table(";", quoted=True).encode(), id="PS 7, UseCulture"),
        pytest.param((TYPE + POWERSHELL).encode(), id="PS 7, IncludeTypeInformation"),
        pytest.param(table(",", end="\n").encode(), id="LibreOffice"),
        pytest.param(table("\t", end="\n").encode(), id="LibreOffice, tabs"),
        pytest.param(table(",").encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(table(",").encode("utf-16-be"), id="UTF-16 BE without a mark"),
        pytest.param(table(";").encode("cp850") + b"\x1a", id="DOS, copy, Ctrl-Z"),
        pytest.param(table(",").encode("cp1252") + b"\x1a\r\n", id="Ctrl-Z, a line"),
    ],
)
def test_files_as_the_programs_of_windows_write_them(content):
    assert cells(content) == [dict(zip(HEADING, row)) for row in PEOPLE]


def test_powershell_5_without_an_encoding_writes_ascii():
    content = (TYPE + POWERSHELL).encode("ascii", "replace")

    assert cells(content)[0] == {"machine_id": "PC-1", "user_name": "Zo? Lef?vre"}


@pytest.mark.parametrize(
    "name",
    [
        "Zoé",
        "L’Oréal",
        "Škoda",
        "Miloš Zeman",
        "Œuvre",
        "sœur",
        "Dvořák".replace("ř", "r"),
        "Paris – Lyon",
        "“Lulu” Müller",
        "Dávid",
        "Attente…",
        "Straße",
        "ZOÉ LEFÈVRE",
        "ÇA",
        "5 €",
        "n° 5",
    ],
)
def test_what_windows_writes_is_not_taken_for_dos(name):
    content = f"machine_id;user_name\r\nPC-1;{name}\r\n".encode("cp1252")

    assert cells(content) == [{"machine_id": "PC-1", "user_name": name}]


@pytest.mark.parametrize(
    "name", ["Zoé", "Lefèvre", "Müller", "ZOÉ", "Señor", "Côté", "Maïté", "Straßé"]
)
@pytest.mark.parametrize("encoding", ["cp850", "cp437"])
def test_what_dos_writes_is_not_taken_for_windows(name, encoding):
    content = f"machine_id;user_name\r\nPC-1;{name}\r\n".encode(encoding)

    assert cells(content) == [{"machine_id": "PC-1", "user_name": name}]


@pytest.mark.parametrize(
    "encoding, name",
    [
        ("cp1250", "Dvořák Łukasz"),
        ("mac_roman", "Zoé Lefèvre"),
        ("cp1251", "Иван"),
        ("utf-16-le", "Zoé"),
        ("UTF-8", "Zoé"),
        ("utf-16", "Zoé"),
    ],
)
@pytest.mark.parametrize("mark", [False, True])
def test_any_other_encoding_can_be_named(encoding, name, mark):
    text = f"machine_id;user_name\rPC-1;{name}\r"
    unicode = encoding.lower().startswith("utf") and encoding != "utf-16"
    content = ("\ufeff" * (mark and unicode) + text).encode(encoding)
    with closing(io.BytesIO(content)) as file:
        named = CsvFile(file, COLUMNS, required="machine_id", encoding=encoding)
        (line,) = named.lines()

    assert line.cells == {"machine_id": "PC-1", "user_name": name}


def test_an_encoding_that_the_file_does_not_have_is_refused():
    with closing(io.BytesIO("machine_id\nPC-é\n".encode("cp1252"))) as file:
        with pytest.raises(NotCsv, match="not text in the encoding utf-8"):
            CsvFile(file, COLUMNS, required="machine_id", encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["", "nothing", "base64", "rot13", "a\0b", "undefined"]
)
def test_what_is_no_encoding_of_text(name):
    assert not is_text_encoding(name)


WHOLE, DAMAGED = "Zoé".encode(), "🦊".encode()[:-1]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize(
    ("names", "line"), [((WHOLE, DAMAGED), 3), ((DAMAGED, WHOLE), 2)]
)
def test_damaged_utf_8_is_not_read_as_windows_1252(mark, names, line):
    content = mark + b"machine_id;user_name\nPC-1;%b\nPC-2;%b\n" % names

    with pytest.raises(NotCsv, match=f"Line {line} is damaged: it is not UTF-8"):
        read(content)


def writable(encoding):
    """Return texts that Excel could have in a cell and write in *encoding*."""
    letters = st.characters(codec=encoding, exclude_characters="\0")
    return st.text(letters, max_size=20)


@given(data=st.data(), delimiter=st.sampled_from([";", ",", "\t"]), sep=st.booleans())
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_written_is_read(encoding, data, delimiter, sep):
    codec = "cp1252" if encoding == "cp1252" else "utf-8"
    texts = writable(codec)
    order = data.draw(st.permutations(COLUMNS))
    ids = st.builds("PC-{}é".format, texts)  # in Windows-1252, a final é is not UTF-8
    row = st.fixed_dictionaries({"machine_id": ids} | {n: texts for n in DETAILS})
    rows = data.draw(st.lists(row, max_size=4))
    text = io.StringIO(newline="")
    if sep:
        text.write(f"sep={delimiter}\r\n")
    writer = csv.DictWriter(text, order, delimiter=delimiter)
    writer.writeheader()
    writer.writerows({n: protected(v) for n, v in each.items()} for each in rows)
    content = MARKS.get(encoding, b"") + text.getvalue().encode(encoding)
    if encoding == "cp1252":  # and no other bytes that are letters in UTF-8
        assume(content.decode("utf-8", "ignore").isascii())

    expected = [{n: unprotected(protected(v)) for n, v in r.items()} for r in rows]
    assert cells(content) == expected


@given(text=st.text())
def test_protection_is_taken_off_again(text):
    if text == unprotected(text) and "\0" not in text:  # not protected already
        assert unprotected(protected(text)) == text


@given(content=st.binary(max_size=200) | st.text("\";,'\r\n\tab=").map(str.encode))
@pytest.mark.parametrize("start", [b"", b"machine_id;version\n", *MARKS.values()])
def test_whatever_it_holds_it_is_read_or_refused(start, content):
    try:
        lines, _ = read(start + content)
    except NotCsv as error:
        assert str(error).endswith(".")
    else:
        numbers = [line.number for line in lines]
        assert numbers == sorted(set(numbers))


# The heading


@pytest.mark.parametrize(
    "heading",
    ["MACHINE_ID;User Name", " machine-id ; user-name", "Machine\u00a0Id;USER_NAME;"],
)
def test_a_heading_is_known_however_it_is_written(heading):
    assert cells(f"{heading}\nPC-1;Zoé\n") == [
        {"machine_id": "PC-1", "user_name": "Zoé"}
    ]


def test_columns_stand_in_any_order_and_others_are_named_once():
    lines, ignored = read("site;Version;machine_id;;site\nLyon;1.4;PC-1;;\n")

    assert lines == [Line(2, {"version": "1.4", "machine_id": "PC-1"})]
    assert ignored == ["site"]


@pytest.mark.parametrize("first", ["sep=|\r\n", '"sep=|"\n', "SEP=|\r"])
def test_a_first_line_of_excels_says_the_delimiter(first):
    lines, _ = read(f"{first}machine_id|version\nPC-1|1,4;5\n")

    assert lines == [Line(3, {"machine_id": "PC-1", "version": "1,4;5"})]


def test_the_other_delimiters_may_stand_in_the_cells():
    content = "machine_id,user_name\nPC-1,a;b;c;d\n"

    assert cells(content) == [{"machine_id": "PC-1", "user_name": "a;b;c;d"}]


@pytest.mark.parametrize("content", ["name;version\n", "machine id.\n", "1;2\nx;y\n"])
def test_a_missing_column_is_named_with_those_that_there_may_be(content):
    with pytest.raises(NotCsv, match="no column machine_id .* user_email, user_id"):
        read(content)


# The lines


def test_numbers_are_right_behind_blank_and_quoted_ends_of_lines():
    heading = '\nmachine_id;"version"\n\n'

    lines, _ = read(f'{heading}PC-1;"a\nb\r\nc"\n ; \n"PC-2"\nPC-3;1;;\n')

    assert lines == [
        Line(4, {"machine_id": "PC-1", "version": "a\nb\r\nc"}),
        Line(8, {"machine_id": "PC-2"}),
        Line(9, {"machine_id": "PC-3", "version": "1"}),
    ]


def test_a_quote_that_is_never_closed_swallows_nothing_in_silence():
    lines, _ = read('machine_id;version\nPC-1;"1\nPC-2;2\nPC-3;3\n')

    ((number, _, fault),) = lines
    assert number == 2
    assert fault.startswith("cannot be read as CSV, up to line 4")


def test_what_can_be_read_after_a_fault_is_read():
    long = csv.field_size_limit() + 1
    lines, _ = read(f'machine_id\n"a"b\nPC-1\n{"x" * long}\nPC-2\na;b;c\nPC-3')

    known = [(line.number, line.cells["machine_id"]) for line in lines if line.cells]
    assert known == [(3, "PC-1"), (5, "PC-2"), (6, "a"), (7, "PC-3")]
    faults = [(line.number, line.fault) for line in lines if line.fault]
    assert [number for number, _ in faults] == [2, 4, 6]
    assert "field larger than field limit" in faults[1][1]
    assert faults[2][1].startswith("has 3 cells, and the heading 1")
