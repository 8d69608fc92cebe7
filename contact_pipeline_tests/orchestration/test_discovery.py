from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from contact_pipeline.database import cancelling, queries
from contact_pipeline.importing.discovery import choose, discover, upload_id
from contact_pipeline.object_store import ObjectStore, StoredObject
from contact_pipeline.orchestration.partitions import partition_key, upload_id_of

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def item(key: str, etag: str = "e", minutes: int = 0) -> StoredObject:
    return StoredObject(key, etag, 10, DAY + timedelta(minutes=minutes))


def known(stored: StoredObject) -> tuple[str, str, datetime]:
    return stored.key, stored.etag, stored.uploaded_at


def test_what_is_new_is_what_is_listed_and_not_known():
    listed = [item("uploads/a.csv"), item("uploads/b.csv")]
    assert choose(listed, {known(listed[0])}).new == [listed[1]]
    assert choose(listed, {("uploads/a.csv", "another", DAY), known(listed[1])}).new == [listed[0]]
    assert choose(listed, {("uploads/a.csv", "e", DAY - timedelta(seconds=1)), known(listed[1])}).new == [listed[0]]


def test_the_oldest_come_first_and_not_too_many():
    listed = [item(f"uploads/{number}.csv", minutes=-number) for number in range(30)]
    assert choose(listed, set(), 25).new == listed[:4:-1]


def test_a_long_upload_that_completes_after_a_later_short_one_is_taken():
    # On AWS a multipart object is as old as its beginning.
    short, long = item("uploads/short.csv", minutes=5), item("uploads/long.csv", minutes=0)
    assert choose([short], set()).new == [short]
    assert choose([long, short], {known(short)}).new == [long]


@pytest.mark.parametrize("key", ["uploads/", "uploads/.csv", "uploads/x.exe", "uploads/folder/", "elsewhere/a.csv"])
def test_what_is_no_upload_is_ignored(key):
    found = choose([item(key)], set())
    assert (found.new, [ignored.key for ignored in found.ignored]) == ([], [key])


def test_an_upload_keeps_the_id_in_its_name_unless_that_is_taken():
    own = "0123456789abcdef" * 2
    assert upload_id(item(f"uploads/{own}.csv"), set()) == own
    replaced = upload_id(item(f"uploads/{own}.csv", "new"), {own})
    assert replaced != own
    assert len(replaced) == 32
    assert upload_id(item("uploads/list of leads.csv"), set()) != upload_id(
        item("uploads/list of leads.csv", "f"), set()
    )


def test_a_partition_key_says_its_day_and_its_upload():
    key = partition_key("0" * 32, DAY)
    assert key == "20261124-" + "0" * 32
    assert upload_id_of(key) == "0" * 32


@pytest.fixture
def own_store(settings):
    """A bucket of its own, for tests that list it."""
    store = ObjectStore.from_settings(settings.model_copy(update={"s3_bucket": "discovery"}))
    store.ensure_bucket()
    yield store
    for stored in store.list_uploads():
        store.s3.delete_object(Bucket=store.bucket, Key=stored.key)


def test_objects_are_registered_once_however_often_they_are_seen(own_store, connection):
    own_store.s3.put_object(
        Bucket=own_store.bucket, Key="uploads/leads & more.csv", Body=b"Email\na@x.example\n",
        Metadata={"owner": "ann", "file-name": "Leads%20%C3%A9.csv"},
    )  # fmt: skip
    own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/plain.csv", Body=b"Email\n")
    own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/notes.docx", Body=b"x")
    first = discover(connection, own_store)
    assert len(first.registered) == 2
    (note,) = first.notes
    assert note == "'uploads/notes.docx' is no file of a kind that is read: it is ignored"
    again = discover(connection, own_store)
    assert (again.registered, again.notes, again.after) == ([], [], "")
    waiting = {record["file_name"]: record["owner"] for record in queries.recent(connection, 10)}
    assert waiting == {"Leads é.csv": "ann", "plain.csv": "bucket"}


def test_a_replaced_object_is_another_upload(own_store, connection):
    for body in (b"Email\na@x.example\n", b"Email\nb@x.example\n"):
        own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/same.csv", Body=body)
        discover(connection, own_store)
    assert len(queries.recent(connection, 10)) == 2


def test_the_sensor_evaluated_twice_asks_for_one_run_each(own_store, settings, connection, monkeypatch):
    from contact_pipeline.orchestration import resources, sensors

    own = settings.model_copy(update={"s3_bucket": own_store.bucket})
    monkeypatch.setattr(resources, "get_settings", lambda: own)
    own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/twice.csv", Body=b"Email\na@x.example\n")
    keys = []
    for _ in range(2):
        with dg.instance_for_test() as instance, dg.build_sensor_context(instance=instance) as context:
            result = sensors.uploaded_objects(context, pipeline=resources.Pipeline())
            keys.append([(request.run_key, request.partition_key) for request in result.run_requests])
    # The same key twice: Dagster starts a run for it once.
    assert len(keys[0]) == 1
    assert keys[0] == keys[1]
    (record,) = queries.recent(connection, 10)
    cancelling.cancel(connection, record["upload_id"], "tester")
    with dg.instance_for_test() as instance, dg.build_sensor_context(instance=instance) as context:
        assert not sensors.uploaded_objects(context, pipeline=resources.Pipeline()).run_requests
