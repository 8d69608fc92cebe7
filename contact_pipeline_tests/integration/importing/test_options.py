"""What can be chosen for an import: trying it, policies, how the file is read; and undoing it."""

import random
from datetime import timedelta

import pytest
from pydantic import ValidationError

from contact_pipeline.database import queries
from contact_pipeline.database.records import COUNTS
from contact_pipeline.database.undo import undoing
from contact_pipeline.errors import CannotBeUndone, FileRefused, TooManyRejects
from contact_pipeline.files.csv import reader
from contact_pipeline.importing.dry_run_report import as_markdown
from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.integration.importing.test_identity_and_merging import DAY, random_row, write
from contact_pipeline_tests.running import content

TABLES = ("contacts", "contact_versions", "contributions", "import_chunks", "rejected_rows", "outbox")


def everything(importer):
    """How many rows each table has that an import writes to, and all contacts."""
    counts = [
        importer.connection.execute(f"SELECT count(*) AS n FROM {table}".encode()).fetchone()["n"] for table in TABLES
    ]
    return counts, importer.contacts()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chunk_rows", [5, 10_000])
def test_a_check_predicts_what_its_import_then_does_and_writes_nothing(
    importer, tmp_path, monkeypatch, seed, chunk_rows
):
    monkeypatch.setattr(reader, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 1_000)
    rng = random.Random(seed)
    for upload in range(4):
        rows = [random_row(rng) for _ in range(60)]
        path = write(tmp_path / f"{upload}.csv", rows)
        before = everything(importer)
        checked = importer.run(path, DAY + timedelta(days=upload), mode="check")
        assert checked["state"] == "checked"
        assert everything(importer) == before
        summary = importer.run(path, DAY + timedelta(days=upload))
        assert {count: checked[count] for count in COUNTS} == {count: summary[count] for count in COUNTS}
        records = [queries.find(importer.connection, each["upload_id"]) for each in (checked, summary)]
        assert records[0].warnings == records[1].warnings


def test_a_checked_import_can_be_imported_then(importer, tmp_path):
    path = tmp_path / "sample.csv"
    sample_files.write(path, 300, "A9", seed=3, dirty=0.1)
    checked = importer.run(path, mode="check")
    done = importer.load(checked["upload_id"], mode="import")
    assert done["state"] == "succeeded"
    assert {count: checked[count] for count in COUNTS} == {count: done[count] for count in COUNTS}
    assert len(importer.contacts()) == done["inserted"]


def test_the_report_of_a_check_tells_all_and_quotes_no_value(importer, write_csv):
    checked = importer.run(
        write_csv(
            "Email,First Name,# Employees,|Odd*Title|\n"
            "a@canary.example,CanaryName,11-50,CanaryExtra\nnot CanaryMail,CanaryName,CanaryNumber,x\n"
        ),
        mode="check",
    )
    record = queries.find(importer.connection, checked["upload_id"])
    page = as_markdown(record)
    for expected in (
        "Nothing was written", "| inserted | 1 |", "| rejected | 1 |", "| 2 | 3 | invalid\\_email | Email |",
        "range:employees", "| Email | email |", "extra: \\|Odd\\*Title\\|", "utf-8", "confidence: encoding",
    ):  # fmt: skip
        assert expected in page
    assert "canary" not in (page + str(record.report)).lower()


def test_strict_rejects_a_row_for_any_wrong_value(importer, write_csv):
    path = write_csv("Email,# Employees\na@x.example,few\nb@x.example,12\n")
    assert importer.run(path, mode="check")["rejected"] == 0
    summary = importer.run(path, strictness="strict")
    assert (summary["inserted"], summary["rejected"], summary["warnings"]) == (1, 1, 0)
    (reject,) = importer.rejects(summary["upload_id"])
    assert (reject["codes"], reject["columns"]) == (["invalid_number"], ["# Employees"])


@pytest.mark.parametrize("identity", ["Email", "Apollo Contact Id"])
@pytest.mark.parametrize(
    ("on_existing", "counts", "stored"),
    [
        ("update", (1, 1, 1), ("New", "Lee", "VP")),
        ("fill_blanks", (1, 1, 1), ("Old", "Lee", "VP")),
        ("skip", (1, 0, 2), ("Old", None, "VP")),
    ],
)
def test_what_a_row_does_to_a_contact_that_is_known(importer, write_csv, on_existing, counts, stored, identity):
    importer.run(write_csv(f"{identity},First Name,Last Name,Title\na@x.example,Old,,VP\nb@x.example,Bob,,\n"))
    summary = importer.run(
        write_csv(
            f"{identity},First Name,Last Name,Title\na@x.example,New,Lee,\nb@x.example,Bob,,\nc@x.example,Cy,,\n"
            "c@x.example,Cyd,,\n"
        ),
        on_existing=on_existing,
    )
    assert (summary["inserted"], summary["updated"], summary["unchanged"]) == counts
    assert summary["duplicate_in_file"] == 1
    first, _, third = importer.contacts()
    assert (first["first_name"], first["last_name"], first["title"]) == stored
    # What the file itself says twice is its own: the later row wins.
    assert third["first_name"] == "Cyd"


@pytest.mark.parametrize("on_existing", ["fill_blanks", "skip"])
def test_the_outcome_does_not_depend_on_where_chunks_end(importer, fresh_database, tmp_path, monkeypatch, on_existing):
    outcomes = []
    for chunk_rows in (3, 10_000):
        importer.connection.execute("TRUNCATE contacts RESTART IDENTITY")
        monkeypatch.setattr(reader, "CHUNK_ROWS", chunk_rows)
        rng = random.Random(5)
        importer.run(write(tmp_path / "a.csv", [random_row(rng) | {"contact_id": f"id{n}"} for n in range(20)]), DAY)
        rows = [random_row(rng) | {"contact_id": f"id{rng.randrange(40)}"} for _ in range(60)]
        summary = importer.run(write(tmp_path / "b.csv", rows), DAY + timedelta(days=1), on_existing=on_existing)
        outcomes.append((content(importer.connection), summary["inserted"]))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("limit", [{"max_rejects": 2}, {"max_reject_ratio": 0.2}])
@pytest.mark.parametrize("then", ["keep", "undo"])
def test_too_many_rejects_stop_the_import(importer, write_csv, monkeypatch, limit, then):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 5)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 50)
    path = write_csv("Email\n" + "".join(f"{'no' if n % 2 else f'a{n}@x.example'}\n" for n in range(40)))
    upload_id = importer.register(path)
    with pytest.raises(TooManyRejects) as stopped:
        importer.load(upload_id, on_too_many_rejects=then, **limit)
    kept = len(importer.contacts())
    if "max_rejects" in limit:
        assert kept == (5 if then == "keep" else 0)
        assert "4 rows of 10 were rejected" in str(stopped.value) or "5 rows of 10 were rejected" in str(stopped.value)
    else:
        assert kept == (20 if then == "keep" else 0)
    assert ("is kept" if then == "keep" else "contacts removed") in str(stopped.value)
    assert importer.summary(upload_id)["state"] == ("loading" if then == "keep" else "undone")


def test_a_check_says_that_its_import_would_stop(importer, write_csv):
    checked = importer.run(write_csv("Email\nno\nno\na@x.example\n"), mode="check", max_rejects=1)
    record = queries.find(importer.connection, checked["upload_id"])
    assert "2 rows of 3 were rejected" in record.report["stopped"]


def test_a_mapping_is_used_and_remembered_for_the_same_titles(importer, write_csv):
    text = "Who;Wo;Nachricht\na@x.example;Berlin;hallo\n"
    mapping = {"who": "email", "Wo": "city", "Nachricht": "extra"}
    with pytest.raises(FileRefused):
        importer.run(write_csv(text))
    assert importer.run(write_csv(text), mapping=mapping)["inserted"] == 1
    assert importer.run(write_csv(text.replace("a@", "b@")))["inserted"] == 1
    first, second = importer.contacts()
    assert (second["city"], second["extra"]) == (first["city"], first["extra"]) == ("Berlin", {"Nachricht": "hallo"})


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({"Nobody": "email"}, "unknown_column"),
        ({"Email": "no_field"}, "unknown_field"),
        ({"Email": "email", "Other": "email"}, "field_mapped_twice"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(importer, write_csv, mapping, code):
    with pytest.raises(FileRefused) as refused:
        importer.run(write_csv("Email,Other\na@x.example,x\n"), mapping=mapping)
    assert refused.value.code == code


def test_how_a_file_is_read_can_be_said(importer, write_csv):
    data = "a report\nEmail|First Name|Last Raised At\na@x.example|Zoë|3/4/2024\n".encode("cp1252")
    importer.run(write_csv(data), encoding="latin-1", delimiter="pipe", header_row=2, day_first=True, source="crm")
    (row,) = importer.contacts()
    assert (row["first_name"], str(row["last_raised_at"]), row["source"]) == ("Zoë", "2024-04-03", "crm")


def test_how_a_file_is_read_cannot_change_once_a_chunk_is_loaded(importer, tmp_path):
    path = tmp_path / "sample.csv"
    sample_files.write(path, 25_000, "A1", seed=3, dirty=0)
    upload_id = importer.register(path)

    def die(progress, chunks):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        importer.load(upload_id, die)
    with pytest.raises(FileRefused, match="cannot change once a chunk"):
        importer.load(upload_id, delimiter=";")
    assert importer.load(upload_id, strictness="strict")["inserted"] == 25_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "maybe"}, {"max_rejects": -1}, {"max_reject_ratio": 2}, {"delimiter": "x"}, {"encoding": "rot13"},
        {"header_row": 0}, {"source": "Not A Name"}, {"unheard_of": 1},
    ],
)  # fmt: skip
def test_a_choice_that_there_is_not_is_refused(wrong):
    with pytest.raises(ValidationError):
        ImportOptions.model_validate(wrong)


def test_an_undo_gives_back_what_was_and_leaves_what_came_since(importer, tmp_path):
    rng = random.Random(9)
    importer.run(write(tmp_path / "a.csv", [random_row(rng) for _ in range(60)]), DAY)
    before = content(importer.connection)
    second = importer.run(write(tmp_path / "b.csv", [random_row(rng) for _ in range(60)]), DAY + timedelta(days=1))
    undone = undoing.undo(importer.connection, second["upload_id"], "tester")
    assert content(importer.connection) == before
    assert (undone.removed, undone.kept) == (second["inserted"], 0)
    assert undone.restored > 0
    again = undoing.undo(importer.connection, second["upload_id"], "tester")
    assert (again.removed, again.restored, again.kept) == (0, 0, 0)
    assert content(importer.connection) == before
    assert importer.summary(second["upload_id"])["state"] == "undone"


def test_an_undo_leaves_what_another_import_has_said_since(importer, write_csv):
    header = "Apollo Contact Id,Email,Title\n"
    importer.run(write_csv(header + "1,a@x.example,one\n2,b@x.example,one\n"), DAY)
    second = importer.run(
        write_csv(header + "1,a@x.example,two\n2,b@x.example,two\n3,c@x.example,two\n"), DAY + timedelta(1)
    )
    importer.run(write_csv(header + "2,new@x.example,three\n"), DAY + timedelta(2))
    undone = undoing.undo(importer.connection, second["upload_id"], "tester")
    assert (undone.removed, undone.restored, undone.kept) == (1, 1, 0)
    assert [(row["email"], row["title"]) for row in importer.contacts("email")] == [
        ("a@x.example", "one"), ("new@x.example", "three"),
    ]  # fmt: skip


def test_what_runs_or_was_only_checked_cannot_be_undone(importer, write_csv):
    checked = importer.run(write_csv("Email\na@x.example\n"), mode="check")
    for upload_id in (checked["upload_id"], "unheard of"):
        with pytest.raises(CannotBeUndone):
            undoing.undo(importer.connection, upload_id, "tester")
