"""Backups of Postgres and S3 from different moments: what is restored, and what comes right by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from contact_pipeline import bucket_listing
from contact_pipeline.database import postgres, queries
from contact_pipeline.errors import ContactPipelineError
from contact_pipeline.importing import discovery, restoring, retention
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import storage_servers
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import Importer, content, objects_in


@pytest.fixture
def bucket(settings: Settings) -> Iterator[ObjectStore]:
    """A bucket of its own, with nothing in it: the tests of backups look at all of it."""
    store = ObjectStore.from_settings(settings.model_copy(update={"s3_bucket": "restored"}))
    store.ensure_bucket()
    yield store
    for stored in objects_in(store):
        store.delete(stored.key)


def backup(database_url: str) -> bytes:
    """What `pg_dump` gives."""
    return subprocess.run(
        [storage_servers.postgres_binary("pg_dump"), "--format=custom", database_url], capture_output=True, check=True
    ).stdout


def restore(dump: bytes, database_url: str) -> None:
    """What `pg_restore` makes of it, in a database that is new."""
    url, name = database_url.rsplit("/", 1)
    with psycopg.connect(f"{url}/postgres", autocommit=True) as boss:
        boss.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        boss.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    subprocess.run(
        [storage_servers.postgres_binary("pg_restore"), "--no-owner", "-d", database_url],
        input=dump, check=True, capture_output=True,
    )  # fmt: skip


def people(path: Path, name: str, rows: int) -> Path:
    path.write_text("Email,First Name\n" + "".join(f"{name}{n}@x.example,{name}\n" for n in range(rows)))
    return path


def import_new(importer: Importer) -> list[str]:
    """Import what the sensor finds in the bucket; returns the uploads' ids."""
    found = discovery.discover(importer.connection, importer.store)
    for upload_id in found.registered:
        importer.load(upload_id)
    return found.registered


def test_postgres_is_older_than_s3(settings, bucket, fresh_database: Callable[[], str], tmp_path):
    files = {
        name: people(tmp_path / f"{name}.csv", name, rows) for name, rows in (("a", 300), ("b", 25_000), ("c", 40))
    }
    dumps: list[bytes] = []
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        imports = {importer.run(files["a"])["upload_id"]: files["a"]}

        def back_up(_progress: object, chunks: int) -> None:
            if chunks == 1:
                dumps.append(backup(settings.database_url))

        upload_id = importer.register(files["b"])
        imports[upload_id] = files["b"]
        importer.load(upload_id, back_up)
        imports[importer.run(files["c"])["upload_id"]] = files["c"]
        expected = content(connection)
    restored = settings.model_copy(update={"database_url": fresh_database()})
    restore(dumps[0], restored.database_url)
    with closing(postgres.connect(restored.database_url)) as connection:
        importer = Importer(restored, bucket, connection)
        record = queries.find(connection, upload_id)
        assert record is not None
        assert record.state == "loading"
        # The run of the import that was under way is another's: it is resumed. What came later is found in the bucket.
        assert importer.load(upload_id)["state"] == "succeeded"
        (found,) = import_new(importer)
        assert importer.summary(found)["inserted"] == 40
        assert import_new(importer) == []
        assert found in imports
        invariants.check(restored, bucket, imports, expected)


def test_s3_is_older_than_postgres(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        done = importer.run(people(tmp_path / "done.csv", "done", 50))["upload_id"]
        waiting = importer.register(people(tmp_path / "waiting.csv", "waiting", 50))
        for upload_id in (done, waiting):
            bucket.s3.delete_object(Bucket=bucket.bucket, Key=f"uploads/{upload_id}.csv")
        assert restoring.recognise(connection, bucket) == restoring.Restored(missing=2)
        with pytest.raises(ContactPipelineError, match=r"deleted|not there|gone"):
            importer.load(waiting)
        assert importer.summary(done)["state"] == "succeeded"
        assert len(importer.contacts()) == 50


def test_copies_in_a_restored_bucket_are_not_imported_again(settings, bucket, tmp_path, monkeypatch):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        first = importer.run(people(tmp_path / "first.csv", "same", 60))["upload_id"]
        rows = "".join(f"same{n}@x.example,later\n" for n in range(60))
        (tmp_path / "second.csv").write_text("Email,First Name\n" + rows)
        second = importer.run(tmp_path / "second.csv")["upload_id"]
        large = people(tmp_path / "large.csv", "large", 12_000)
        half = importer.register(large)
        _put_again(bucket, [f"uploads/{one}.csv" for one in (first, second)])
        # As a backup writes it: in parts of other sizes, so that its ETag is another.
        _put_in_parts(bucket, f"uploads/{half}.csv", large.read_bytes())
        people(tmp_path / "new.csv", "new", 5)
        bucket.s3.upload_file(str(tmp_path / "new.csv"), bucket.bucket, "uploads/new.csv")
        with monkeypatch.context() as patch:
            # More pages than are looked into at once.
            patch.setattr(bucket_listing, "PAGE_KEYS", 1)
            patch.setattr(bucket_listing, "MAX_READ_PAGES", 1)
            assert restoring.recognise(connection, bucket) == restoring.Restored(copies=3, others=1)
        assert restoring.recognise(connection, bucket) == restoring.Restored(known=3, others=1)
        assert len(import_new(importer)) == 1
        assert importer.load(half)["inserted"] == 12_000
        assert {row["first_name"] for row in importer.contacts() if row["email"].startswith("same")} == {"later"}
        assert import_new(importer) == []


def test_an_older_version_that_comes_back_under_its_key_is_a_copy(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        for name in ("old", "newer"):
            path = tmp_path / f"{name}.csv"
            path.write_text(f"Email,First Name\nann@x.example,{name}\n")
            bucket.s3.upload_file(str(path), bucket.bucket, "uploads/crm.csv")
            assert len(import_new(importer)) == 1
        bucket.s3.upload_file(str(tmp_path / "old.csv"), bucket.bucket, "uploads/crm.csv")
        _put_again(bucket, ["uploads/crm.csv"])
        assert restoring.recognise(connection, bucket).copies == 1
        assert import_new(importer) == []
        assert [row["first_name"] for row in importer.contacts()] == ["newer"]


def test_what_may_be_another_file_is_told_and_not_imported(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        _put_in_parts(bucket, "uploads/crm.csv", people(tmp_path / "a.csv", "aaaa", 60).read_bytes())
        _put_in_parts(bucket, "uploads/plain.csv", people(tmp_path / "c.csv", "cccc", 70).read_bytes())
        assert len(import_new(importer)) == 2
        other = people(tmp_path / "b.csv", "bbbb", 60)
        _put_in_parts(bucket, "uploads/crm.csv", other.read_bytes())
        bucket.s3.upload_file(str(people(tmp_path / "d.csv", "dddd", 71)), bucket.bucket, "uploads/plain.csv")
        found = restoring.recognise(connection, bucket)
        assert found == restoring.Restored(unsure=["uploads/crm.csv"], others=1)
        assert len(import_new(importer)) == 1
        bucket.s3.upload_file(str(other), bucket.bucket, "uploads/crm-of-today.csv")
        assert len(import_new(importer)) == 1
        assert len(importer.contacts()) == 60 + 70 + 71 + 60


def test_a_file_that_retention_had_let_go_goes_again(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        path = people(tmp_path / "old.csv", "gone", 20)
        upload_id = importer.run(path)["upload_id"]
        connection.execute("UPDATE imports SET finished_at = finished_at - interval '31 days'")
        assert retention.apply(connection, bucket, settings)["files"] == 1
        key = f"uploads/{upload_id}.csv"
        bucket.s3.upload_file(str(path), bucket.bucket, key)
        _put_again(bucket, [key])
        assert restoring.recognise(connection, bucket).copies == 1
        assert import_new(importer) == []
        assert retention.apply(connection, bucket, settings)["files"] == 1
        assert bucket.find(key) is None


def _put_again(bucket: ObjectStore, keys: list[str]) -> None:
    contents = {key: bucket.s3.get_object(Bucket=bucket.bucket, Key=key)["Body"].read() for key in keys}
    before = {key: bucket.find(key) for key in keys}
    for key, body in contents.items():
        while bucket.find(key)[0].uploaded_at == before[key][0].uploaded_at:
            # S3 tells times by the second.
            bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=body)


def _put_in_parts(bucket: ObjectStore, key: str, body: bytes) -> None:
    begun = bucket.s3.create_multipart_upload(Bucket=bucket.bucket, Key=key)["UploadId"]
    part = bucket.s3.upload_part(Bucket=bucket.bucket, Key=key, UploadId=begun, PartNumber=1, Body=body)
    bucket.s3.complete_multipart_upload(
        Bucket=bucket.bucket, Key=key, UploadId=begun,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )  # fmt: skip
