import datetime
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from contact_pipeline.errors import FileRefused
from contact_pipeline.files.excel.workbook import read_sheet
from contact_pipeline_tests.unit.files.reading import dialect_of, malformed, read, rows

HEADER = ["Email", "First Name", "Last Raised At", "# Employees", "Replied", "Mobile Phone"]


def workbook(*sheets, hidden=(), **options) -> bytes:
    """An `.xlsx` of (name, rows) sheets."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "yyyy-mm-dd", **options})
    for name, table in sheets:
        sheet = book.add_worksheet(name)
        for at, row in enumerate(table):
            sheet.write_row(at, 0, row)
        if name in hidden:
            sheet.hide()
    book.close()
    return out.getvalue()


CONTACTS = [
    HEADER,
    ["zoë@example.com", "Zoë", datetime.date(2021, 5, 1), 250, True, 4155550100],
    ["b@example.com", 'says "hi",\ntwice', datetime.datetime(2021, 5, 1, 13, 30), 2.5, False, "+1 415"],
    ["c@example.com"],
]
READ = [
    ("zoë@example.com", "Zoë", "2021-05-01", "250", "true", "4155550100"),
    ("b@example.com", 'says "hi",\ntwice', "2021-05-01T13:30:00", "2.5", "false", "+1 415"),
    ("c@example.com", "", "", "", "", ""),
]


@pytest.mark.parametrize("options", [{}, {"date_1904": True}])
def test_typed_cells_come_out_as_text(options):
    chunks = read(workbook(("Sheet1", CONTACTS), **options))
    assert rows(chunks) == READ


def test_cells_without_a_shared_string_table():
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"constant_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, HEADER)
    sheet.write_row(1, 0, ["a@b.c", "Ann_x000D_"])
    book.close()
    assert [row[:2] for row in rows(read(out.getvalue()))] == [("a@b.c", "Ann_x000D_")]


def test_a_workbook_that_another_program_wrote():
    book = openpyxl.Workbook()
    for row in CONTACTS:
        book.active.append(row)
    book.active["H2"] = "=1+1"
    out = io.BytesIO()
    book.save(out)
    assert [row[:6] for row in rows(read(out.getvalue()))] == READ


def test_the_sheet_is_chosen_by_its_content():
    data = workbook(
        ("Summary", [["Contacts of 2026"], ["Total", 3]]),
        ("Hidden", [HEADER, ["hidden@example.com", "x"]]),
        ("People", CONTACTS),
        hidden=["Hidden"],
    )
    assert dialect_of(data).sheet == "People"
    assert rows(read(data)) == READ


def test_lines_are_the_rows_of_the_sheet():
    table = [["A report"], [], HEADER, *CONTACTS[1:3], [], ["d@example.com"]]
    chunks = read(workbook(("Sheet1", table)))
    assert [chunks[0].line_of(place) for place in range(3)] == [4, 5, 7]
    too_wide = [HEADER, *[["a@example.com"]] * 120, ["b@example.com", *[""] * 9, "beyond"]]
    assert malformed(read(workbook(("Sheet1", too_wide)))) == [(121, 122, "wrong_number_of_columns", None)]


def test_large_numbers_are_not_rounded_and_rounded_ones_stay_as_they_are():
    table = [["Email", "Notes"], ["a@b.c", 123456789012345], ["b@b.c", 1.23e20], ["c@b.c", 0.1]]
    assert [row[1] for row in rows(read(workbook(("S", table))))] == ["123456789012345", "1.23E+20", "0.1"]


def test_values_that_would_be_formulas_are_text():
    table = [["Email", "Notes"], ["a@b.c", "=1+1"]]
    assert rows(read(workbook(("S", table), strings_to_formulas=False))) == [("a@b.c", "=1+1")]


def test_a_workbook_within_an_archive_is_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("contacts.xlsx", workbook(("Sheet1", CONTACTS)))
    assert rows(read(out.getvalue())) == READ


def test_a_resumed_sheet_goes_on_where_it_was():
    from contextlib import closing

    from contact_pipeline.files.csv import reader
    from contact_pipeline.files.text import Text
    from contact_pipeline_tests.unit.files.reading import MemoryBlob

    data = workbook(("S", [HEADER, *[[f"a{i}@example.com", "A\nB"] for i in range(8)]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_ROWS", 3)
        dialect = dialect_of(data)
        chunks = read(data, dialect=dialect)
        second = chunks[0].next()
        text = Text(MemoryBlob(data), dialect.content_encoding, second.offset)
        with closing(text.blocks()) as blocks:
            again = list(reader.read_chunks(blocks, dialect, second, text.bytes_read))
    assert rows(again) == rows(chunks[1:])
    assert again[0].line_of(0) == 5


def repacked(data: bytes, **parts: bytes) -> bytes:
    """A workbook with some of its parts replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name.rsplit("/", 1)[-1].split(".")[0], old.read(name)))
    return out.getvalue()


LOL = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    b"<worksheet><sheetData><row><c><v>&b;</v></c></row></sheetData></worksheet>"
)


@pytest.mark.parametrize(
    ("sheet", "code"),
    [
        (LOL, "damaged_workbook"),
        (b"<worksheet><sheetData>", "damaged_workbook"),
        (
            b'<worksheet><sheetData><row r="9999999"><c r="A9999999"><v>1</v></c></row></sheetData></worksheet>',
            "damaged_workbook",
        ),
        (
            b'<worksheet><sheetData><row r="1"><c r="ZZZZ1"><v>1</v></c></row></sheetData></worksheet>',
            "damaged_workbook",
        ),
        (
            b'<worksheet><sheetData><row r="1"><c t="s"><v>99999</v></c></row></sheetData></worksheet>',
            "damaged_workbook",
        ),
        (b"<worksheet>" + b" " * (300 << 20) + b"</worksheet>", "workbook_too_large"),
        (
            b'<worksheet><sheetData><row><c t="str"><v>'
            + b"a" * (200 << 20)
            + b"</v></c></row></sheetData></worksheet>",
            "damaged_workbook",
        ),
    ],
    ids=["entities", "cut", "row", "column", "string", "bomb", "cell"],
)
def test_hostile_workbooks_are_refused_in_bounded_time(sheet, code):
    started = time.monotonic()
    with pytest.raises(FileRefused) as refused:
        dialect_of(repacked(workbook(("S", CONTACTS)), sheet1=sheet))
    assert refused.value.code == code
    assert time.monotonic() - started < 60


def test_a_child_that_would_take_too_much_memory_is_given_up(tmp_path):
    cells = b"".join(b'<c t="str"><v>' + b"%04d" % i * 200_000 + b"</v></c>" for i in range(110))
    path = tmp_path / "wide.xlsx"
    sheet = b"<worksheet><sheetData><row>" + cells + b"</row></sheetData></worksheet>"
    path.write_bytes(repacked(workbook(("S", CONTACTS)), sheet1=sheet))
    limited = (
        "import sys; from contact_pipeline.files.excel import worker; "
        "worker.MEMORY_BYTES = 80 << 20; sys.exit(worker.main())"
    )
    with path.open("rb") as source:
        ended = subprocess.run([sys.executable, "-c", limited, "", "60"], stdin=source, capture_output=True)
    assert ended.returncode == 1
    assert json.loads(ended.stderr)["code"] == "workbook_too_large"


def test_a_child_that_would_take_too_long_is_given_up():
    rows_ = b'<row><c t="str"><v>Email</v></c></row>' * 2_000_000
    data = repacked(workbook(("S", CONTACTS)), sheet1=b"<worksheet><sheetData>" + rows_ + b"</sheetData></worksheet>")
    with pytest.raises(FileRefused) as refused:
        list(read_sheet([data], "", 1))
    assert refused.value.code == "workbook_too_slow"


def test_an_encrypted_workbook_is_refused():
    # An encrypted .xlsx is an OLE file with a stream of this name.
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(4096)
    with pytest.raises(FileRefused) as refused:
        dialect_of(data)
    assert refused.value.code == "encrypted"


def test_the_child_is_killed_when_nobody_reads_on():
    import psutil

    blocks = read_sheet([workbook(("S", [HEADER, *[["a@b.c", "x" * 100]] * 50_000]))])
    next(blocks)
    (child,) = [process for process in psutil.Process().children() if "excel.worker" in " ".join(process.cmdline())]
    blocks.close()
    assert not child.is_running()


def test_an_old_workbook_is_read():
    # Written by LibreOffice: a sheet without contacts, and the contacts.
    data = (Path(__file__).parent / "contacts.xls").read_bytes()
    assert dialect_of(data).sheet == "People"
    assert rows(read(data)) == READ


def sheet_xml(*rows: str) -> bytes:
    """A worksheet of rows as they stand in it."""
    body = "".join(f"<row>{row}</row>" for row in rows)
    return f"<worksheet><sheetData>{body}</sheetData></worksheet>".encode()


def inline(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


TITLES = "".join(map(inline, ["Email", "First Name", "Last Name", "City"]))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (inline("a@b.c") + "<c/>" + inline("Lee") + inline("Rome"), ("a@b.c", "", "Lee", "Rome")),
        ('<c r="A2" t="str"><v>a@b.c</v></c><c/><c r="D2" t="str"><v>Rome</v></c>', ("a@b.c", "", "", "Rome")),
        ('<c r="B2"/>' + inline("Lee"), ("", "", "Lee", "")),
        ('<c t="inlineStr"><is><t>500</t></is><v>500</v></c>' + inline("Ann"), ("500", "Ann", "", "")),
        ("<c><v>500</v><is><t>500</t></is></c>" + inline("Ann"), ("500", "Ann", "", "")),
        ('<c t="s"><v> 0 </v></c>' + inline("Ann"), ("Email", "Ann", "", "")),
    ],
)
def test_a_cell_without_a_reference_stands_behind_the_one_before_it(cells, values):
    data = repacked(workbook(("S", CONTACTS)), sheet1=sheet_xml(TITLES, cells, TITLES.replace("Email", "x@y.z")))
    assert rows(read(data))[0] == values


FORMATS = [
    (501, "00000", "00501"),
    (123456789, "00000-0000", "12345-6789"),
    (12345678, "000-00-0000", "012-34-5678"),
    (501, "0", "501"),
    (1.5, "0.00", "1.5"),
    (501, '"No. "0', "501"),
    (501, "[Magenta]0", "501"),
    (501, "[Red][>100]General", "501"),
    (44317, "[Magenta]yyyy-mm-dd", "2021-05-01"),
    (44317.5625, "d/m/yy h:mm", "2021-05-01T13:30:00"),
    (44317, "mmm", "2021-05-01"),
    (0.5625, "h:mm", "13:30:00"),
    (0.5625, "mm:ss", "13:30:00"),
    (1.5, "[h]:mm", "36:00:00"),
    (1.5, "[hh]:mm:ss", "36:00:00"),
    (44317, 'd "de" mmmm', "2021-05-01"),
    (12, "# ?/?", "12"),
    (0.25, "0%", "0.25"),
]


@pytest.mark.parametrize(("number", "code", "text"), FORMATS)
def test_a_number_format_says_what_a_number_is(number, code, text):
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Email", "First Name"])
    sheet.write(1, 0, "a@b.c")
    sheet.write_number(1, 1, number, book.add_format({"num_format": code}))
    book.close()
    assert rows(read(out.getvalue())) == [("a@b.c", text)]


@pytest.mark.parametrize(("number", "code", "text"), FORMATS)
def test_openpyxl_takes_the_same_formats_for_dates(number, code, text):
    ours = text.count("-") == 2 and text[:4] in ("2021", "1900")
    theirs = openpyxl.styles.numbers.is_date_format(code)
    if "h" not in code and "s" not in code:
        assert ours == theirs


def test_the_sheet_that_says_who_people_are_is_read_and_the_others_are_named():
    companies = [["Company", "Website", "Industry", "City", "Country", "Annual Revenue"]] + [["Acme"] * 6] * 3
    data = workbook(("Companies", companies), ("People", CONTACTS), ("Blank", []), ("Notes", [["read me"]]))
    assert dialect_of(data).sheet == "People"
    assert dialect_of(data).other_sheets == ("Companies", "Notes")


def test_the_sheet_can_be_said():
    data = workbook(("Old", CONTACTS[:2]), ("New", CONTACTS), hidden=("New",))
    assert dialect_of(data).sheet == "Old"
    assert len(rows(read(data, sheet="new"))) == 3
    with pytest.raises(FileRefused, match="'Old', 'New'") as refused:
        read(data, sheet="Leads")
    assert refused.value.code == "no_such_sheet"
    with pytest.raises(FileRefused) as refused:
        read(b"Email,First Name\na@b.c,Ann\n", sheet="Leads")
    assert refused.value.code == "no_such_sheet"


def test_names_of_parts_are_the_same_in_any_case():
    data = workbook(("S", CONTACTS))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name.upper().replace("XL/", "Xl/"), source.read(name))
    assert rows(read(out.getvalue())) == READ


def test_row_numbers_of_an_open_document_are_those_of_its_sheet():
    row = "<table:table-row>{}</table:table-row>"
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    lines = [row.format("<table:table-cell/>")] * 3
    lines.append(row.format(cell.format("Email") + cell.format("First Name")))
    lines.append(row.format(cell.format("a@b.c") + cell.format("Ann")))
    content = (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="S">{"".join(lines)}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    chunks = read(out.getvalue())
    assert rows(chunks) == [("a@b.c", "Ann")]
    assert chunks[0].line_of(0) == 5
