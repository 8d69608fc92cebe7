"""Rows that come again as they were: they are recognised by their records, and it makes no difference."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from contact_pipeline.contacts import cleaning
from contact_pipeline.database import claims, matching, postgres, queries
from contact_pipeline.database.undo import undoing
from contact_pipeline.files import chunks
from contact_pipeline.files.csv import reader
from contact_pipeline.importing import prepare, rules
from contact_pipeline.importing.chunk_matching import ChunkMatcher
from contact_pipeline.importing.commit_order import CommitTicket
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.running import Importer, accounted, content

ROWS = 3_000
TOLD = ("rows", "inserted", "updated", "unchanged", "duplicate_in_file", "rejected", "warnings")
ONE_CONTACT_WITHOUT_ID = "Email,Title\nperson.7@nowhere.example,Boss\n"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 200)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 10_000)


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recognising") / "sample.csv"
    sample_files.write(path, ROWS, "A9", seed=3, dirty=0.05)
    answer: Path = path
    return answer


@pytest.fixture
def cleaned(monkeypatch) -> list[int]:
    """How many rows went through the cleaners, by call."""
    heights: list[int] = []
    clean = cleaning.clean

    def count(raw, *others):
        heights.append(raw.height)
        return clean(raw, *others)

    monkeypatch.setattr(prepare, "clean", count)
    return heights


def told(summary: dict) -> dict:
    return {name: summary[name] for name in TOLD}


def rejects(importer, summary: dict) -> list[tuple]:
    return [(row["row"], row["codes"], row["record"]) for row in importer.rejects(summary["upload_id"])]


def without_recognising(monkeypatch):
    monkeypatch.setattr(chunks.Chunk, "record_hashes", lambda *_: None)


def changed(sample: Path, target: Path, *, every: int) -> Path:
    """The same people, every so many with another title."""
    header, *lines = sample.read_text().splitlines(keepends=True)
    assert ",Chief Executive Officer," in sample.read_text()
    lines = [
        line.replace(",Chief Executive Officer,", ",Founder,", 1) if number % every == 0 else line
        for number, line in enumerate(lines)
    ]
    target.write_text(header + "".join(lines))
    return target


@pytest.mark.parametrize("before", [None, ONE_CONTACT_WITHOUT_ID])
def test_the_same_file_again_comes_to_the_same_with_and_without(
    importer, write_csv, sample, cleaned, monkeypatch, before
):
    if before:
        importer.run(write_csv(before))
    first = importer.run(sample)
    expected = content(importer.connection)
    cleaned.clear()
    again = importer.run(sample)
    rows_cleaned = sum(cleaned)
    assert rows_cleaned < ROWS / 2
    without_recognising(monkeypatch)
    plain = importer.run(sample)
    assert told(again) == told(plain)
    assert again["inserted"] == again["updated"] == 0
    assert again["unchanged"] + again["duplicate_in_file"] == first["inserted"] + first["duplicate_in_file"]
    assert again["warnings"] == first["warnings"]
    assert content(importer.connection) == expected
    records = [
        [(row["row"], row["codes"], row["record"]) for row in importer.rejects(done["upload_id"])]
        for done in (again, plain)
    ]
    assert records[0] == records[1]


def test_of_a_file_that_changed_in_places_the_changed_rows_are_written(importer, sample, cleaned, tmp_path):
    importer.run(sample)
    cleaned.clear()
    summary = importer.run(changed(sample, tmp_path / "changed.csv", every=10))
    assert sum(cleaned) < ROWS / 2
    assert 0 < summary["updated"] < ROWS / 10
    assert accounted(summary) == summary["rows"]
    back = importer.run(sample)
    assert back["updated"] == summary["updated"]


def test_what_another_file_changed_meanwhile_is_changed_back(importer, sample, write_csv):
    importer.run(sample)
    before = content(importer.connection)
    chosen = importer.contacts()[2000]
    title = f"Apollo Contact Id,Title\n{chosen['contact_id']},Something else\n"
    assert importer.run(write_csv(title))["updated"] == 1
    assert importer.run(sample)["updated"] == 1
    assert content(importer.connection) == before


def test_what_the_chunk_before_changes_meanwhile_is_changed_back(importer, write_csv, monkeypatch):
    """A contact comes up in two chunks, changed and as it was; the second one is looked up before the first is over."""
    header = "Apollo Contact Id,Email,Title\n"
    lines = [f"id{number},p{number}@x.example,Title {number}\n" for number in range(ROWS)]
    importer.run(write_csv(header + "".join(lines)))
    expected = content(importer.connection)
    lines[1999] = lines[2000].replace("Title", "Changed")
    looked_up = []
    second = threading.Event()
    find_records, hold = matching.find_records, claims.lock_claim

    def look_up(connection, ids, lookup):
        found = find_records(connection, ids, lookup)
        if ids.is_in(["id2000"]).any():
            looked_up.append(connection)
        if len(looked_up) == 2:
            second.set()
        return found

    def wait(connection, *others, **more):
        if connection in looked_up[:1]:
            assert second.wait(30)
        return hold(connection, *others, **more)

    monkeypatch.setattr(matching, "find_records", look_up)
    monkeypatch.setattr(claims, "lock_claim", wait)
    summary = importer.load(importer.register(write_csv(header + "".join(lines))))
    assert (summary["updated"], summary["duplicate_in_file"]) == (1, 1)
    assert content(importer.connection) == expected


def test_what_another_import_changes_after_the_look_up_is_changed_back(
    importer, settings, sample, write_csv, monkeypatch
):
    """Rows are looked up before the chunk's transaction: what is committed in between makes it match again."""
    importer.run(sample)
    before = content(importer.connection)
    chosen = importer.contacts()[2000]["contact_id"]
    other = importer.register(write_csv(f"Apollo Contact Id,Title\n{chosen},Something else\n"))
    upload_id = importer.register(sample)
    find_unchanged = ChunkMatcher.find_unchanged
    between: list[int] = []

    def find_then_change(self, connection, deferred):
        unchanged = find_unchanged(self, connection, deferred)
        if unchanged is not None and not between and deferred.ids.is_in([chosen]).any():
            with postgres.connect(settings.database_url) as own:
                between.append(Importer(settings, importer.store, own).load(other)["updated"])
        return unchanged

    monkeypatch.setattr(ChunkMatcher, "find_unchanged", find_then_change)
    assert importer.load(upload_id)["updated"] == 1
    assert between == [1]
    assert content(importer.connection) == before


@pytest.mark.parametrize("at", [100, 2000])
def test_so_it_is_where_a_row_without_id_stands_beside(
    importer, settings, sample, tmp_path, write_csv, monkeypatch, at
):
    """Rows that are equal then have their places kept; in the first chunks they are prepared, later left out."""
    mixed = tmp_path / "mixed.csv"
    header, *lines = sample.read_text().splitlines(keepends=True)
    for number in range(0, ROWS, 100):
        email = {"Email": f"nobody{number}@nowhere.example", "Title": "Boss"}
        lines.insert(number, ",".join(email.get(title, "") for title in header.rstrip().split(",")) + "\n")
    mixed.write_text(header + "".join(lines))
    importer.run(mixed)
    before = content(importer.connection)
    known = [row["contact_id"] for row in importer.contacts() if row["contact_id"]]
    chosen = next(contact_id for line in lines[at:] for contact_id in known if contact_id in line)
    other = importer.register(write_csv(f"Apollo Contact Id,Title\n{chosen},Something else\n"))
    upload_id = importer.register(mixed)
    match = ChunkMatcher.match
    between: list[int] = []

    def match_then_change(self, connection, chunk, rows, *others):
        batch = match(self, connection, chunk, rows, *others)
        if not between and self._claim.upload_id == upload_id and chunk.start.row <= at < chunk.start.row + chunk.rows:
            between.append(0)
            with postgres.connect(settings.database_url) as own:
                between[0] = Importer(settings, importer.store, own).load(other)["updated"]
        return batch

    monkeypatch.setattr(ChunkMatcher, "match", match_then_change)
    assert importer.load(upload_id)["updated"] == 1
    assert between == [1]
    assert content(importer.connection) == before


def test_each_chunk_is_looked_up_once_and_the_next_one_knows_all_of_its_people(importer, sample, monkeypatch):
    importer.run(sample)
    looked_up: list[int] = []
    decided: list[set[str]] = []
    find_unchanged, decide = ChunkMatcher.find_unchanged, CommitTicket.decide

    def note_look_up(self, connection, deferred):
        looked_up.append(deferred.start.chunk)
        return find_unchanged(self, connection, deferred)

    def note_decision(self, rows):
        decided.append({*rows["contact_id"].drop_nulls()})
        decide(self, rows)

    monkeypatch.setattr(ChunkMatcher, "find_unchanged", note_look_up)
    monkeypatch.setattr(CommitTicket, "decide", note_decision)
    importer.load(importer.register(sample))
    # The first ones are prepared before it is seen that the rows are known.
    assert len(looked_up) > ROWS / 200 / 2
    assert len(looked_up) == len({*looked_up})
    # Or else the next chunk could lock a contact that this one has to write when it is matched again.
    assert set.union(*decided) == {row["contact_id"] for row in importer.contacts() if row["contact_id"]}


def test_under_other_rules_nothing_is_recognised(importer, sample, cleaned, monkeypatch):
    importer.run(sample)
    monkeypatch.setattr(rules, "rules_digest", lambda: b"other rules")
    cleaned.clear()
    assert importer.run(sample)["updated"] == 0
    assert sum(cleaned) > ROWS * 0.9


def test_rows_without_ids_among_those_that_are_known_are_matched_as_ever(importer, sample, tmp_path, monkeypatch):
    importer.run(sample)
    lines = sample.read_text().splitlines(keepends=True)
    header = lines[0].rstrip("\n").split(",")
    stranger = ['""'] * len(header)
    stranger[header.index("First Name")], stranger[header.index("Email")] = "Zoe", "zoe@x.example"
    for at in (2500, 2700, 2701):
        lines.insert(at, ",".join(stranger) + "\n")
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("".join(lines))
    once = importer.run(mixed)
    assert (once["inserted"], accounted(once)) == (1, once["rows"])
    assert [row["first_name"] for row in importer.contacts() if row["email"] == "zoe@x.example"] == ["Zoe"]


def test_a_header_between_rows_that_are_known_is_left_out_as_ever(importer, tmp_path):
    header = "Apollo Contact Id,Email,Title\n"
    lines = [f"id{number},p{number}@x.example,Title {number}\n" for number in range(ROWS)]
    lines.insert(2_500, header)
    path = tmp_path / "joined.csv"
    path.write_text(header + "".join(lines))
    importer.run(path)
    again = importer.load(importer.register(path))
    assert (again["unchanged"], again["rows"]) == (ROWS, ROWS)


def test_a_chunk_whose_sound_rows_are_all_unchanged_is_not_cleaned(importer, tmp_path, cleaned, monkeypatch):
    lines = [f"id{number},p{number}@x.example,Title {number}\n" for number in range(ROWS)]
    lines.insert(2_500, "id,p@x.example,too,many,cells\n")
    path = tmp_path / "sound.csv"
    path.write_text("Apollo Contact Id,Email,Title\n" + "".join(lines))
    importer.run(path)
    cleaned.clear()
    again = importer.load(importer.register(path))
    # No rows are prepared once, to learn what comes of that; by two loaders at once maybe.
    assert 1 <= cleaned.count(0) <= 2
    assert (again["rows"], again["unchanged"], again["rejected"]) == (ROWS + 1, ROWS, 1)
    without_recognising(monkeypatch)
    plain = importer.load(importer.register(path))
    assert told(again) == told(plain)
    assert rejects(importer, again) == rejects(importer, plain)


def test_a_row_without_id_in_each_chunk_does_not_have_all_rows_looked_at(importer, tmp_path, cleaned):
    def file(title: str) -> Path:
        lines = [
            f"{f'id{number}' if number % 100 else ''},p{number}@x.example,{title} {number}\n" for number in range(ROWS)
        ]
        path: Path = tmp_path / f"{title}.csv"
        path.write_text("Apollo Contact Id,Email,Title\n" + "".join(lines))
        return path

    importer.run(file("Once"))
    assert importer.run(file("Now"))["updated"] == ROWS
    cleaned.clear()
    assert importer.load(importer.register(file("Now")))["unchanged"] == ROWS
    assert sum(cleaned) < ROWS / 2
    # What it has confirmed stands when the one before it is undone.
    second = queries.recent(importer.connection)[1].upload_id
    assert undoing.undo(importer.connection, second, "tester").kept == 0
    assert {row["title"].split()[0] for row in importer.contacts()} == {"Now"}


def test_rows_that_were_left_out_keep_their_places_beside_rows_without_ids(importer, tmp_path, cleaned):
    header = "Apollo Contact Id,Email,Title\n"
    path = tmp_path / "some.csv"

    def load(*lines: str) -> str:
        path.write_text(header + "".join(f"{line}\n" for line in lines))
        upload_id: str = importer.register(path)
        importer.load(upload_id)
        return upload_id

    others = [f"id{number},p{number}@x.example,Title" for number in range(1, 2_000)]
    load("id0,old@x.example,First", *others)
    changed = load("id0,new@x.example,Second")
    cleaned.clear()
    load(*others[:1_900], ",old@x.example,Without id", *others[1_900:1_950], "id0,new@x.example,Second")
    assert sum(cleaned) < ROWS / 2
    assert len(importer.contacts()) == 2_001
    undoing.undo(importer.connection, changed, "tester")
    # Imported in order without it, the row without an id is the first one's, and what stands below it comes later.
    assert len(importer.contacts()) == 2_000
    (one,) = [row for row in importer.contacts() if row["contact_id"] == "id0"]
    assert (one["email"], one["title"]) == ("new@x.example", "Second")


def test_a_contact_of_several_rows_is_not_what_one_of_them_says(importer, tmp_path):
    header = "Apollo Contact Id,Email,Title,Last Raised At\n"
    lines = [f"id{number},p{number}@x.example,Title {number},\n" for number in range(ROWS)]
    twice = tmp_path / "twice.csv"
    twice.write_text(header + "".join([*lines[:2501], "id2500,p2500@x.example,Other,nonsense\n", *lines[2501:]]))
    once = tmp_path / "once.csv"
    once.write_text(header + "".join(lines))
    importer.run(twice)
    assert importer.run(once)["updated"] == 1
    assert [row["title"] for row in importer.contacts() if row["contact_id"] == "id2500"] == ["Title 2500"]


def test_a_row_without_id_meets_a_known_one_of_its_chunk_by_email_as_ever(importer, sample, tmp_path, monkeypatch):
    importer.run(sample)
    lines = sample.read_text().splitlines(keepends=True)
    header = lines[0].rstrip("\n").split(",")
    known = importer.contacts()[2600]
    at = next(at for at, line in enumerate(lines) if known["contact_id"] in line)
    row = ['""'] * len(header)
    row[header.index("Email")], row[header.index("Title")] = known["email"], "Said without an id"
    lines.insert(at, ",".join(row) + "\n")
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("".join(lines))
    deferring = importer.run(mixed)
    with monkeypatch.context() as patch:
        without_recognising(patch)
        assert told(deferring) == told(importer.run(mixed))


def test_a_contact_without_id_that_comes_up_meanwhile_is_seen(importer, sample, monkeypatch):
    """Another import makes it while this one recognises rows: that a row has its e-mail is told as ever."""
    importer.run(sample)
    email = importer.contacts()[2600]["email"]

    def run() -> dict:
        def add(_progress, chunks):
            if chunks == 5:
                importer.connection.execute(
                    """INSERT INTO contacts (source, email, created_by_import, updated_by_upload_at)
                       VALUES ('other', %s, 'another', now())""",
                    (email,),
                )

        summary: dict = importer.load(importer.register(sample), add)
        importer.connection.execute("DELETE FROM contacts WHERE created_by_import = 'another'")
        return summary

    deferring = run()
    without_recognising(monkeypatch)
    plain = run()
    found = queries.find(importer.connection, deferring["upload_id"])
    assert found is not None
    assert found.warnings["identity_conflict:email"] == 1
    assert told(deferring) == told(plain)


def test_a_check_recognises_as_an_import_does(importer, sample):
    importer.run(sample)
    checked = importer.run(sample, mode="check")
    assert {**told(checked), "warnings": None} == {**told(importer.run(sample)), "warnings": None}
