"""Identity, merging and counts, on a real Postgres, against an oracle that applies rows one by one."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contact_pipeline.files.csv import reader
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.integration.importing.oracle import VALUES, Oracle
from contact_pipeline_tests.running import Importer, accounted, content, count_rows

TITLES = {
    "contact_id": "Apollo Contact Id",
    "email": "Email",
    "linkedin": "Person Linkedin Url",
    "first_name": "First Name",
    "last_name": "Last Name",
    "company": "Company",
    "title": "Title",
    "phone": "Mobile Phone",
}
STORED = {**{name: name for name in VALUES}, "linkedin": "linkedin_slug", "phone": "mobile_phone"}
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as output:
        writer = csv.writer(output)
        writer.writerow(TITLES.values())
        for row in rows:
            cells = [row.get(name, "") for name in VALUES]
            cells[2] = f"http://www.linkedin.com/in/{cells[2]}" if cells[2] else ""
            writer.writerow(cells)
    return path


def stored(importer: Importer) -> list[dict[str, str]]:
    return sorted(
        (
            {name: row[column] for name, column in STORED.items() if row[column] is not None}
            for row in importer.contacts()
        ),
        key=repr,
    )


def expected(oracle: Oracle) -> list[dict[str, str]]:
    return sorted(
        ({name: contact.values[name] for name in VALUES if name in contact.values} for contact in oracle.contacts),
        key=repr,
    )


def random_row(rng: random.Random) -> dict[str, str]:
    """A row of a small world, where identities meet all the time."""
    return {
        "contact_id": f"id{rng.randrange(12)}" if rng.random() < 0.4 else "",
        "email": f"e{rng.randrange(10)}@x.example" if rng.random() < 0.5 else "",
        "linkedin": f"slug{rng.randrange(10)}" if rng.random() < 0.4 else "",
        "first_name": rng.choice(["Ada", "Alan", ""]),
        "last_name": rng.choice(["Lovelace", "Turing", ""]),
        "company": rng.choice(["Acme", "Globex", ""]),
        "title": f"title {rng.randrange(5)}" if rng.random() < 0.7 else "",
        "phone": f"+4930123456{rng.randrange(10, 99)}" if rng.random() < 0.5 else "",
    }


def row_of_many(rng: random.Random) -> dict[str, str]:
    """A row of a larger world: most have an id of their own, and only some meet."""
    row = random_row(rng)
    row["contact_id"] = f"id{rng.randrange(400)}" if rng.random() < 0.85 else ""
    row["email"] = f"e{rng.randrange(150)}@x.example" if rng.random() < 0.5 else ""
    row["linkedin"] = f"slug{rng.randrange(150)}" if rng.random() < 0.3 else ""
    row["company"] = rng.choice([f"Acme {rng.randrange(30)}", ""])
    return row


@pytest.mark.parametrize("row_of", [random_row, row_of_many])
@pytest.mark.parametrize("chunk_rows", [5, 40, 10_000])
@pytest.mark.parametrize("seed", range(6))
def test_content_is_that_of_applying_rows_one_by_one(importer, tmp_path, monkeypatch, seed, chunk_rows, row_of):
    monkeypatch.setattr(reader, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 1_000)
    rng = random.Random(seed)
    oracle = Oracle()
    for upload in range(4):
        rows = [row_of(rng) for _ in range(60)]
        oracle.upload(rows, upload)
        summary = importer.run(write(tmp_path / f"{upload}.csv", rows), DAY + timedelta(days=upload))
        assert accounted(summary) == summary["rows"] == sum(any(row.values()) for row in rows)
        assert stored(importer) == expected(oracle)


@pytest.mark.parametrize("chunk_rows", [4, 10_000])
@pytest.mark.parametrize("seed", range(6))
def test_uploads_that_come_late_overwrite_nothing_newer(importer, tmp_path, monkeypatch, seed, chunk_rows):
    monkeypatch.setattr(reader, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 1_000)
    rng = random.Random(seed)
    oracle = Oracle()
    days = rng.sample(range(100), 5)
    for upload, day in enumerate(days):
        rows = []
        for number in rng.sample(range(30), 20):
            row = random_row(rng)
            rows.append({**row, "contact_id": f"id{number}", "email": "", "linkedin": ""})
        oracle.upload(rows, day)
        importer.run(write(tmp_path / f"{upload}.csv", rows), DAY + timedelta(days=day))
    assert stored(importer) == expected(oracle)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.csv"
    sample_files.write(path, 20_500, "A9", seed=3, dirty=0.01)
    return path


def row_versions(importer: Importer) -> list[tuple[str, str]]:
    rows = importer.connection.execute("SELECT ctid::text, xmin::text FROM contacts ORDER BY key").fetchall()
    return [(row["ctid"], row["xmin"]) for row in rows]


def test_the_same_file_again_changes_nothing(importer, sample):
    first = importer.run(sample)
    assert first["rows"] == accounted(first) == count_rows(sample) == 20_500
    assert first["rejected"] > 0
    before = row_versions(importer)
    again = importer.run(sample)
    assert again["unchanged"] == first["inserted"]
    assert again["rejected"] == first["rejected"]
    assert again["inserted"] == again["updated"] == again["duplicate_in_file"] == 0
    assert row_versions(importer) == before


def test_exactly_the_changed_rows_are_updated_and_their_old_values_kept(importer, sample, tmp_path):
    first = importer.run(sample)
    with sample.open(newline="", encoding="utf-8") as source:
        header, *rows = list(csv.reader(source))
    title, contact_id = header.index("Title"), header.index("Apollo Contact Id")
    whole = [row for row in rows if len(row) == len(header) and row[contact_id]]
    changed = random.Random(1).sample(whole, 1_000)
    old = {row[contact_id]: row[title] for row in changed}
    for row in changed:
        row[title] = "Changed Title"
    copy = tmp_path / "changed.csv"
    with copy.open("w", newline="", encoding="utf-8") as output:
        csv.writer(output, lineterminator="\n").writerows([header, *rows])
    again = importer.run(copy)
    assert again["updated"] == 1_000
    assert again["unchanged"] == first["inserted"] - 1_000
    updated = {row["contact_id"] for row in importer.contacts() if row["updated_by_import"]}
    assert updated == set(old)
    versions = importer.connection.execute("SELECT contact_id, title FROM contact_versions").fetchall()
    assert {row["contact_id"]: row["title"] for row in versions} == old
    assert accounted(again) == again["rows"]


def test_blank_cells_erase_nothing(importer, write_csv):
    importer.run(write_csv("Apollo Contact Id,Title,City,Notes\n1,Boss,Berlin,keep\n"))
    summary = importer.run(write_csv('Apollo Contact Id,Title,City,Notes\n1,"",Hamburg,\n'))
    (contact,) = importer.contacts()
    assert (contact["title"], contact["city"], contact["extra"]) == ("Boss", "Hamburg", {"Notes": "keep"})
    assert summary["updated"] == 1


def test_unknown_columns_are_kept_and_merged(importer, write_csv):
    importer.run(write_csv("Email,Colour,Height\na@x.example,red,\nb@x.example,,\n"))
    importer.run(write_csv('Email,Height,Shape\na@x.example,xl,"say ""round"""\n'))
    by_email = {row["email"]: row["extra"] for row in importer.contacts()}
    assert by_email == {"a@x.example": {"Colour": "red", "Height": "xl", "Shape": 'say "round"'}, "b@x.example": None}


def test_people_who_share_an_email_stay_apart_and_namesakes_load(importer, write_csv):
    summary = importer.run(
        write_csv(
            "Apollo Contact Id,First Name,Last Name,Company,Email\n"
            "1,Ada,Lovelace,Acme,info@x.example\n"
            "2,Alan,Turing,Acme,INFO@x.example\n"
            ",Grace,Hopper,Acme,\n"
            ",Grace,,,\n"
            ",,,,\n"
        )
    )
    assert (summary["inserted"], summary["rejected"]) == (3, 1)
    (reject,) = importer.rejects(summary["upload_id"])
    assert (reject["row"], reject["line"], reject["codes"], reject["record"]) == (
        4,
        5,
        ["missing_identity"],
        b",Grace,,,",
    )
    assert [row["email"] for row in importer.contacts()] == ["info@x.example", "info@x.example", None]


def test_a_wrong_value_costs_itself_or_the_row_that_it_identifies(importer, write_csv):
    summary = importer.run(
        write_csv(
            "Apollo Contact Id,Email,Annual Revenue\n1,not an address,$1.2M\n2,b@x.example,a lot\n,not an address,5\n"
        )
    )
    assert (summary["inserted"], summary["rejected"], summary["warnings"]) == (2, 1, 2)
    first, second = importer.contacts("contact_id")
    assert (first["email"], first["annual_revenue"]) == (None, 1_200_000)
    assert (second["email"], second["annual_revenue"]) == ("b@x.example", None)
    (reject,) = importer.rejects(summary["upload_id"])
    assert (reject["codes"], reject["columns"]) == (["invalid_email"], ["Email"])


def test_a_row_twice_in_a_file_is_one_contact_wherever_the_chunks_end(importer, tmp_path, monkeypatch):
    rows = [{"contact_id": f"id{number % 7}", "title": f"t{number}"} for number in range(21)]
    path = write(tmp_path / "twice.csv", rows)
    monkeypatch.setattr(reader, "CHUNK_ROWS", 10)
    summary = importer.run(path)
    assert (summary["inserted"], summary["duplicate_in_file"], summary["rows"]) == (7, 14, 21)
    assert {row["title"] for row in importer.contacts()} == {f"t{number}" for number in range(14, 21)}


def test_ids_of_two_systems_do_not_meet(importer, write_csv):
    importer.run(write_csv("Apollo Contact Id,Title\n7,Boss\n"))
    importer.run(write_csv("Record ID,Title\n7,Other\n"))
    assert [(row["source"], row["contact_id"], row["title"]) for row in importer.contacts()] == [
        ("apollo", "7", "Boss"),
        ("hubspot", "7", "Other"),
    ]


def test_bare_and_quoted_empties_give_the_same_contacts(importer, fresh_database, write_csv):
    importer.run(write_csv('Email,# Employees,Title\na@x.example,"",""\n'))
    quoted = content(importer.connection)
    importer.run(write_csv("Email,# Employees,Title\na@x.example,,\n"))
    assert content(importer.connection) == quoted


def test_contacts_that_pass_an_email_on_to_each_other_within_a_chunk(importer, tmp_path):
    first = [{"linkedin": name, "email": f"{name}@x.example"} for name in "abcdef"]
    importer.run(write(tmp_path / "1.csv", first))
    # One chain runs down the keys and the other up; two contacts stand twice and are written behind the others.
    passed_on = {"c": "new1", "b": "c", "a": "b", "d": "new2", "e": "d", "f": "e", "g": "a"}
    rows = [{"linkedin": name, "email": f"{email}@x.example"} for name, email in passed_on.items()]
    again = [{"linkedin": name, "email": f"{passed_on[name]}@x.example"} for name in "cd"]
    summary = importer.run(write(tmp_path / "2.csv", rows + again))
    assert (summary["updated"], summary["inserted"], summary["duplicate_in_file"]) == (6, 1, 2)
    assert accounted(summary) == summary["rows"] == 9
    stored_emails = {row["linkedin_slug"]: row["email"].removesuffix("@x.example") for row in importer.contacts()}
    assert stored_emails == passed_on
