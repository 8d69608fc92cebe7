"""Undo: after any sequence of imports and undos, contacts are what the standing imports give, imported in order."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contact_pipeline.database import postgres, queries
from contact_pipeline.database.undo import settling, undoing
from contact_pipeline.errors import CannotBeUndone
from contact_pipeline.files.csv import reader
from contact_pipeline_tests.integration.importing.test_identity_and_merging import DAY, random_row, row_of_many, write
from contact_pipeline_tests.running import Importer, content

SEEDS = int(os.environ.get("UNDO_SEEDS", "1"))
IMPORTS = 5


def rows_told_by_id(rng: random.Random) -> list[dict[str, str]]:
    return [random_row(rng) | {"contact_id": f"id{rng.randrange(30)}"} for _ in range(rng.choice([10, 40]))]


def rows_told_by_email(rng: random.Random) -> list[dict[str, str]]:
    said = {"contact_id": "", "linkedin": ""}
    return [random_row(rng) | said | {"email": f"e{rng.randrange(30)}@x.example"} for _ in range(rng.choice([10, 40]))]


def rows_told_by_either(rng: random.Random) -> list[dict[str, str]]:
    """People who have their id in some files and their e-mail only in others."""
    people = [rng.randrange(20) for _ in range(25)]
    return [
        random_row(rng)
        | {"linkedin": "", "contact_id": f"id{one}" if rng.random() < 0.5 else "", "email": f"e{one}@x.example"}
        for one in people
    ]


def rows_mostly_told_by_id(rng: random.Random) -> list[dict[str, str]]:
    return [row_of_many(rng) for _ in range(rng.choice([20, 60]))]


@pytest.mark.parametrize("settling_now_and_then", [False, True])
@pytest.mark.parametrize("rows_of", [rows_told_by_id, rows_told_by_email, rows_told_by_either, rows_mostly_told_by_id])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_contacts_are_the_replay_of_the_imports_that_stand(
    importer,
    settings,
    fresh_database,
    tmp_path,
    monkeypatch,
    seed,
    rows_of: Callable[[random.Random], list[Any]],
    settling_now_and_then,
):
    rng = random.Random(seed)
    monkeypatch.setattr(reader, "CHUNK_ROWS", rng.choice([7, 40, 10_000]))
    files: list[Path] = []
    for number in range(IMPORTS):
        same = rng.choice(files).read_bytes() if files and rng.random() < 0.3 else None
        path = write(tmp_path / f"{number}.csv", rows_of(rng))
        if same is not None:
            path.write_bytes(same)
        files.append(path)
    policies = [rng.choice(["update", "update", "fill_blanks", "skip"]) for _ in files]
    ids: list[str] = []
    standing: set[int] = set()
    settled: set[int] = set()
    undone = 0
    while len(ids) < IMPORTS or undone < 3:
        if settling_now_and_then and rng.random() < 0.5:
            settle_first(importer.connection, ids[: rng.randrange(len(ids) + 1)], let_go=rng.random() < 0.7)
            settled = {one for one in standing if settling.is_settled(importer.connection, ids[one])}
        if len(ids) < IMPORTS and (rng.random() < 0.7 or not standing - settled):
            number = len(ids)
            ids.append(
                importer.run(files[number], DAY + timedelta(days=number), on_existing=policies[number])["upload_id"]
            )
            standing.add(number)
            continue
        if not standing - settled:
            break
        number = rng.choice(sorted(standing - settled))
        done = undoing.undo(importer.connection, ids[number], "tester")
        assert done.kept == 0
        undone += 1
        standing.remove(number)
        assert content(importer.connection) == replay(
            importer, settings, fresh_database, [(files[one], one, policies[one]) for one in sorted(standing)]
        )
        if rng.random() < 0.3:
            # Imported again, it has its old place.
            importer.load(ids[number])
            standing.add(number)
            later = [one for one in range(number + 1, len(ids)) if one in standing]
            if later:
                # It comes late then: it fills blanks only, until the newer ones are undone.
                undoing.undo(importer.connection, ids[number], "tester")
                standing.remove(number)


def settle_first(connection, upload_ids: list[str], *, let_go: bool = True) -> int:
    """Make imports old, and settle what can be."""
    connection.execute(
        "UPDATE imports SET finished_at = now() - interval '31 days' WHERE upload_id = ANY(%s)", (upload_ids,)
    )
    number = settling.settle(connection, 30)
    if let_go:
        settling.let_go(connection)
    return number


def replay(importer: Importer, settings, fresh_database, imports) -> list[str]:
    other = settings.model_copy(update={"database_url": fresh_database()})
    connection = postgres.connect(other.database_url)
    anew = Importer(other, importer.store, connection)
    for path, number, policy in imports:
        anew.run(path, DAY + timedelta(days=number), on_existing=policy)
    found = content(connection)
    connection.close()
    return found


HEADER = "Apollo Contact Id,Email,Title\n"


def test_undo_of_an_import_below_a_later_one_leaves_what_that_says(importer, write_csv):
    first = importer.run(write_csv(HEADER + "".join(f"{n},a{n}@x.example,one\n" for n in range(20))), DAY)
    second = importer.run(
        write_csv(HEADER + "".join(f"{n},a{n}@x.example,two\n" for n in range(10))), DAY + timedelta(1)
    )
    undoing.undo(importer.connection, first["upload_id"], "tester")
    assert [row["title"] for row in importer.contacts()] == ["two"] * 10
    undoing.undo(importer.connection, second["upload_id"], "tester")
    assert importer.contacts() == []


def test_undo_of_the_later_one_gives_the_values_of_the_earlier_one(importer, write_csv):
    importer.run(write_csv(HEADER + "1,a@x.example,one\n"), DAY)
    before = importer.contacts()
    second = importer.run(write_csv(HEADER + "1,,two\n"), DAY + timedelta(1))
    undoing.undo(importer.connection, second["upload_id"], "tester")
    assert importer.contacts() == before


def test_an_email_that_another_import_has_taken_does_not_stop_an_undo(importer, write_csv):
    header = "Email,Person Linkedin Url,Title\n"
    link = "http://www.linkedin.com/in/ada"
    importer.run(write_csv(header + f"old@x.example,{link},one\n"), DAY)
    second = importer.run(write_csv(header + f"new@x.example,{link},two\n"), DAY + timedelta(1))
    importer.run(write_csv(header + "old@x.example,,three\n"), DAY + timedelta(2))
    assert len(importer.contacts()) == 2
    done = undoing.undo(importer.connection, second["upload_id"], "tester")
    # Without the second, the third's row is the first's contact.
    (contact,) = importer.contacts()
    assert (contact["email"], contact["title"], contact["linkedin_slug"]) == ("old@x.example", "three", "ada")
    assert done.kept == 0


def test_an_older_upload_that_comes_late_knows_what_a_newer_one_has_confirmed(importer, write_csv):
    one, two = HEADER + "1,a@x.example,one\n", HEADER + "1,a@x.example,two\n"
    importer.run(write_csv(one), DAY)
    held_back = importer.register(write_csv(two), DAY + timedelta(1))
    newest = importer.run(write_csv(one), DAY + timedelta(2))
    assert newest["unchanged"] == 1
    importer.load(held_back)
    assert [row["title"] for row in importer.contacts()] == ["one"]
    undoing.undo(importer.connection, newest["upload_id"], "tester")
    assert [row["title"] for row in importer.contacts()] == ["two"]


def test_what_an_undone_import_said_before_it_was_imported_again_counts_no_more(importer, write_csv):
    header = "Apollo Contact Id,First Name,Remark\n"
    first = importer.register(write_csv(header + "1,Ada,wrong\n"), DAY)
    importer.load(first, mapping={"Remark": "title"})
    other = importer.run(write_csv("Apollo Contact Id,City\n1,Berlin\n"), DAY + timedelta(1))
    undoing.undo(importer.connection, first, "tester")
    importer.load(first, mapping={"Remark": "extra"})
    undoing.undo(importer.connection, other["upload_id"], "tester")
    (contact,) = importer.contacts()
    assert (contact["first_name"], contact["title"], contact["city"]) == ("Ada", None, None)
    assert contact["extra"] == {"Remark": "wrong"}


def test_an_import_from_before_contributions_were_kept_says_that_it_cannot_be_undone(importer, write_csv):
    done = importer.run(write_csv(HEADER + "1,a@x.example,one\n"))
    importer.connection.execute("DELETE FROM contributions")
    with pytest.raises(CannotBeUndone, match="did not keep what it contributed"):
        undoing.undo(importer.connection, done["upload_id"], "tester")
    assert len(importer.contacts()) == 1


WITHOUT_ID = "Apollo Contact Id,Email,Title\n"


def told(importer: Importer) -> set[tuple[str | None, str]]:
    return {(row["contact_id"], row["title"]) for row in importer.contacts()}


@pytest.mark.parametrize("another", ["", ",z@x.example,another without id\n"])
def test_a_row_that_came_to_another_contact_by_an_undo_goes_with_its_own_import(importer, write_csv, another):
    others = {(None, "another without id")} if another else set()
    importer.run(write_csv(WITHOUT_ID + ",a@x.example,without id\n" + another), DAY)
    first = importer.run(write_csv(WITHOUT_ID + "id9,a@x.example,first\n"), DAY + timedelta(1))
    second = importer.run(write_csv(WITHOUT_ID + "id8,a@x.example,second\n"), DAY + timedelta(2))
    assert told(importer) == {("id9", "first"), ("id8", "second")} | others
    undoing.undo(importer.connection, first["upload_id"], "tester")
    assert told(importer) == {("id8", "second")} | others
    undoing.undo(importer.connection, second["upload_id"], "tester")
    assert told(importer) == {(None, "without id")} | others


def test_rows_that_made_their_contacts_keep_their_places_beside_a_row_without_id(importer, write_csv):
    header = "Apollo Contact Id,Email,City,Title\n"
    importer.run(write_csv(header + ",a@x.example,Rome,without id\n"), DAY)
    claiming = importer.run(write_csv(header + "id9,a@x.example,,claiming\n"), DAY + timedelta(1))
    # By their ids they are in another order than in the file.
    rows = "id8,a@x.example,,first\nid7,a@x.example,,second\n,b@x.example,,beside\n"
    importer.run(write_csv(header + rows), DAY + timedelta(2))
    undoing.undo(importer.connection, claiming["upload_id"], "tester")
    # Without the one that had it, the first of them takes up the contact without an id.
    assert {(row["contact_id"], row["city"]) for row in importer.contacts()} == {
        ("id8", "Rome"),
        ("id7", None),
        (None, None),
    }


def test_what_an_import_from_before_contributions_were_kept_has_changed_stays_though_a_row_of_it_moves(
    importer, write_csv
):
    made = importer.run(write_csv(WITHOUT_ID + "id1,one@x.example,made\n"), DAY)
    importer.run(write_csv(WITHOUT_ID + ",a@x.example,without id\n,z@x.example,another\n"), DAY + timedelta(1))
    claiming = importer.run(write_csv(WITHOUT_ID + "id9,a@x.example,claiming\n"), DAY + timedelta(2))
    rows = "id8,a@x.example,of before\nid1,one@x.example,of before\n"
    before = importer.run(write_csv(WITHOUT_ID + rows), DAY + timedelta(3))
    importer.connection.execute("DELETE FROM contributions WHERE upload_id = %s", (before["upload_id"],))
    undoing.undo(importer.connection, claiming["upload_id"], "tester")
    assert undoing.undo(importer.connection, made["upload_id"], "tester").kept == 1
    assert ("id1", "of before") in told(importer)
    with pytest.raises(CannotBeUndone):
        undoing.undo(importer.connection, before["upload_id"], "tester")


def test_an_undone_import_is_not_to_be_undone_again_and_says_what_it_did(importer, write_csv):
    done = importer.run(write_csv(HEADER + "1,a@x.example,one\n"))
    first = undoing.undo(importer.connection, done["upload_id"], "tester")
    assert (first.removed, first.restored, first.kept, first.finished) == (1, 0, 0, True)
    assert undoing.undo(importer.connection, done["upload_id"], "tester").removed == 0
    events = importer.connection.execute(
        "SELECT what FROM import_events WHERE upload_id = %s ORDER BY event DESC LIMIT 2", (done["upload_id"],)
    ).fetchall()
    assert [event["what"] for event in events] == ["undone", "undoing"]
    assert queries.find(importer.connection, done["upload_id"]).state == "undone"
