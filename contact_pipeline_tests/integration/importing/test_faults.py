"""Imports that are disturbed, on real servers. What they leave is what an undisturbed import leaves."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis

from contact_pipeline.database import cancelling, claims, matching, postgres, queries
from contact_pipeline.errors import ClaimLost, ImportCancelled
from contact_pipeline.files.csv.reader import read_chunks, start_of
from contact_pipeline.importing import loading, planning
from contact_pipeline.importing.chunk_matching import MatchRules
from contact_pipeline.importing.commit_order import CommitTicket
from contact_pipeline.importing.loader import Loader
from contact_pipeline.importing.prepare import Preparer
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.samples import files as sample_files
from contact_pipeline_tests.running import Importer, accounted, content, count_rows

ROWS = 35_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "sample.csv"
    sample_files.write(path, ROWS, "A9", seed=11, dirty=0.01)
    return path


@pytest.fixture
def undisturbed(settings, fresh_database, sample, undisturbed_content):
    """Content of the same import where nothing happens; made once for all tests here."""

    def run() -> list:
        if not undisturbed_content:
            other = settings.model_copy(update={"database_url": fresh_database()})
            connection = postgres.connect(other.database_url)
            Importer(other, ObjectStore.from_settings(other), connection).run(sample)
            undisturbed_content.extend(content(connection))
            connection.close()
        answer: list = undisturbed_content
        return answer

    return run


@pytest.fixture(scope="module")
def undisturbed_content() -> list:
    return []


def committed(importer: Importer, upload_id: str) -> int:
    return queries.totals(importer.connection, upload_id).chunks


def assert_whole(importer: Importer, upload_id: str, sample: Path, expected: list) -> None:
    summary = importer.summary(upload_id)
    assert summary["state"] == "succeeded"
    assert summary["rows"] == accounted(summary) == count_rows(sample) == ROWS
    assert content(importer.connection) == expected


def test_after_a_cancellation_no_chunk_commits_and_the_next_attempt_resumes(importer, settings, sample, undisturbed):
    upload_id = importer.register(sample)
    frozen = []

    def cancel(_progress, chunks):
        if chunks == 2:
            other = postgres.connect(settings.database_url)
            assert cancelling.cancel(other, upload_id, "tester") == "cancelled"
            frozen.append(committed(importer, upload_id))
            other.close()

    with pytest.raises(ImportCancelled):
        importer.load(upload_id, cancel)
    assert committed(importer, upload_id) == frozen[0] == 2
    attempts = importer.load(upload_id)
    assert attempts["state"] == "succeeded"
    chunks = importer.connection.execute("SELECT attempt FROM import_chunks ORDER BY chunk").fetchall()
    assert [chunk["attempt"] for chunk in chunks] == [1, 1, 2, 2]
    assert_whole(importer, upload_id, sample, undisturbed())


def test_a_cancellation_waits_for_the_chunk_that_is_being_committed(importer, settings, sample):
    upload_id = importer.register(sample)
    claim = importer.claim(upload_id)
    holder = postgres.connect(settings.database_url)
    done = threading.Event()

    def cancel():
        other = postgres.connect(settings.database_url)
        cancelling.cancel(other, upload_id, "tester")
        other.close()
        done.set()

    with holder.transaction():
        claims.lock_claim(holder, claim)
        waiting = threading.Thread(target=cancel)
        waiting.start()
        assert not done.wait(0.5)
    assert done.wait(10)
    waiting.join()
    with pytest.raises(ImportCancelled), holder.transaction():
        claims.lock_claim(holder, claim)
    holder.close()


def test_a_run_that_wakes_up_after_it_was_replaced_is_fenced(importer, sample, undisturbed):
    upload_id = importer.register(sample)

    def replace(_progress, chunks):
        if chunks == 1:
            importer.load(upload_id, run_id="the next one")

    with pytest.raises(ClaimLost, match="newer attempt"):
        importer.load(upload_id, replace, run_id="the sleeper")
    assert_whole(importer, upload_id, sample, undisturbed())


def test_a_lost_connection_costs_a_retry_of_the_chunk(importer, settings, sample, undisturbed):
    upload_id = importer.register(sample)
    lost = []

    def cut(_progress, chunks):
        if chunks in (1, 3):
            with psycopg.connect(settings.database_url, autocommit=True) as other:
                ended = other.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'contact-pipeline import'"""
                ).fetchall()
                lost.extend(ended)

    importer.load(upload_id, cut)
    assert len(lost) == 4
    assert_whole(importer, upload_id, sample, undisturbed())


def test_a_chunk_whose_commit_nobody_heard_of_is_not_loaded_twice(importer, settings, sample):
    upload_id = importer.register(sample)
    claim = importer.claim(upload_id)
    plan = planning.open_import(importer.connection, importer.store, claim)
    board = ProgressBoard.from_url(settings.redis_url)
    with closing(postgres.KeptConnection(settings.database_url)) as database:
        loading.load_chunks(database, importer.store, board, claim, plan, lambda *_: None)
    first = queries.totals(importer.connection, upload_id)
    # The commit of the first chunk went through, but nobody was told: it is loaded again.
    importer.connection.execute("UPDATE imports SET state = 'loading'")
    preparer = Preparer(plan)
    start = start_of(plan.dialect)
    body = sample.read_bytes()[start.offset :]
    chunk = preparer.prepare(next(read_chunks([body], plan.dialect, start)))
    loader = Loader(settings.database_url, claim, preparer, MatchRules(plan.mapping.source))
    outcome = loader.load(chunk, CommitTicket())
    loader.close()
    assert outcome.skipped
    assert sum(outcome.counts.values()) == outcome.rows == 10_000
    assert queries.totals(importer.connection, upload_id) == first


def test_a_row_that_only_the_database_refuses_is_rejected_alone(importer, sample):
    upload_id = importer.register(sample)
    importer.connection.execute("ALTER TABLE contacts ADD CHECK (right(contact_id, 8) <> '000007d1')")
    importer.load(upload_id)
    refused = [row for row in importer.rejects(upload_id) if "refused_by_database" in row["codes"]]
    assert [row["row"] for row in refused] == [0x7D1]
    assert b"0000000007d1" in refused[0]["record"]
    summary = importer.summary(upload_id)
    assert summary["rows"] == accounted(summary) == ROWS


def side_by_side(load, uploads: list[str]) -> None:
    threads = [threading.Thread(target=load, args=(upload_id,)) for upload_id in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_imports_of_the_same_people_at_once_make_each_of_them_once(importer, settings, sample, undisturbed):
    uploads = [importer.register(sample) for _ in range(2)]
    importer.connection.execute("UPDATE imports SET uploaded_at = '2026-01-01'")
    failures = []

    def load(upload_id):
        connection = postgres.connect(settings.database_url)
        try:
            Importer(settings, ObjectStore.from_settings(settings), connection).load(upload_id)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)
        finally:
            connection.close()

    side_by_side(load, uploads)
    assert not failures
    summaries = [importer.summary(upload_id) for upload_id in uploads]
    inserted = sum(summary["inserted"] for summary in summaries)
    expected = undisturbed()
    assert inserted == len(expected)
    assert content(importer.connection) == expected


@pytest.mark.parametrize("of_second", ["", "p{0}@x.example"])
def test_two_imports_without_ids_at_once_make_each_person_once(importer, settings, write_csv, of_second):
    """By their names those are the same of whom one of the two says nothing else."""
    header = "First Name,Company,Email\n"
    uploads = [
        importer.register(
            write_csv(header + "".join(f"Person {number},Acme,{email.format(number)}\n" for number in range(12_000)))
        )
        for email in ("", of_second, "")
    ]

    def load(upload_id):
        connection = postgres.connect(settings.database_url)
        Importer(settings, ObjectStore.from_settings(settings), connection).load(upload_id)
        connection.close()

    side_by_side(load, uploads)
    assert [importer.summary(upload_id)["state"] for upload_id in uploads] == ["succeeded"] * 3
    assert len(importer.contacts()) == 12_000


def test_a_contact_that_changes_after_it_was_matched_is_matched_again(importer, settings, write_csv, monkeypatch):
    importer.run(write_csv("Email,Title\na@x.example,Boss\n"))
    find_candidates = matching.find_candidates

    def find_then_lose(*arguments):
        found = find_candidates(*arguments)
        # Meanwhile another import gives the contact an id, so that it is somebody else's.
        with psycopg.connect(settings.database_url) as other:
            other.execute("UPDATE contacts SET contact_id = 'theirs' WHERE contact_id IS NULL")
        return found

    monkeypatch.setattr(matching, "find_candidates", find_then_lose)
    summary = importer.load(importer.register(write_csv("Apollo Contact Id,Email\nours,a@x.example\n")))
    assert (summary["inserted"], summary["updated"]) == (1, 0)
    assert [row["contact_id"] for row in importer.contacts()] == ["theirs", "ours"]


def test_redis_can_be_lost(importer, settings, sample, undisturbed):
    upload_id = importer.register(sample)
    client = redis.Redis.from_url(settings.redis_url)
    board = ProgressBoard.from_url(settings.redis_url)
    seen = []

    def flush(progress, chunks):
        if chunks == 2:
            client.delete(f"contact_pipeline:progress:{upload_id}")
            assert board.get(upload_id) is None
        seen.append(progress.percent)

    importer.load(upload_id, flush)
    assert seen == sorted(seen)
    shown = board.get(upload_id)
    assert shown is not None
    assert (shown.state, shown.percent, shown.rows) == ("succeeded", 100.0, ROWS)
    client.close()
    assert_whole(importer, upload_id, sample, undisturbed())


def test_redis_that_does_not_answer_costs_no_import(importer, settings, sample):
    upload_id = importer.register(sample)
    nowhere = importer.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    summary = Importer(nowhere, importer.store, importer.connection).load(upload_id)
    assert summary["state"] == "succeeded"


def test_progress_never_goes_back_and_counts_committed_rows_only(importer, sample):
    upload_id = importer.register(sample)
    seen = []

    def look(progress, _chunks):
        seen.append((progress.percent, progress.rows))
        assert progress.rows == queries.totals(importer.connection, upload_id).rows
        left = progress.seconds_left()
        assert left is not None
        assert left >= 0

    importer.load(upload_id, look)
    assert seen == sorted(seen)
    assert seen[-1] == (100.0, ROWS)


def test_nothing_is_left_behind(importer, settings, sample):
    importer.run(sample)
    with psycopg.connect(settings.database_url) as connection:
        sessions = connection.execute(
            """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
               AND application_name = 'contact-pipeline import'"""
        ).fetchone()
        temporary = connection.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()
    assert (sessions, temporary) == ((0,), (0,))
