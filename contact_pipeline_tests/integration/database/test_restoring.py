"""Backups of Postgres and S3 from different moments: what is restored, and what comes right by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from contact_pipeline.database import postgres, queries
from contact_pipeline.errors import ContactPipelineError
from contact_pipeline.importing import discovery, restoring
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.stack import storage_servers
from contact_pipeline_tests.faults import invariants
from contact_pipeline_tests.running import Importer, content


@pytest.fixture
def bucket(settings: Settings, request: pytest.FixtureRequest) -> ObjectStore:
    """A bucket of its own: the tests of backups look at all of it."""
    name = settings.database_url.rsplit("/", 1)[1].replace("_", "-")
    store = ObjectStore.from_settings(settings.model_copy(update={"s3_bucket": name}))
    store.ensure_bucket()
    return store


def backup(database_url: str) -> bytes:
    """What `pg_dump` gives."""
    return subprocess.run(
        [storage_servers.postgres_binary("pg_dump"), "--format=custom", database_url], capture_output=True, check=True
    ).stdout


def restore(dump: bytes, database_url: str) -> None:
    """What `pg_restore` makes of it."""
    subprocess.run(
        [storage_servers.postgres_binary("pg_restore"), "--clean", "--if-exists", "--no-owner", "-d", database_url],
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
        assert restoring.recognise(connection, bucket) == restoring.Restored(known=0, recognised=0, new=0, missing=2)
        with pytest.raises(ContactPipelineError, match=r"deleted|not there|gone"):
            importer.load(waiting)
        assert importer.summary(done)["state"] == "succeeded"
        assert len(importer.contacts()) == 50


def test_copies_in_a_restored_bucket_are_not_imported_again(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        first = importer.run(people(tmp_path / "first.csv", "same", 60))["upload_id"]
        rows = "".join(f"same{n}@x.example,later\n" for n in range(60))
        (tmp_path / "second.csv").write_text("Email,First Name\n" + rows)
        second = importer.run(tmp_path / "second.csv")["upload_id"]
        large = people(tmp_path / "large.csv", "large", 12_000)
        half = importer.register(large)
        _copy(bucket, [f"uploads/{one}.csv" for one in (first, second)])
        # As a backup writes it: in parts of other sizes, so that its ETag is another.
        bucket.s3.delete_object(Bucket=bucket.bucket, Key=f"uploads/{half}.csv")
        _put_in_parts(bucket, f"uploads/{half}.csv", large.read_bytes())
        people(tmp_path / "new.csv", "new", 5)
        bucket.s3.upload_file(str(tmp_path / "new.csv"), bucket.bucket, "uploads/new.csv")
        found = restoring.recognise(connection, bucket)
        assert found == restoring.Restored(known=0, recognised=3, new=1, missing=0)
        assert len(import_new(importer)) == 1
        assert importer.load(half)["inserted"] == 12_000
        assert {row["first_name"] for row in importer.contacts() if row["email"].startswith("same")} == {"later"}
        assert import_new(importer) == []


def test_another_file_under_a_known_key_is_no_copy(settings, bucket, tmp_path):
    with closing(postgres.connect(settings.database_url)) as connection:
        importer = Importer(settings, bucket, connection)
        first = importer.run(people(tmp_path / "first.csv", "aaaa", 60))["upload_id"]
        other = people(tmp_path / "other.csv", "bbbb", 60)
        bucket.s3.upload_file(str(other), bucket.bucket, f"uploads/{first}.csv")
        assert restoring.recognise(connection, bucket) == restoring.Restored(known=0, recognised=0, new=1, missing=0)
        assert len(import_new(importer)) == 1
        assert len(importer.contacts()) == 120


def _copy(bucket: ObjectStore, keys: list[str]) -> None:
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
