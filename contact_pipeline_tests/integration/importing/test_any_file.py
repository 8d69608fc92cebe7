"""One logical file in many dressings, and what is wrong with single rows of it."""

import csv
import gzip
import io
import zipfile
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow
import pytest

from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELD_BY_NAME
from contact_pipeline.database.records import COUNTS
from contact_pipeline.errors import FileRefused
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.running import accounted, content
from contact_pipeline_tests.unit.files.vendors import VENDORS


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A sample file's rows, header first, without what a code page does not have."""
    path = tmp_path_factory.mktemp("dressings") / "sample.csv"
    sample_files.write(path, 60, "A9", seed=5, dirty=0)
    with path.open(newline="", encoding="utf-8") as source:
        rows = list(csv.reader(source))
    cities = ["Zürich", "Orléans", "Malmö", "São Paulo"]
    city = rows[0].index("City")
    for at, row in enumerate(rows[1:]):
        row[city] = cities[at % 4]
        # A cell of a spreadsheet has no line ends but LF.
        rows[at + 1] = [
            cell.replace("\r", "")
            .encode("cp1252", "replace")
            .decode("cp1252")
            .encode("mac_roman", "replace")
            .decode("mac_roman")
            for cell in row
        ]
    return rows


def written(table, delimiter=",", line_end="\n", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(table)
    return text.getvalue()


def workbook(table):
    book = openpyxl.Workbook()
    for row in table:
        book.active.append([cell or None for cell in row])
    for row in book.active.iter_rows():
        for cell in row:
            if cell.data_type == "f":
                cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("contacts.csv", data)
    return out.getvalue()


def as_excel_saves_it(table):
    """Bare empties, booleans in capitals, CRLF, a byte order mark."""
    return [[{"true": "TRUE", "false": "FALSE"}.get(cell, cell) for cell in row] for row in table]


DRESSINGS = {
    "quoted.csv": lambda t: written(t, quoting=csv.QUOTE_ALL).encode(),
    "bom.csv": lambda t: written(t).encode("utf-8-sig"),
    "utf16.txt": lambda t: written(t, "\t").encode("utf-16"),
    "cp1252.csv": lambda t: written(t, ";", "\r\n").encode("cp1252"),
    "mac.csv": lambda t: written(t).encode("mac_roman"),
    "semicolon.csv": lambda t: written(t, ";").encode(),
    "tab.tsv": lambda t: written(t, "\t").encode(),
    "crlf.csv": lambda t: written(t, line_end="\r\n").encode(),
    "sep.csv": lambda t: ("sep=|\r\n" + written(t, "|", "\r\n")).encode("utf-8-sig"),
    "contacts.csv.gz": lambda t: gzip.compress(written(t).encode()),
    "contacts.csv.zst": lambda t: pyarrow.compress(written(t).encode(), codec="zstd", asbytes=True),
    "contacts.zip": lambda t: zipped(written(t).encode()),
    "contacts.xlsx": workbook,
    "resaved.csv": lambda t: written(as_excel_saves_it(t), line_end="\r\n").encode("utf-8-sig"),
    "preamble.csv": lambda t: ('Notes:\n"Exported, with care"\n\n' + written(t)).encode(),
}


@pytest.fixture
def plain(importer, table, tmp_path):
    """What the plain file gives."""
    path = tmp_path / "plain.csv"
    path.write_bytes(written(table).encode())
    summary = importer.run(path)
    assert (summary["inserted"], summary["rejected"], summary["warnings"]) == (60, 0, 0)
    before = content(importer.connection)
    importer.connection.execute("TRUNCATE contacts RESTART IDENTITY")
    return before


def test_one_file_in_many_dressings_gives_the_same_contacts(importer, table, plain, tmp_path):
    for name, dress in DRESSINGS.items():
        path = tmp_path / name
        path.write_bytes(dress(table))
        summary = importer.run(path)
        # In another code page the same bytes are letters of words as well.
        guesses = int(name in ("cp1252.csv", "mac.csv"))
        assert (name, summary["inserted"], summary["rejected"], summary["warnings"]) == (name, 60, 0, guesses)
        assert (name, content(importer.connection)) == (name, plain)
        importer.connection.execute("TRUNCATE contacts RESTART IDENTITY")


HEADER = "Apollo Contact Id,Email,First Name,# Employees,Annual Revenue,Last Raised At,Mobile Phone,Title"
GOOD = "id{n},n{n}@x.example,Ada,12,5000,2021-05-01,+1 415 555 0100,CEO"
POISON: dict[str, tuple[bytes, str, str]] = {
    "nul": (b"p0,p0@x.example,A\x00da,1,1,,,", "nul_byte", "First Name"),
    "surrogate": (b"p1,p1@x.example,A\xed\xa0\x80,1,1,,,", "invalid_utf8", "First Name"),
    "overlong": (b"p2,p2@x.example,A\xc0\x80,1,1,,,", "invalid_utf8", "First Name"),
    "bytes": (b"p3,p3@x.example,\xff\xfe,1,1,,,", "invalid_utf8", "First Name"),
    "large cell": (b"p4,p4@x.example," + b"x" * (2 << 20) + b",1,1,,,", "too_long", ""),
    "ragged": (b"p5,p5@x.example,Ada,1", "wrong_number_of_columns", ""),
    "wide": (b"p6,p6@x.example,Ada,1,1,,,,,more", "wrong_number_of_columns", ""),
    "quote": (b'p7,p7@x.example,"Ada,1,1,,,', "unclosed_quote", ""),
    "nobody": (b",,Ada,1,1,,,", "missing_identity", ""),
}
DROPPED: dict[str, tuple[bytes, str]] = {
    "digits": (b"d0,d0@x.example,Ada,1," + b"9" * 10_000 + b",,,", "invalid_amount:annual_revenue"),
    "year 0": (b"d1,d1@x.example,Ada,1,1,0000-01-01,,", "invalid_date:last_raised_at"),
    "year 9999": (b"d2,d2@x.example,Ada,1,1,9999-01-01,,", "out_of_range:last_raised_at"),
    "BC": (b"d3,d3@x.example,Ada,1,1,44 BC,,", "invalid_date:last_raised_at"),
    "NaN": (b"d4,d4@x.example,Ada,1,inf,,,", "invalid_amount:annual_revenue"),
    "rounded phone": (b"d5,d5@x.example,Ada,1,1,,4.91764E+11,", "scientific_notation:mobile_phone"),
    "range": (b"d6,d6@x.example,Ada,11-50,1,,,", "range:employees"),
}
HARMLESS = (
    "h0,h0@x.example,\u202eadA\u202c,1,1,,,",
    "h1,h1@x.example,\U0001f600,1,1,,,",
    "h2,h2@x.example,A\u200bda,1,1,,,",
    "h3,h3@x.example,\\.,1,1,,,",
    "h4,\ufeffh4@x.example,Ada,1,1,,\u202a+1 415 555 0100\u202c,",
)


def test_each_poison_row_is_rejected_alone_and_its_neighbours_load(importer, tmp_path):
    lines: list[bytes] = [HEADER.encode(), b"\\."]
    number = 0
    poisoned = [case[0] for case in POISON.values()] + [case[0] for case in DROPPED.values()]
    for row in [*poisoned, *(text.encode() for text in HARMLESS)]:
        lines += [GOOD.format(n=number).encode(), row]
        number += 1
    lines[1:2] = []
    path = tmp_path / "poison.csv"
    path.write_bytes(b"\n".join([*lines, GOOD.format(n=number).encode()]) + b"\n")
    checked = importer.run(path, mode="check")
    summary = importer.run(path)
    assert [checked[count] for count in COUNTS] == [summary[count] for count in COUNTS]
    rejects = importer.rejects(summary["upload_id"])
    assert [(reject["codes"][0], reject["columns"][0]) for reject in rejects] == [
        (code, column) for _, code, column in POISON.values()
    ]
    assert [reject["line"] for reject in rejects] == [3 + 2 * at for at in range(len(POISON))]
    assert summary["inserted"] == number + 1 + len(DROPPED) + len(HARMLESS)
    assert accounted(summary) == summary["rows"]
    record = importer.connection.execute("SELECT warnings FROM imports WHERE state = 'succeeded'").fetchone()
    for _, warning in DROPPED.values():
        assert warning in record["warnings"]
    stored = {row["contact_id"]: row for row in importer.contacts()}
    assert stored["h4"]["email"] == "h4@x.example"
    assert stored["h4"]["mobile_phone"] == "+14155550100"
    assert stored["h2"]["first_name"] == "Ada"
    # What was dropped is kept as it was written.
    assert stored["d5"]["extra"] == {"Mobile Phone": "4.91764E+11"}
    assert stored["d6"]["extra"] == {"# Employees": "11-50"}


def test_a_hundred_thousand_columns_are_refused_in_a_sentence(importer, tmp_path):

    path = tmp_path / "wide.csv"
    path.write_text("Email," + ",".join(f"c{i}" for i in range(100_000)) + "\n")
    with pytest.raises(FileRefused, match="columns"):
        importer.run(path)


def test_thousands_day_first_and_decimal_commas_are_read_by_column(importer, write_csv):
    importer.run(
        write_csv(
            "ZoomInfo Contact ID;Email Address;Revenue (in 000s USD);Total Funding;Recent Funding Date\n"
            "1;a@x.example;1.250,5;1.250;3/4/2024\n2;b@x.example;12;12,5;25/12/2023\n"
        )
    )
    first, second = importer.contacts("contact_id")
    assert first["source"] == "zoominfo"
    assert (first["annual_revenue"], first["total_funding"]) == (Decimal("1250500.00"), Decimal("1250.00"))
    assert (str(first["last_raised_at"]), str(second["last_raised_at"])) == ("2024-04-03", "2023-12-25")
    assert second["total_funding"] == Decimal("12.50")


def test_several_values_of_a_cell_go_where_the_row_has_room(importer, write_csv):
    importer.run(
        write_csv(
            "Name,E-mail 1 - Value,Phone 1 - Value,Organization Name,Labels\n"
            "Dr. Ada van Dyk,A@x.example ::: b@x.example ::: c@x.example ::: d@x.example,"
            "+1 415 555 0100 ::: 030 1234567,Acme,"
            "* myContacts ::: Friends\n"
        )
    )
    (row,) = importer.contacts()
    assert (row["first_name"], row["last_name"]) == ("Ada", "van Dyk")
    assert (row["email"], row["secondary_email"], row["tertiary_email"]) == (
        "a@x.example",
        "b@x.example",
        "c@x.example",
    )
    assert (row["work_direct_phone"], row["other_phone"]) == ("+14155550100", "030 1234567")
    assert row["lists"] == "myContacts, Friends"
    assert row["extra"] == {
        "Name": "Dr. Ada van Dyk",
        "E-mail 1 - Value": "A@x.example ::: b@x.example ::: c@x.example ::: d@x.example",
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_file_of_each_vendor_lands_field_by_field(importer, tmp_path, vendor):
    values = {
        Kind.EMAIL: "{name}@x.example", Kind.PHONE: "+1415555{at:04}", Kind.URL: "http://{name}.example/{at}",
        Kind.AMOUNT: "{at}", Kind.INTEGER: "{at}", Kind.DATE: "2024-05-{day:02}", Kind.SCORE: "0.5",
    }  # fmt: skip
    row: list[str] = []
    expected: dict[str, Any] = {}
    for at, (_, name) in enumerate(VENDORS[vendor]):
        kind = FIELD_BY_NAME[name].kind if name in FIELD_BY_NAME else Kind.TEXT
        text = values.get(kind, "{name}{at}").format(name=f"c{at}", at=at, day=at % 28 + 1)
        if name == "full_name":
            text = "Ada Lovelace"
            expected |= {"first_name": "Ada", "last_name": "Lovelace"}
        elif name is not None:
            expected[name] = text
        row.append(text)
    path = tmp_path / "vendor.csv"
    titles = [title for title, _ in VENDORS[vendor]]
    preamble = 'Notes:\n"What you should know, in a sentence"\n\n' if vendor == "linkedin" else ""
    path.write_text(preamble + written([titles, row]))
    checked = importer.run(path, mode="check")
    summary = importer.run(path)
    assert (summary["inserted"], summary["rejected"], summary["warnings"]) == (1, 0, 0)
    # What a review counts is what the import does.
    assert [checked[count] for count in COUNTS] == [summary[count] for count in COUNTS]
    (stored,) = importer.contacts()
    for name, text in expected.items():
        value = stored[name]
        if vendor == "zoominfo" and name in ("annual_revenue", "total_funding", "latest_funding_amount"):
            value /= 1000
        if FIELD_BY_NAME[name].kind is Kind.AMOUNT:
            value = int(value)
        assert (name, str(value)) == (name, text)
    unmapped = [text for text, (_, name) in zip(row, VENDORS[vendor], strict=True) if name is None]
    assert sorted((stored["extra"] or {}).values()) == sorted(unmapped)
