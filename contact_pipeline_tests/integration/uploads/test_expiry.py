"""Nothing is left behind of uploads that nobody goes on with."""

from __future__ import annotations

import dagster as dg
import pytest
import redis

from contact_pipeline.database import saved_mappings
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.orchestration import jobs
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.uploads import expiry
from contact_pipeline_tests.uploading import problem

MIB = 1 << 20


@pytest.fixture
def bucket(settings, stack):
    """A bucket of this test alone: what is swept here must not be another test's upload."""
    store = ObjectStore(ObjectStore.from_settings(settings).s3, "sweeping")
    store.ensure_bucket()
    yield store
    assert not store.s3.list_multipart_uploads(Bucket=store.bucket).get("Uploads")


def begin(service, headers):
    upload = service.post("/api/upload/init/", json={"fileName": "a.csv", "fileSize": 9 * MIB}, headers=headers).json()
    form = {"data": {"uploadId": upload["uploadId"], "chunkIndex": "0"}, "files": {"chunk": b"x" * (8 * MIB)}}
    assert service.post("/api/upload/chunk/", headers=headers, **form).status_code == 200
    return upload["uploadId"]


def expire(settings, upload_id):
    client = redis.Redis.from_url(settings.redis_url)
    client.delete(f"contact_pipeline:upload:{upload_id}", f"contact_pipeline:upload:{upload_id}:parts")
    client.close()


def test_what_expired_is_aborted_and_what_lives_is_left_alone(serve, token, settings, bucket, connection):
    # A session that may live for no time makes every upload old enough at once.
    old = settings.model_copy(update={"s3_bucket": bucket.bucket, "session_seconds": 0})
    service, ada = serve(s3_bucket=bucket.bucket), token("ada")
    given_up, living = begin(service, ada), begin(service, ada)
    expire(settings, given_up)
    assert expiry.sweep(old, bucket, connection) == 1
    left = [one["Key"] for one in bucket.s3.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads", [])]
    assert left == [f"uploads/{living}.csv"]
    seen = connection.execute("SELECT upload_id FROM audit_events WHERE what = 'upload_expired'").fetchall()
    assert [one["upload_id"] for one in seen] == [given_up]
    lost = service.get(f"/api/upload/parts/?uploadId={given_up}", headers=ada)
    assert problem(lost) == (404, "unknown_upload")
    service.post("/api/upload/cancel/", json={"uploadId": living}, headers=ada)


def test_an_upload_that_just_began_is_not_taken_for_lost(serve, token, settings, bucket, connection):
    service, ada = serve(s3_bucket=bucket.bucket), token("ada")
    upload_id = begin(service, ada)
    expire(settings, upload_id)
    young = settings.model_copy(update={"s3_bucket": bucket.bucket})
    assert expiry.sweep(young, bucket, connection) == 0
    assert expiry.sweep(young.model_copy(update={"session_seconds": 0}), bucket, connection) == 1


def test_options_of_uploads_that_never_came_are_forgotten(settings, bucket, connection):
    saved_mappings.keep_upload_options(connection, "old", {"mode": "check"})
    saved_mappings.keep_upload_options(connection, "new", {"mode": "check"})
    connection.execute("UPDATE upload_options SET created_at = now() - interval '8 days' WHERE upload_id = 'old'")
    expiry.sweep(settings.model_copy(update={"s3_bucket": bucket.bucket}), bucket, connection)
    assert saved_mappings.upload_options(connection, "old") == {}
    assert saved_mappings.upload_options(connection, "new") == {"mode": "check"}


def test_the_sweep_runs_as_a_job(process_settings, bucket, monkeypatch):
    monkeypatch.setenv("CONTACT_PIPELINE_S3_BUCKET", bucket.bucket)
    done = jobs.sweep_uploads.execute_in_process(
        resources={"pipeline": Pipeline()}, instance=dg.DagsterInstance.ephemeral()
    )
    assert done.success


def test_s3_itself_is_the_second_net(stack):
    store = ObjectStore.from_settings(stack)
    rules = store.s3.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
    assert [rule["Filter"]["Prefix"] for rule in rules if rule["Status"] == "Enabled"] == ["uploads/"]


def test_a_session_ends_for_good_whatever_is_called(serve, token, settings):
    service, ada = serve(session_seconds=1000, session_max_seconds=3000), token("ada")
    upload = service.post("/api/upload/init/", json={"fileName": "a.csv", "fileSize": 1}, headers=ada).json()[
        "uploadId"
    ]
    client, key = redis.Redis.from_url(settings.redis_url, decode_responses=True), f"contact_pipeline:upload:{upload}"
    assert 900 < client.ttl(key) <= 1000
    client.expire(key, 10)
    service.get(f"/api/upload/progress/?uploadId={upload}", headers=ada)
    assert 900 < client.ttl(key) <= 1000
    ends_at = float(client.hget(key, "ends_at"))
    client.hset(key, "ends_at", ends_at - 2500)
    service.get(f"/api/upload/progress/?uploadId={upload}", headers=ada)
    assert 0 < client.ttl(key) <= 500
    client.close()
    service.post("/api/upload/cancel/", json={"uploadId": upload}, headers=ada)


def test_an_upload_that_another_program_is_sending_is_left_to_the_buckets_rule(settings, bucket, connection):
    old = settings.model_copy(update={"s3_bucket": bucket.bucket, "session_seconds": 0})
    key = "uploads/sent-by-another-program.csv"
    begun = bucket.s3.create_multipart_upload(Bucket=bucket.bucket, Key=key)
    assert expiry.sweep(old, bucket, connection) == 0
    bucket.s3.abort_multipart_upload(Bucket=bucket.bucket, Key=key, UploadId=begun["UploadId"])
