"""Chunks that are loaded over two connections: what they leave is what loading one after another leaves."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager

import psycopg
import pytest

from contact_pipeline.database import cancelling, postgres, queries
from contact_pipeline.errors import ImportCancelled
from contact_pipeline.files.csv import reader
from contact_pipeline.importing import commit_order, heartbeat, loading, planning
from contact_pipeline.importing.chunk_matching import ChunkMatcher
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline_tests.running import Importer

ROWS = 40
TITLES = "Apollo Contact Id,Email,Title\n"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_ROWS", 4)
    monkeypatch.setattr(reader, "_FIRST_GUESS", 100)


def rows(title: str, count: int = ROWS) -> str:
    return TITLES + "".join(f"id{number},p{number}@x.example,{title} {number}\n" for number in range(count))


def test_of_the_rows_of_a_contact_the_last_one_counts_in_whatever_chunks_they_stand(importer, write_csv):
    # Each id comes back five rows later: now in the same chunk, now in the one behind, now in both.
    lines = [f"id{number % 5},p{number % 5}@x.example,Title {number}\n" for number in range(ROWS)]
    lines += [f"new{number},n{number}@x.example,Title\n" for number in range(ROWS)]
    summary = importer.run(write_csv(TITLES + "".join(lines)))
    assert (summary["inserted"], summary["duplicate_in_file"]) == (5 + ROWS, ROWS - 5)
    titles = {row["contact_id"]: row["title"] for row in importer.contacts()}
    assert [titles[f"id{number}"] for number in range(5)] == [f"Title {ROWS - 5 + number}" for number in range(5)]


@contextmanager
def stuck(importer, settings, write_csv):
    """An import of which the first chunk waits for a contact that somebody holds, while the second is written.

    Gives the upload's id, the holder's connection and what the import fails with; the holder lets go at the end.
    """
    importer.run(write_csv(rows("Old")))
    upload_id = importer.register(write_csv(rows("New")))
    failures = []

    def load():
        with postgres.connect(settings.database_url) as connection:
            try:
                Importer(settings, importer.store, connection).load(upload_id)
            except Exception as error:  # noqa: BLE001 - told by the main thread
                failures.append(error)

    importing = threading.Thread(target=load)
    with psycopg.connect(settings.database_url) as holder:
        holder.execute("SELECT FROM contacts WHERE contact_id = 'id0' FOR UPDATE")
        importing.start()
        while not _is_locked(importer, "id7"):
            assert importing.is_alive()
        yield upload_id, holder, failures
    importing.join(60)
    assert not importing.is_alive()


def test_two_chunks_are_under_way_at_once_and_the_later_one_waits(importer, settings, write_csv):
    """While a chunk cannot go on, the next one is written, and not committed."""
    with stuck(importer, settings, write_csv) as (upload_id, _, failures):
        assert queries.totals(importer.connection, upload_id).chunks == 0
    assert not failures
    assert importer.summary(upload_id)["updated"] == ROWS


def _is_locked(importer, contact_id: str) -> bool:
    """Whether somebody else has locked a contact."""
    return not importer.connection.execute(
        "SELECT FROM contacts WHERE contact_id = %s FOR UPDATE SKIP LOCKED", (contact_id,)
    ).fetchall()


@pytest.mark.parametrize("last", [1, 2, 5])
def test_where_an_import_stops_no_later_chunk_is_committed(importer, write_csv, last):
    upload_id = importer.register(write_csv(rows("Title")))

    def stop(_progress, chunks):
        if chunks == last:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        importer.load(upload_id, stop)
    assert queries.totals(importer.connection, upload_id).chunks == last
    assert importer.load(upload_id)["inserted"] == ROWS


def test_a_chunk_that_others_wait_for_by_way_of_another_transaction_gives_way(
    importer, settings, write_csv, monkeypatch
):
    """One waits for the first chunk's contact and holds what the second has; the second waits for the first."""
    monkeypatch.setattr(commit_order, "_MAX_WAIT_SECONDS", 0.5)
    with stuck(importer, settings, write_csv) as (upload_id, holder, failures):
        holder.execute("SET lock_timeout = '15s'")
        holder.execute("SELECT FROM contacts WHERE contact_id = 'id7' FOR UPDATE")
    assert not failures
    assert importer.summary(upload_id)["updated"] == ROWS


def test_a_cancellation_does_not_wait_for_chunks_that_wait(importer, settings, write_csv):
    """What a cancellation waits for is a commit, not a chunk: it answers while two of them stand still."""
    with stuck(importer, settings, write_csv) as (upload_id, _, failures):
        assert cancelling.cancel(importer.connection, upload_id, "tester") == "cancelled"
    assert [type(error) for error in failures] == [ImportCancelled]
    assert queries.totals(importer.connection, upload_id).chunks == 0
    assert {row["title"].split()[0] for row in importer.contacts()} == {"Old"}


def test_a_run_holds_four_connections_at_most(importer, settings, write_csv, monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.001)
    upload_id = importer.register(write_csv(rows("Held", 400)))
    claim = importer.claim(upload_id)
    plan = planning.open_import(importer.connection, importer.store, claim, {})
    claim = importer.claim(upload_id, claim.run_id)
    name = settings.database_url.rsplit("/", 1)[1]
    counted = []

    def count(*_: object) -> None:
        row = importer.connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,)
        ).fetchone()
        counted.append(row["n"])

    board = ProgressBoard.from_url(settings.redis_url)
    sign = heartbeat.Heartbeat()
    url = settings.database_url
    with heartbeat.beating(url, claim, sign), closing(postgres.KeptConnection(url)) as database:
        loading.load_chunks(database, importer.store, board, claim, plan, count, sign)
    assert len(counted) == 100
    assert 1 <= max(counted) <= 4


def test_a_contact_that_a_row_says_nothing_new_of_may_not_become_another_meanwhile(
    importer, settings, write_csv, monkeypatch
):
    """It is not locked, and is known by its e-mail only: when that changes, the row is another contact."""
    header = "Email,Person Linkedin Url,Title\n"
    link = "http://www.linkedin.com/in/ada"
    importer.load(importer.register(write_csv(header + f"a@x.example,{link},Title\n")))
    importer.load(importer.register(write_csv(header + "a@x.example,,Other title\n")))
    other = importer.register(write_csv(header + f"b@x.example,{link},Other title\n"))
    again = importer.register(write_csv(header + "a@x.example,,Other title\n"))
    match = ChunkMatcher.match
    between: list[int] = []

    def match_then_change(self, *others):
        batch = match(self, *others)
        if self._claim.upload_id == again and not between:
            between.append(0)
            with postgres.connect(settings.database_url) as own:
                between[0] = Importer(settings, importer.store, own).load(other)["updated"]
        return batch

    monkeypatch.setattr(ChunkMatcher, "match", match_then_change)
    done = importer.load(again)
    assert between == [1]
    assert done["inserted"] == 1
    assert {row["email"] for row in importer.contacts()} == {"a@x.example", "b@x.example"}
