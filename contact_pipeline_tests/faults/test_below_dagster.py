"""Faults at an import's steps: processes that die at named places, connections that break, stores that crawl.

Each ends with all invariants: what is left is what an import without faults leaves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contact_pipeline import object_store
from contact_pipeline.database import claims, postgres, queries
from contact_pipeline.database.undo import undoing
from contact_pipeline.errors import StoreFailed
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.samples import files as sample_files
from contact_pipeline.stack.servers import settings_environment
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.faults.proxy import Proxy
from contact_pipeline_tests.running import Importer, content, crash, eventually

ROWS = 25_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "sample.csv"
    sample_files.write(path, ROWS, "A9", seed=23, dirty=0.01)
    return path


@pytest.fixture(scope="module")
def known_content() -> list[str]:
    return []


@pytest.fixture
def undisturbed(settings, fresh_database, sample, known_content) -> list[str]:
    """What an import of the sample without faults leaves."""
    if not known_content:
        other = settings.model_copy(update={"database_url": fresh_database()})
        connection = postgres.connect(other.database_url)
        Importer(other, ObjectStore.from_settings(other), connection).run(sample)
        known_content.extend(content(connection))
        connection.close()
    answer: list[str] = known_content
    return answer


@pytest.fixture
def before_postgres(settings) -> Iterator[Proxy]:
    at = urlsplit(settings.database_url)
    proxy = Proxy(at.hostname, at.port)
    yield proxy
    proxy.close()


@pytest.fixture
def before_s3(settings) -> Iterator[Proxy]:
    at = urlsplit(settings.s3_endpoint_url)
    proxy = Proxy(at.hostname, at.port)
    yield proxy
    proxy.close()


SHORT = ("before_commit", "after_commit:2", "succeeded")
LONG = ("before_claim", "claimed", "chunk_written", "chunk_written:2", "before_commit:3", "after_commit", "file_read",
        "verifying", "rejects_stored")  # fmt: skip
PLACES = (*SHORT, *(pytest.param(place, marks=pytest.mark.long) for place in LONG))


@pytest.mark.parametrize("place", PLACES)
def test_f1_a_run_that_dies_anywhere(importer, settings, sample, undisturbed, place):
    upload_id = importer.register(sample)
    crash(settings, "import", upload_id, place)
    importer.load(upload_id)
    invariants.check(settings, importer.store, {upload_id: sample}, undisturbed)


@pytest.mark.parametrize(
    "place", ["undo_written", "undo_committed", pytest.param("undo_committed:2", marks=pytest.mark.long)]
)
def test_f36_an_undo_that_dies_is_gone_on_with(importer, settings, sample, place):
    upload_id = importer.run(sample)["upload_id"]
    crash(settings, "undo", upload_id, place)
    assert queries.find(importer.connection, upload_id).state == "undoing"
    importer.connection.execute("UPDATE imports SET heartbeat_at = now() - interval '1 minute'")
    assert queries.stale_undos(importer.connection, 30) == [upload_id]
    undoing.finish(importer.connection, upload_id)
    invariants.check(settings, importer.store, {upload_id: sample}, [])


def load_beside(importer: Importer, settings, upload_id: str) -> tuple[threading.Thread, list[Exception]]:
    failures: list[Exception] = []

    def load() -> None:
        connection = postgres.connect(settings.database_url)
        try:
            Importer(settings, ObjectStore.from_settings(settings), connection).load(upload_id)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=load)
    thread.start()
    return thread, failures


def through(importer: Importer, **urls: str) -> Importer:
    """The same database and bucket, by other ways."""
    settings = importer.settings.model_copy(update=urls)
    return Importer(settings, ObjectStore.from_settings(settings), importer.connection)


def test_f4_a_connection_that_is_cut_at_the_commit(importer, settings, sample, undisturbed, before_postgres):
    upload_id = importer.register(sample)
    ours = through(importer, database_url=before_postgres.url(settings.database_url))
    chunks = []

    def cut_the_next(_progress, number):
        chunks.append(number)
        before_postgres.cut_at = b"COMMIT"

    before_postgres.cut_at = b"COMMIT"
    ours.load(upload_id, cut_the_next)
    assert before_postgres.cuts >= 3
    invariants.check(settings, importer.store, {upload_id: sample}, undisturbed)


def test_f3_a_database_that_is_away_for_a_while_costs_no_run(importer, settings, sample, undisturbed, before_postgres):
    upload_id = importer.register(sample)
    ours = through(importer, database_url=before_postgres.url(settings.database_url))

    def leave(_progress, number):
        if number == 1:
            before_postgres.go_away()
            threading.Timer(4, before_postgres.come_back).start()

    ours.load(upload_id, leave)
    assert queries.find(importer.connection, upload_id).attempt == 1
    invariants.check(settings, importer.store, {upload_id: sample}, undisturbed)


@pytest.mark.long
def test_a_peer_that_swallows_everything_is_noticed(
    importer, settings, sample, undisturbed, before_postgres, monkeypatch
):
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 3.0)
    upload_id = importer.register(sample)
    ours = through(importer, database_url=before_postgres.url(settings.database_url))

    def swallow(_progress, number):
        if number == 1:
            before_postgres.swallow = True
            threading.Timer(5, lambda: setattr(before_postgres, "swallow", False)).start()

    ours.load(upload_id, swallow)
    # The server's own half is open still: it is ended by its limit of idleness, or here by hand.
    claims.end_sessions(importer.connection, upload_id)
    importer.connection.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'contact-pipeline import'"""
    )
    invariants.check(settings, importer.store, {upload_id: sample}, undisturbed)


def test_f9_a_store_that_sends_a_byte_a_second_is_not_waited_for(importer, settings, sample, before_s3, monkeypatch):
    monkeypatch.setattr(object_store, "_SLOWEST_BLOCK_SECONDS", 1.0)
    store = through(importer, s3_endpoint_url=before_s3.url(settings.s3_endpoint_url)).store
    upload_id = importer.register(sample)
    record = queries.find(importer.connection, upload_id)
    before_s3.bytes_a_second = 400
    with pytest.raises(StoreFailed):
        store.read_range(record.object_key, record.etag, 0, 100_000)


@pytest.mark.long
def test_f2_a_frozen_run_is_fenced_when_it_wakes_up(importer, settings, sample, undisturbed):
    upload_id = importer.register(sample)
    frozen = subprocess.Popen(
        [sys.executable, "-m", "contact_pipeline_tests.faults.one_import", "import", upload_id],
        env={**os.environ, **settings_environment(settings)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    eventually(lambda: queries.totals(importer.connection, upload_id).chunks >= 1, step=0.01)
    frozen.send_signal(signal.SIGSTOP)
    # What the reconciler does after a minute without progress; what is frozen holds no lock from here.
    claims.end_sessions(importer.connection, upload_id)
    importer.load(upload_id)
    frozen.send_signal(signal.SIGCONT)
    frozen.wait(60)
    invariants.check(settings, importer.store, {upload_id: sample}, undisturbed)


def test_files_without_ids_are_imported_side_by_side(importer, settings, tmp_path):
    """A run that froze in its transaction, whatever its file, is in nobody's way."""
    path = tmp_path / "names.csv"
    path.write_text("First Name,Last Name,Company\n" + "".join(f"P{n},Sample,Acme {n}\n" for n in range(200)))
    other = tmp_path / "others.csv"
    other.write_text("First Name,Last Name,Company\n" + "".join(f"Q{n},Sample,Other {n}\n" for n in range(200)))
    first = importer.register(path)
    claim = importer.claim(first)
    holder = postgres.connect(settings.database_url)
    holder.execute("BEGIN")
    claims.mark_session(holder, first)
    claims.lock_claim(holder, claim)
    done = importer.run(other)
    assert done["inserted"] == 200
    holder.close()
    importer.load(first)
    assert len(importer.contacts()) == 400


def test_f6_imports_of_the_same_people_without_ids_beside_each_other(importer, settings, tmp_path):
    people = [f"P{n},Sample,Acme {n},n{n}@x.example\n" for n in range(12_000)]
    made = []
    for number, rows in enumerate((people, people[::-1], people)):
        path = tmp_path / f"{number}.csv"
        path.write_text("First Name,Last Name,Company,Email\n" + "".join(rows))
        made.append((importer.register(path), path))
    beside = [load_beside(importer, settings, upload_id) for upload_id, _ in made]
    for thread, failures in beside:
        thread.join()
        assert not failures
    assert len(importer.contacts()) == 12_000
    invariants.check(settings, importer.store, dict(made), None)


def test_an_undo_beside_a_running_import_keeps_what_that_confirms(importer, settings, sample, undisturbed):
    first = importer.run(sample)["upload_id"]
    second = importer.register(sample)
    importer.connection.execute(
        "UPDATE imports SET ordered_at = ordered_at + interval '1 day' WHERE upload_id = %s", (second,)
    )
    undone = []

    def undo(_progress, number):
        if number == 1:
            other = postgres.connect(settings.database_url)
            undone.append(undoing.undo(other, first, "tester"))
            other.close()

    importer.load(second, undo)
    assert queries.find(importer.connection, first).state == "undone"
    assert content(importer.connection) == undisturbed


def test_c9_undo_of_the_first_of_two_imports_of_one_file_keeps_what_the_second_confirmed(importer, sample, undisturbed):
    from contact_pipeline_tests.integration.importing.test_identity_and_merging import DAY

    first = importer.run(sample, DAY)["upload_id"]
    second = importer.run(sample, DAY + timedelta(days=1))
    assert second["inserted"] == 0
    done = undoing.undo(importer.connection, first, "tester")
    assert (done.removed, done.kept) == (0, 0)
    assert content(importer.connection) == undisturbed
    undoing.undo(importer.connection, second["upload_id"], "tester")
    assert importer.contacts() == []
