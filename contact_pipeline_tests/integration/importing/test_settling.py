"""Settling: after its undo window an import stands for good, and what undo would have gone by is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contact_pipeline.contacts.resolution import MergePolicy
from contact_pipeline.database import exporting
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.undo import settling, undoing
from contact_pipeline.database.undo.replaying import BEFORE_ALL, Contribution, Import, matched_anew, one_by_one
from contact_pipeline.errors import CannotBeUndone
from contact_pipeline.files.csv import reader
from contact_pipeline_tests.integration.importing.test_identity_and_merging import DAY
from contact_pipeline_tests.integration.importing.test_undoing import HEADER, settle_first
from contact_pipeline_tests.running import Importer

MINUTE = timedelta(minutes=1)


def titled(title: str, people: int = 3) -> str:
    return HEADER + "".join(f"{n},a{n}@x.example,{title}\n" for n in range(people))


def week_after_week(importer: Importer, write_csv, titles: list[str]) -> list[str]:
    return [
        importer.run(write_csv(titled(title)), DAY + number * MINUTE)["upload_id"]
        for number, title in enumerate(titles)
    ]


def titles(importer: Importer) -> list[str]:
    return sorted({row["title"] for row in importer.contacts()})


def kept(connection: Connection) -> dict[str, int]:
    """What there is of old values."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM contact_versions) AS images,
                  (SELECT count(*) FROM contributions WHERE rows IS NOT NULL OR hashes IS NOT NULL) AS entries"""
    ).fetchone()
    assert row is not None
    return row


def test_values_go_and_what_came_later_can_still_be_undone(importer, write_csv, connection):
    first, second, third, fourth = week_after_week(importer, write_csv, ["one", "two", "three", "three"])
    assert kept(connection) == {"images": 6, "entries": 3}
    assert settle_first(connection, [first, second]) == 2
    # One image of each contact: as the second has left it, and the third has found it.
    assert kept(connection) == {"images": 3, "entries": 2}
    for settled in (first, second):
        with pytest.raises(CannotBeUndone, match="can be undone no more"):
            undoing.undo(connection, settled, "tester")
    assert undoing.undo(connection, third, "tester").kept == 0
    assert titles(importer) == ["three"]
    undoing.undo(connection, fourth, "tester")
    assert titles(importer) == ["two"]
    assert settle_first(connection, [third, fourth]) == 2
    assert kept(connection) == {"images": 0, "entries": 0}
    assert titles(importer) == ["two"]


def test_what_was_confirmed_only_is_left_as_it_was(importer, write_csv, connection):
    first, second, third, fourth = week_after_week(importer, write_csv, ["one", "two", "two", "two"])
    settle_first(connection, [first, second])
    undoing.undo(connection, third, "tester")
    undoing.undo(connection, fourth, "tester")
    settle_first(connection, [third, fourth])
    last = importer.run(write_csv(titled("five")), DAY + timedelta(1))["upload_id"]
    undoing.undo(connection, last, "tester")
    assert titles(importer) == ["two"]


def test_an_old_import_waits_for_those_that_were_loaded_before_it(importer, write_csv, connection):
    first, second = week_after_week(importer, write_csv, ["one", "two"])
    assert settle_first(connection, [second]) == 0
    undoing.undo(connection, first, "tester")
    assert titles(importer) == ["two"]
    # Its undo is young: it was over when it was undone.
    assert settle_first(connection, [second]) == 0
    assert settle_first(connection, [first]) == 2


@pytest.mark.parametrize(("spans", "settled"), [
    ("a1-1 b2-3", "a b"),
    ("a1-1 b2-3 C4-4", "a b"),
    ("A1-1 b2-3", ""),
    ("a1-3 B2-4 c5-5", ""),
    ("a1-1 b2-4 C3-5", "a"),
    ("a1-4 b2-3 c6-6 D7-7", "a b c"),
])  # fmt: skip
def test_what_is_settled_is_all_that_was_committed_up_to_somewhere(spans, settled):
    """Of imports written as `a1-3`, with a capital where one is not due."""
    found = []
    for span in spans.split():
        first, last = map(int, span[1:].split("-"))
        found.append(settling.Span(span[0], first, last, is_due=span[0].islower()))
    upload_ids, last = settling.prefix_that_is_due(found)
    assert upload_ids == settled.split()
    assert last == max((span.last for span in found if span.upload_id in settled.split()), default=0)


def as_settled(key: int, **values: str) -> Contribution:
    settled = Import("settled", DAY, MergePolicy.UPDATE, stands=True)
    return Contribution(key, settled, BEFORE_ALL, "apollo", values, base_of="first")


def test_settled_contacts_stay_apart_however_alike():
    row = Contribution(2, Import("newer", DAY + MINUTE, MergePolicy.UPDATE, stands=True), (0, 0), "apollo", {})
    row.values |= {"email": "b@x.example", "title": "new"}
    alike = [
        as_settled(key, email=email, linkedin_slug="ada")
        for key, email in ((1, "a@x.example"), (2, row.values["email"]))
    ]
    assert {one.key: one.values.get("title") for one in matched_anew([*alike, row])} == {1: None, 2: "new"}


def test_a_row_of_an_older_upload_fills_blanks_of_a_settled_contact():
    late = Import("late", DAY - MINUTE, MergePolicy.UPDATE, stands=True)
    row = Contribution(1, late, (0, 0), "apollo", {"contact_id": "1", "title": "old", "city": "Berlin"})
    for (contact,) in (matched_anew([row, as_settled(1, contact_id="1", title="new")]),
                       one_by_one([row, as_settled(1, contact_id="1", title="new")])):  # fmt: skip
        assert (contact.values["title"], contact.values["city"]) == ("new", "Berlin")
        assert (contact.created_by, contact.updated_by, contact.ordered_at) == ("first", "settled", DAY)


def test_an_undo_under_way_goes_on_when_others_are_settled(importer, write_csv, connection, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 2)
    first, second, third = (
        importer.run(write_csv(titled(title, people=6)), DAY + number * MINUTE)["upload_id"]
        for number, title in enumerate(["one", "one", "three"])
    )
    done = undoing.undo(connection, third, "tester", on_chunk=lambda _: settle_first(connection, [first, second]))
    assert (done.restored, done.kept) == (6, 0)
    assert titles(importer) == ["one"]


def test_one_that_is_launched_or_undone_meanwhile_is_not_settled(importer, write_csv, connection, monkeypatch):
    (first,) = week_after_week(importer, write_csv, ["one"])
    connection.execute("UPDATE imports SET finished_at = now() - interval '31 days'")
    assert settling.due(connection, 30) == [first]
    listed = settling.due

    def and_somebody_begins_an_undo(connection, days):
        found = listed(connection, days)
        undoing.start(connection, first, "tester")
        return found

    monkeypatch.setattr(settling, "due", and_somebody_begins_an_undo)
    assert settling.settle(connection, 30) == 0
    undoing.finish(connection, first)
    assert importer.contacts() == []


def test_a_late_upload_still_knows_what_a_settled_one_has_confirmed(importer, write_csv, connection):
    first = importer.run(write_csv(titled("one")), DAY)["upload_id"]
    held_back = importer.register(write_csv(titled("between")), DAY + MINUTE)
    newest = importer.run(write_csv(titled("one")), DAY + 2 * MINUTE)["upload_id"]
    assert settle_first(connection, [first, newest]) == 2
    importer.load(held_back)
    assert titles(importer) == ["one"]
    undoing.undo(connection, held_back, "tester")
    assert titles(importer) == ["one"]


def test_what_settled_imports_have_only_confirmed_stays_newer_than_a_late_upload(importer, write_csv, connection):
    first = importer.run(write_csv(titled("one")), DAY)["upload_id"]
    held_back = importer.register(write_csv(titled("between")), DAY + MINUTE)
    newest = importer.run(write_csv(titled("one")), DAY + 2 * MINUTE)["upload_id"]
    settle_first(connection, [first, newest])
    importer.load(held_back)
    header = "Apollo Contact Id,City\n"
    city = importer.run(write_csv(header + "1,Berlin\n"), DAY + 3 * MINUTE)["upload_id"]
    undoing.undo(connection, city, "tester")
    assert titles(importer) == ["one"]


def test_a_contact_that_was_remade_as_it_was_stays(importer, write_csv, connection):
    first = importer.run(write_csv(titled("one")), DAY)["upload_id"]
    late = importer.register(write_csv(titled("late")), DAY - MINUTE)
    settle_first(connection, [first])
    importer.load(late)
    second = importer.run(write_csv(titled("two")), DAY + MINUTE)["upload_id"]
    undoing.undo(connection, second, "tester")
    assert settle_first(connection, [late, second]) == 2
    third = importer.run(write_csv(titled("three")), DAY + 2 * MINUTE)["upload_id"]
    undoing.undo(connection, third, "tester")
    assert titles(importer) == ["one"]


def test_an_import_that_was_undone_and_settled_can_be_imported_and_undone_again(importer, write_csv, connection):
    first, second = week_after_week(importer, write_csv, ["one", "two"])
    undoing.undo(connection, second, "tester")
    assert settle_first(connection, [first, second]) == 2
    importer.load(second)
    assert titles(importer) == ["two"]
    undoing.undo(connection, second, "tester")
    assert titles(importer) == ["one"]


def test_others_do_not_export_what_an_owner_had_said_before_it_was_let_go(importer, write_csv, connection):
    mine, theirs, again = week_after_week(importer, write_csv, ["one", "two", "three"])
    connection.execute("UPDATE imports SET owner = 'somebody else' WHERE upload_id = %s", (theirs,))
    for _ in range(2):
        assert b"".join(exporting.contacts_csv(connection, again, "tester", [])) == b""
        settle_first(connection, [mine, theirs, again])
    row = connection.execute("SELECT count(email) AS emails, count(*) AS images FROM contact_versions").fetchone()
    assert row == {"emails": 0, "images": 3}
    newest = importer.run(write_csv(titled("four")), DAY + timedelta(1))["upload_id"]
    undoing.undo(connection, newest, "tester")
    assert titles(importer) == ["three"]
