"""What is older than its days goes, and nothing that anybody needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from contact_pipeline.database import queries, webhooks
from contact_pipeline.database import retention as removals
from contact_pipeline.database.undo import undoing
from contact_pipeline.database.webhooks import Kind
from contact_pipeline.errors import CannotBeUndone, ObjectChanged
from contact_pipeline.importing import checking, retention
from contact_pipeline.importing.rejects_export import REJECTS
from contact_pipeline.orchestration import jobs
from contact_pipeline.orchestration.launching import UPLOAD_TAG
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline_tests.running import eventually
from contact_pipeline_tests.uploading import problem

FILE = "Email,First Name\nann@x.example,Ann\nnobody,Bob\n"
NOTHING = {
    "undecided": 0, "files": 0, "rejects": 0, "undo": 0,
    "messages": 0, "deliveries": 0, "audit_events": 0, "launches": 0,
}  # fmt: skip


@pytest.fixture
def age(connection):
    """Makes an import, and all that is of it, so many days old."""

    def make(upload_id, days):
        for table, column in (
            ("imports", "finished_at"), ("imports", "created_at"), ("outbox", "created_at"), ("launches", "ended_at"),
            ("audit_events", "happened_at"), ("deliveries", "delivered_at"),
        ):  # fmt: skip
            connection.execute(
                f"UPDATE {table} SET {column} = {column} - make_interval(days => %s) WHERE upload_id = %s".encode(),
                (days, upload_id),
            )

    return make


@pytest.fixture
def let_go(connection, store, settings):
    """Lets go of what is due: it must be what was shown before."""

    def run():
        shown = retention.what_would_go(connection, settings)
        done = retention.apply(connection, store, settings)
        # Rejects of what was cancelled may go in the night of their file.
        assert {**done, "rejects": 0} == {**shown, "rejects": 0}
        assert done["rejects"] >= shown["rejects"]
        assert retention.what_would_go(connection, settings) == NOTHING
        return {name: number for name, number in done.items() if number}

    return run


def there(store, record):
    return store.find(record.object_key) is not None, store.find(f"{REJECTS}{record.upload_id}.csv") is not None


def test_files_and_rejects_go_after_their_days_and_what_they_came_to_stays(
    importer, write_csv, connection, store, age, let_go
):
    old = queries.find(connection, importer.run(write_csv(FILE))["upload_id"])
    new = queries.find(connection, importer.run(write_csv(FILE.replace("ann", "ben")))["upload_id"])
    assert there(store, old) == there(store, new) == (True, True)
    age(old.upload_id, 29)
    assert "files" not in let_go()
    age(old.upload_id, 2)
    gone = let_go()
    assert (gone["files"], gone["rejects"]) == (1, 1)
    assert there(store, old) == (False, False)
    assert there(store, new) == (True, True)
    assert importer.rejects(old.upload_id) == []
    assert len(importer.rejects(new.upload_id)) == 1
    assert importer.summary(old.upload_id)["rejected"] == 1
    found = checking.every_row_is_accounted_for(connection, queries.find(connection, old.upload_id))
    assert found.passed, found.words
    assert len(importer.contacts()) == 2
    with pytest.raises(CannotBeUndone, match="CONTACT_PIPELINE_KEEP_UNDO_DAYS"):
        undoing.undo(connection, old.upload_id, "tester")
    connection.execute("UPDATE imports SET state = 'failed' WHERE upload_id = %s", (old.upload_id,))
    with pytest.raises(ObjectChanged):
        importer.load(old.upload_id)


def test_what_lives_or_is_to_be_decided_keeps_what_it_needs(importer, write_csv, connection, store, age, let_go):
    queued = importer.register(write_csv(FILE))
    loading = importer.register(write_csv(FILE))
    importer.claim(loading)
    undecided = importer.register(write_csv(FILE))
    connection.execute("DELETE FROM launches WHERE upload_id = %s", (undecided,))
    connection.execute("UPDATE imports SET state = 'in_review' WHERE upload_id = %s", (undecided,))
    for upload_id in (queued, loading):
        age(upload_id, 400)
    assert let_go() == {}
    age(undecided, 31)
    assert let_go() == {"undecided": 1}
    record = queries.find(connection, undecided)
    assert record.state == "cancelled"
    assert there(store, record)[0], "its days begin with the cancellation"
    counted = importer.register(write_csv(FILE))
    importer.load(counted, mode="check")
    connection.execute("UPDATE imports SET options = options || '{\"review\": true}' WHERE upload_id = %s", (counted,))
    age(counted, 31)
    assert let_go() == {"undecided": 1}
    assert queries.find(connection, counted).state == "cancelled"
    age(undecided, 31)
    assert let_go()["files"] == 1
    assert all(there(store, queries.find(connection, upload_id))[0] for upload_id in (queued, loading))


def test_an_object_that_was_put_again_is_not_deleted(importer, write_csv, connection, store, age, let_go):
    record = queries.find(connection, importer.run(write_csv(FILE))["upload_id"])
    eventually(lambda: datetime.now(UTC) > record.uploaded_at + timedelta(seconds=1.1))
    store.s3.put_object(Bucket=store.bucket, Key=record.object_key, Body=FILE.encode())
    age(record.upload_id, 31)
    assert let_go()["files"] == 1
    assert there(store, record)[0]


def test_messages_go_when_everybody_has_had_them(importer, write_csv, connection, age, let_go):
    number, _ = webhooks.add(connection, "*", "http://x.example", Kind.STANDARD)
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    webhooks.dispatch(connection)
    age(upload_id, 15)
    assert let_go() == {}
    connection.execute("UPDATE deliveries SET delivered_at = now() - interval '1 day' WHERE webhook = %s", (number,))
    assert let_go() == {"messages": 1}
    connection.execute("UPDATE deliveries SET delivered_at = now() - interval '15 days' WHERE webhook = %s", (number,))
    assert let_go() == {"deliveries": 1}


def test_the_last_launch_of_an_import_stays(importer, write_csv, connection, age, let_go):
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    numbers = [row["launch"] for row in connection.execute("SELECT launch FROM launches ORDER BY 1").fetchall()]
    assert len(numbers) > 1
    age(upload_id, 91)
    assert let_go()["launches"] == len(numbers) - 1
    left = connection.execute("SELECT launch FROM launches").fetchall()
    assert [row["launch"] for row in left] == numbers[-1:]


@pytest.mark.parametrize("imports", [730, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_a_year_of_imports_shrinks_to_what_is_needed(connection, store, let_go, imports):
    store.s3.put_object(Bucket=store.bucket, Key="year/one", Body=FILE.encode())
    stored = store.find("year/one")[0]
    connection.execute(
        """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at, file_name,
                                owner, finished_at, created_at, total_rows, inserted, rejected)
           SELECT md5('y' || n), 'succeeded', %(bucket)s, 'year/' || n, %(etag)s, 1, %(put_at)s, day, 'f.csv', 'o',
                  day, day, 100, 90, 10
           FROM (SELECT n, now() - n * (interval '365 days' / %(imports)s) AS day
                 FROM generate_series(1, %(imports)s) n) numbered""",
        {"bucket": store.bucket, "etag": stored.etag, "put_at": stored.uploaded_at, "imports": imports},
    )
    connection.execute(
        """INSERT INTO rejected_rows (upload_id, chunk, "row", line, codes, columns, record)
           SELECT upload_id, 0, row, row + 1, ARRAY['invalid_email'], ARRAY['Email'], repeat('x', 300)::bytea
           FROM imports, generate_series(1, 10) AS row"""
    )
    connection.execute(
        """INSERT INTO outbox (upload_id, topic, payload, created_at)
           SELECT upload_id, 'import.succeeded', '{"inserted": 90}', created_at FROM imports"""
    )
    webhooks.dispatch(connection)
    # Retention looks each file up in S3. Of a year's, those of the last 40 days are there.
    kept = [row["n"] for row in connection.execute(_YOUNGER_THAN, (40,)).fetchall()]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: _put_as(store, f"year/{n}", connection), kept))
    before = _sizes(connection)
    month = len(connection.execute(_YOUNGER_THAN, (30,)).fetchall())
    fortnight = len(connection.execute(_YOUNGER_THAN, (14,)).fetchall())
    gone = let_go()
    assert gone["files"] == gone["rejects"] == imports - month
    assert gone["messages"] == imports - fortnight
    left = connection.execute(
        """SELECT (SELECT count(*) FROM imports) AS imports, (SELECT count(*) FROM rejected_rows) AS rejected,
                  (SELECT count(*) FROM outbox) AS messages"""
    ).fetchone()
    assert left == {"imports": imports, "rejected": month * 10, "messages": fortnight}
    after = _sizes(connection)
    assert after["rejected_rows"] < before["rejected_rows"] / 3
    assert after["outbox"] < before["outbox"] / 3
    listed = store.s3.get_paginator("list_objects_v2").paginate(Bucket=store.bucket, Prefix="year/")
    there = [item["Key"] for page in listed for item in page.get("Contents", []) if item["Key"] != "year/one"]
    assert len(there) == month


_YOUNGER_THAN = """SELECT substr(object_key, 6)::int AS n FROM imports
                   WHERE finished_at >= now() - make_interval(days => %s)"""


def _put_as(store, key, connection):
    store.s3.put_object(Bucket=store.bucket, Key=key, Body=FILE.encode())
    stored = store.find(key)[0]
    connection.execute(
        "UPDATE imports SET uploaded_at = %s WHERE object_key = %s AND bucket = %s",
        (stored.uploaded_at, key, store.bucket),
    )


def _sizes(connection):
    """Bytes that tables take once what is dead in them is gone."""
    answer = {}
    for table in ("rejected_rows", "outbox"):
        connection.execute(f"VACUUM FULL {table}".encode())
        answer[table] = connection.execute("SELECT pg_total_relation_size(%s::regclass) AS n", (table,)).fetchone()["n"]
    return answer


def test_a_file_of_rejects_that_are_gone_is_told_and_their_kinds_are_still_known(
    service, token, importer, write_csv, age, let_go
):
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    tester = token("tester")
    before = service.get(f"/api/imports/{upload_id}", headers=tester).json()["rejectsByColumn"]
    assert before
    age(upload_id, 31)
    let_go()
    assert service.get(f"/api/imports/{upload_id}", headers=tester).json()["rejectsByColumn"] == before
    answer = service.get(f"/api/imports/{upload_id}/rejects", headers=tester)
    assert problem(answer) == (410, "rejects_gone")


def test_runs_and_partitions_go_with_their_imports(process_settings, importer, write_csv, connection, age):
    instance = dg.DagsterInstance.ephemeral()
    uploads_of = {}
    for days in (10, 91):
        record = queries.find(connection, importer.run(write_csv(FILE.replace("ann", f"a{days}")))["upload_id"])
        key = partition_key(record.upload_id, record.uploaded_at)
        instance.add_dynamic_partitions("uploads", [key])
        run = dg.DagsterRun("import_contacts", status=dg.DagsterRunStatus.SUCCESS, tags={UPLOAD_TAG: record.upload_id})
        instance.add_run(run)
        age(record.upload_id, days)
        uploads_of[days] = (key, run.run_id)
    done = jobs.apply_retention.execute_in_process(resources={"pipeline": Pipeline()}, instance=instance)
    assert done.success
    assert instance.get_dynamic_partitions("uploads") == [uploads_of[10][0]]
    assert instance.get_run_by_id(uploads_of[10][1]) is not None
    assert instance.get_run_by_id(uploads_of[91][1]) is None


def test_what_is_left_half_deleted_goes_the_next_night(importer, write_csv, connection, age, let_go):
    record = queries.find(connection, importer.run(write_csv(FILE))["upload_id"])
    age(record.upload_id, 31)
    removals.note_rejects_removed(connection, queries.find(connection, record.upload_id))
    assert let_go()["rejects"] == 1
    assert importer.rejects(record.upload_id) == []
    assert removals.removed_rejects(connection, queries.find(connection, record.upload_id))[0].rows == 1


def test_an_import_that_is_gone_on_with_keeps_its_rejects(importer, write_csv, connection, age, settings, store):
    upload_id = importer.run(write_csv(FILE))["upload_id"]
    connection.execute("UPDATE imports SET state = 'failed' WHERE upload_id = %s", (upload_id,))
    age(upload_id, 31)
    patient = settings.model_copy(update={"keep_files_days": 90})
    assert retention.apply(connection, store, patient)["rejects"] == 0
    assert len(importer.rejects(upload_id)) == 1
