"""Checks, options, rejects and undo, as people reach them: the command line, the API, the launchpad."""

from __future__ import annotations

import csv
import json
from typing import Any

import httpx
import openpyxl
import pytest

from contact_pipeline.database import queries
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline_tests.running import eventually


def events_of(dagster, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Materialisations and Markdown of observations of a run."""
    data = dagster.ask(
        """query ($id: ID!) { runOrError(runId: $id) { ... on Run { assetMaterializations { partition }
               eventConnection { events { __typename ... on ObservationEvent { metadataEntries { label
                   ... on MarkdownMetadataEntry { mdStr } } } } } } } }""",
        id=run_id,
    )["runOrError"]
    entries = [entry for event in data["eventConnection"]["events"] for entry in event.get("metadataEntries", ())]
    return {"materialised": data["assetMaterializations"], "observed": [entry for entry in entries if "mdStr" in entry]}


def ended(dagster, run_id: str) -> str:
    answer: str = eventually(lambda: (s := dagster.status(run_id)) in ("SUCCESS", "FAILURE", "CANCELED") and s)
    return answer


@pytest.fixture
def contacts_file(tmp_path):
    path = tmp_path / "trying.csv"
    with path.open("w", newline="") as target:
        csv.writer(target).writerows(
            [["Email", "First Name", "# Employees"]]
            + [[f"try{n}@trying.example", "Ann", "12"] for n in range(10)]
            + [["nobody", "=Bob", "11-50"]]
        )
    return path


def test_a_check_reports_and_a_later_import_does_it(cli, dagster, warehouse, contacts_file):
    found = cli.json("check", str(contacts_file), "--strictness", "strict")
    assert (found["state"], found["inserted"], found["rejected"]) == ("checked", 10, 1)
    first = found["report"]["columns"][0]
    assert (first["column"], first["field"], first["values"]) == ("Email", "email", 11)
    assert not warehouse.execute("SELECT 1 FROM contacts WHERE email LIKE '%@trying.example'").fetchall()
    upload_id = found["upload_id"]
    (run,) = eventually(lambda: [run for run in dagster.runs(upload_id) if run["status"] == "SUCCESS"])
    events = events_of(dagster, run["runId"])
    assert events["materialised"] == []
    assert "Nothing was written" in events["observed"][-1]["mdStr"]

    key = partition_key(upload_id, queries.find(warehouse, upload_id).uploaded_at)
    assert ended(dagster, dagster.launch(key)) == "SUCCESS"
    assert queries.find(warehouse, upload_id).state == "checked"
    imported = dagster.launch(key, {"mode": "import", "strictness": "lenient"})
    assert ended(dagster, imported) == "SUCCESS"
    record = queries.find(warehouse, upload_id)
    assert (record.state, record.inserted, record.rejected) == ("succeeded", 10, 1)
    assert len(events_of(dagster, imported)["materialised"]) == 1

    shown = cli.json("show", upload_id)
    assert (shown["options"], shown["reading"]["reading"]["encoding"]) == ({}, "utf-8")
    undone = cli.run("undo", upload_id)
    assert "10 contacts removed" in undone.stdout
    assert not warehouse.execute("SELECT 1 FROM contacts WHERE email LIKE '%@trying.example'").fetchall()


def test_a_check_is_a_page_for_people(cli, contacts_file):
    done = cli.run("check", str(contacts_file), "--delimiter", "comma")
    assert done.returncode == 0
    assert "Nothing was written" in done.stdout
    assert "confidence: delimiter" in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "Email try0@trying.example · try1@trying.example · try2@trying.example 100% email known title" in lines
    assert "11 12 Email its row is rejected not an e-mail address" in lines


def test_an_option_that_there_is_not_is_told_in_a_sentence(cli, dagster, warehouse, contacts_file):
    done = cli.run("import", str(contacts_file), "--on-existing", "explode")
    assert done.returncode == 2
    assert "--on-existing" in done.stderr
    assert "Traceback" not in done.stderr
    checked = cli.json("check", str(contacts_file))["upload_id"]
    key = partition_key(checked, queries.find(warehouse, checked).uploaded_at)
    assert ended(dagster, dagster.launch(key, {"mode": "explode"})) == "FAILURE"
    assert "the option mode is wrong" in queries.find(warehouse, checked).error


def test_rejects_of_a_workbook_are_fixed_in_excel_and_load(cli, stack, tmp_path):
    book = openpyxl.Workbook()
    for row in [["Email", "First Name"], ["round@trip.example", "Ann"], ["nobody", "Bob"], ["nobody", "Cy"]]:
        book.active.append(row)
    path = tmp_path / "people.xlsx"
    book.save(path)
    first = cli.json("import", str(path), "--wait")
    assert (first["inserted"], first["rejected"]) == (1, 2)
    fixed = tmp_path / "rejects.xlsx"
    done = cli.run("rejects", first["upload_id"], "-o", str(fixed))
    assert "2 rows to fix" in done.stdout
    book = openpyxl.load_workbook(fixed)
    for at, row in enumerate(book.active.iter_rows(min_row=2)):
        row[0].value = f"round{at}@trip.example"
    book.save(fixed)
    second = cli.json("import", str(fixed), "--wait")
    assert (second["inserted"], second["rejected"]) == (2, 0)
    assert cli.json("show", second["upload_id"])["rejects_of"] == first["upload_id"]

    token = {"Authorization": f"Bearer {stack.api_token.get_secret_value()}"}
    url = f"{stack.api_url}/api/imports/{first['upload_id']}/rejects"
    answer = httpx.get(url, headers=token)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(answer.content.decode("utf-8-sig").splitlines())
    assert header[:2] == ["Email", "First Name"]
    assert [row[1] for row in rows] == ["Bob", "Cy"]
    assert httpx.get(url).status_code == 401
    assert httpx.get(url.replace(first["upload_id"], "0" * 32), headers=token).status_code == 404


def test_too_many_rejects_fail_the_run_for_good_and_undo_what_was_loaded(cli, dagster, warehouse, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("Email\n" + "".join(f"{'no' if n % 2 else f'bad{n}@stop.example'}\n" for n in range(100)))
    done = cli.run(
        "import", str(path), "--wait", "--json", "--max-reject-ratio", "0.1", "--on-too-many-rejects", "undo"
    )
    summary = json.loads(done.stdout)
    assert done.returncode == 1
    assert summary["state"] == "undone"
    assert "50 rows of 100 were rejected" in summary["error"]
    assert "50 contacts removed" in summary["error"]
    assert not warehouse.execute("SELECT 1 FROM contacts WHERE email LIKE '%@stop.example'").fetchall()
    (run,) = eventually(lambda: [r for r in dagster.runs(summary["upload_id"]) if r["status"] == "FAILURE"])
    assert {tag["key"]: tag["value"] for tag in run["tags"]}["dagster/max_retries"] == "0"


def test_a_damaged_archive_says_so(cli, tmp_path):
    path = tmp_path / "people.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00damaged")
    done = cli.run("import", str(path), "--wait", "--json")
    assert "the gzip file ends in the middle" in json.loads(done.stdout)["error"]
