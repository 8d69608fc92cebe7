"""Rejects go round: what did not load comes back in a file, is fixed, and loads."""

import csv
import io

import openpyxl
import pytest

from contact_pipeline.database import queries
from contact_pipeline.errors import FileRefused, StoreFailed
from contact_pipeline.files.rejects_file import OWN_COLUMNS, guard, unguard
from contact_pipeline.importing.rejects_export import REJECTS, rejects_csv, rejects_xlsx
from contact_pipeline_tests.running import accounted

HEADER = ["Apollo Contact Id", "First Name", "Email", "Mobile Phone", "=Formula", "Notes"]
HOSTILE = ["=1+1", "+1 415-555-0100", "-2", "@sum", "\tx", "＝1", "'=x", "''", "'s-Hertogenbosch", "plain", "", "'"]


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def rejects_of(importer, upload_id) -> list[list[str]]:
    record = queries.find(importer.connection, upload_id)
    return rows_of(b"".join(rejects_csv(importer.connection, record)))


def write(path, rows, **options):
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, **options).writerows(rows)
    return path


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_guard_is_taken_off_exactly(cell):
    assert unguard(guard(cell)) == cell
    assert not guard(cell).startswith(tuple("=+-@\t\r\n＝＋－＠"))


@pytest.fixture
def five_hundred(tmp_path):
    """600 rows, of which 500 cannot say who they are, with every hostile value somewhere."""
    rows = [HEADER]
    for at in range(600):
        hostile = HOSTILE[at % len(HOSTILE)]
        bad = at >= 100
        rows.append(
            [
                "" if bad else f"id{at}",
                f"Zoë {hostile}",
                "nobody at all" if bad else "",
                "'+1 415-555-0100",
                hostile,
                hostile,
            ]
        )
    return write(tmp_path / "contacts.csv", rows)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_five_hundred_rejects_are_fixed_and_all_load(importer, five_hundred, tmp_path, form):
    first = importer.run(five_hundred)
    assert (first["inserted"], first["rejected"]) == (100, 500)
    record = queries.find(importer.connection, first["upload_id"])
    path = tmp_path / f"rejects.{form}"
    if form == "csv":
        path.write_bytes(b"".join(rejects_csv(importer.connection, record)))
        header, *rows = rows_of(path.read_bytes())
    else:
        rejects_xlsx(importer.connection, record, path)
        sheet = openpyxl.load_workbook(path).active
        assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n"}
        header, *rows = [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert header == [*HEADER[:4], "'=Formula", "Notes", *OWN_COLUMNS]
    assert not any(str(cell).startswith(tuple("=+-@\t\r")) for row in rows for cell in row)
    assert rows[0][6:] == ["101", "invalid_email:Email", "", first["upload_id"]]
    for at, row in enumerate(rows):
        row[2] = f"fixed{at}@example.com"
    if form == "csv":
        write(path, [header, *rows])
    else:
        book = openpyxl.Workbook()
        for row in [header, *rows]:
            book.active.append(row)
        book.save(path)
    second = importer.run(path)
    assert (second["inserted"], second["rejected"]) == (500, 0)
    stored = {row["email"]: row for row in importer.contacts() if row["email"]}
    for at in range(500):
        hostile = HOSTILE[(at + 100) % len(HOSTILE)]
        contact = stored[f"fixed{at}@example.com"]
        assert contact["source"] == "apollo"
        assert contact["first_name"] == f"Zoë {hostile}".strip()
        assert contact["mobile_phone"] == "+14155550100"
        # Unmapped columns are stored as they are written, guards and all.
        assert (contact["extra"] or {}).get("Notes", "").strip() == hostile.strip()
    assert queries.find(importer.connection, second["upload_id"]).rejects_of == first["upload_id"]


def test_what_is_not_fixed_comes_back_again_and_nothing_is_shifted(importer, tmp_path):
    path = tmp_path / "contacts.csv"
    path.write_bytes(
        b"Email,First Name,Notes\na@x.example,Ann\nb@x.example,Bob,x,too many\n"
        b'"c@x.example,Cy,open\nd@x.example,D\x00i,x\ne@x.example,E\xff\xfem,x\nno address,Flo,x\n'
    )
    first = importer.run(path)
    assert (first["inserted"], first["rejected"]) == (0, 6)
    table = rejects_of(importer, first["upload_id"])
    assert [row[5] for row in table[1:]] == [
        "a@x.example,Ann", "b@x.example,Bob,x,too many", '"c@x.example,Cy,open', "", "", "",
    ]  # fmt: skip
    assert [row[:3] for row in table[1:4]] == [["", "", ""]] * 3
    again = importer.run(write(tmp_path / "again.csv", table))
    assert (again["inserted"], again["rejected"]) == (0, 6)
    codes = [row["codes"][0] for row in importer.rejects(again["upload_id"])]
    assert codes == [
        "wrong_number_of_columns", "wrong_number_of_columns", "unclosed_quote", "nul_byte", "invalid_utf8",
        "invalid_email",
    ]  # fmt: skip
    table = rejects_of(importer, again["upload_id"])
    assert table[0] == ["Email", "First Name", "Notes", *OWN_COLUMNS]
    assert [row[5] for row in table[1:4]] == ["a@x.example,Ann", "b@x.example,Bob,x,too many", '"c@x.example,Cy,open']
    for at, row in enumerate(table[1:]):
        row[:3] = [f"fixed{at}@x.example", "Fixed", "x"]
    last = importer.run(write(tmp_path / "fixed.csv", table))
    assert (last["inserted"], last["rejected"]) == (6, 0)


def test_fixed_rejects_are_read_as_the_file_that_they_come_from(importer, tmp_path):
    path = write(
        tmp_path / "contacts.csv",
        [
            ["Nummer", "E-Mail", "Last Raised At", "Annual Revenue"],
            ["7", "a@x.example", "25/12/2023", "1.234,50"],
            ["8", "nobody", "3/4/2024", "1.250"],
        ],
        delimiter=";",
    )
    first = importer.run(path, mapping={"Nummer": "account_id"}, source="ours")
    table = rejects_of(importer, first["upload_id"])
    table[1][1] = "b@x.example"
    second = importer.run(write(tmp_path / "fixed.csv", table))
    assert second["inserted"] == 1
    (row,) = [row for row in importer.contacts() if row["email"] == "b@x.example"]
    assert (row["source"], row["account_id"], str(row["last_raised_at"]), row["annual_revenue"]) == (
        "ours", "8", "2024-04-03", 1250,
    )  # fmt: skip


def test_the_rejects_file_is_in_the_bucket_before_the_import_has_succeeded(importer, five_hundred, monkeypatch):
    upload_id = importer.register(five_hundred)

    def refuse(*_):
        raise StoreFailed("S3 is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(importer.store), "put", refuse)
        with pytest.raises(StoreFailed):
            importer.load(upload_id)
    assert importer.summary(upload_id)["state"] == "verifying"
    assert importer.load(upload_id)["state"] == "succeeded"
    stored = importer.store.s3.get_object(Bucket=importer.store.bucket, Key=f"{REJECTS}{upload_id}.csv")
    assert rows_of(stored["Body"].read()) == rejects_of(importer, upload_id)
    assert accounted(importer.summary(upload_id)) == 600


def test_rejects_that_do_not_fit_into_a_sheet_are_refused(importer, tmp_path):
    path = write(tmp_path / "contacts.csv", [["Email", "Notes"], ["nobody", "x" * 40_000]])
    summary = importer.run(path)
    record = queries.find(importer.connection, summary["upload_id"])
    with pytest.raises(FileRefused, match="as CSV"):
        rejects_xlsx(importer.connection, record, tmp_path / "rejects.xlsx")
