"""Checks of an import that is over."""

from __future__ import annotations

import pytest

from contact_pipeline.database import queries
from contact_pipeline.importing import checking

HEADER = "Apollo Contact Id,Email,Title\n"


@pytest.fixture
def imported(importer, write_csv, connection):
    """Imports a text; returns its record."""

    def run(text):
        return queries.find(connection, importer.run(write_csv(text))["upload_id"])

    return run


def rows(first, sound, broken=0):
    return "".join(f"id{first + n},p{first + n}@x.example,T\n" for n in range(sound)) + ",,T\n" * broken


def test_every_row_is_accounted_for_until_the_ledger_has_a_hole(imported, connection):
    record = imported(HEADER + rows(0, 5, 1))
    assert checking.every_row_is_accounted_for(connection, record).passed
    connection.execute("DELETE FROM rejected_rows WHERE upload_id = %s", (record.upload_id,))
    found = checking.every_row_is_accounted_for(connection, record)
    assert (found.passed, found.words) == (False, "0 rejected rows are kept of 1")


def test_contacts_that_somebody_deletes_are_missed(imported, connection):
    record = imported(HEADER + rows(0, 5))
    assert checking.contacts_are_in_the_table(connection, record).numbers == {"inserted": 5, "in_the_table": 5}
    connection.execute("DELETE FROM contacts WHERE contact_id = 'id3'")
    found = checking.contacts_are_in_the_table(connection, record)
    assert (found.passed, found.words) == (False, "1 of 5 are gone")


def test_a_file_with_more_rejects_than_usual_is_told(imported, connection):
    assert checking.rejects_are_as_usual(connection, imported(HEADER + rows(0, 99, 1))).passed
    assert checking.rejects_are_as_usual(connection, imported(HEADER + rows(100, 98, 2))).passed
    found = checking.rejects_are_as_usual(connection, imported(HEADER + rows(200, 90, 10)))
    assert not found.passed
    assert found.words == "10.00% of the rows are rejected; in the 2 files before it, 1.50% were"


def test_titles_that_changed_since_the_last_file_of_the_source_are_told(imported, connection):
    assert checking.titles_are_as_before(connection, imported(HEADER + rows(0, 3))).passed
    assert checking.titles_are_as_before(connection, imported(HEADER + rows(5, 3))).passed
    last = imported("Apollo Contact Id,Email,Seniority\nid9,z@x.example,x\n")
    found = checking.titles_are_as_before(connection, last)
    assert not found.passed
    assert (found.numbers["new"], found.numbers["gone"]) == (["Seniority"], ["Title"])
