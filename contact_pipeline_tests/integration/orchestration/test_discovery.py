from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from contact_pipeline import bucket_listing
from contact_pipeline.bucket_listing import KeyRange
from contact_pipeline.database import cancelling, listing_queries, queries
from contact_pipeline.importing import discovery
from contact_pipeline.importing.discovery import SettledPages, choose, discover, upload_id
from contact_pipeline.object_store import ObjectStore, StoredObject
from contact_pipeline.orchestration import resources, sensors
from contact_pipeline.orchestration.partitions import partition_key, upload_id_of
from contact_pipeline_tests.running import objects_in

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def item(key: str, etag: str = "e", minutes: int = 0) -> StoredObject:
    return StoredObject(key, etag, 10, DAY + timedelta(minutes=minutes))


def test_the_oldest_come_first_and_not_too_many():
    listed = [item(f"uploads/{number}.csv", minutes=-number) for number in range(30)]
    assert choose(listed, 25).new == listed[:4:-1]


@pytest.mark.parametrize("key", ["uploads/", "uploads/.csv", "uploads/x.exe", "uploads/folder/", "elsewhere/a.csv"])
def test_what_is_no_upload_is_ignored(key):
    found = choose([item(key)])
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
    for stored in objects_in(store):
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
    assert (again.registered, again.notes, again.cursor) == ([], [], "[]")
    waiting = {record.file_name: record.owner for record in queries.recent(connection, 10)}
    assert waiting == {"Leads é.csv": "ann", "plain.csv": "bucket"}


def test_a_replaced_object_is_another_upload(own_store, connection):
    for body in (b"Email\na@x.example\n", b"Email\nb@x.example\n"):
        own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/same.csv", Body=body)
        discover(connection, own_store)
    assert len(queries.recent(connection, 10)) == 2


def put(store: ObjectStore, *names: str) -> None:
    for name in names:
        store.s3.put_object(Bucket=store.bucket, Key=f"uploads/{name}", Body=b"Email\na@x.example\n")


def test_what_a_listing_says_is_what_boto_says_whatever_the_keys_are(own_store):
    put(own_store, "a b+c%26&é.csv", "<x>.csv", "line\nend.csv", "𝄞.csv", "ü/ü/1.csv", "zz.csv")
    listed = own_store.s3.list_objects_v2(Bucket=own_store.bucket, Prefix="uploads/")["Contents"]
    expected = {(one["Key"], one["ETag"].strip('"'), one["Size"], one["LastModified"]) for one in listed}
    found = {(one.key, one.etag, one.size, one.uploaded_at) for one in objects_in(own_store)}
    assert len(found) == 6
    assert found == expected


def test_ranges_side_by_side_list_everything_and_what_time_leaves_over_is_listed_then(own_store, monkeypatch):
    monkeypatch.setattr(bucket_listing, "PAGE_KEYS", 3)
    put(own_store, *(f"{number:02}.csv" for number in range(20)))
    ranges = bucket_listing.split(["uploads/05.csv", "uploads/06.csv", "uploads/13.csvx"])
    keys, ticks = set(), 0
    while ranges:
        pages, ranges = bucket_listing.list_pages(own_store, ranges, 0)
        ranges = bucket_listing.from_cursor(bucket_listing.as_cursor(ranges))
        keys |= {stored.key for page in pages for stored in page.objects}
        ticks += 1
    assert keys == {f"uploads/{number:02}.csv" for number in range(20)}
    assert 2 <= ticks <= 4


def test_ticks_go_through_the_bucket_again_and_again(own_store, connection, monkeypatch):
    """Dagster keeps an old cursor where a tick gives an empty one: the listing would stay at its end for ever."""
    monkeypatch.setattr(bucket_listing, "PAGE_KEYS", 3)
    monkeypatch.setattr(discovery, "_LIST_SECONDS", 0)
    put(own_store, *(f"{number:02}.csv" for number in range(10)))
    found: list[str] = []
    cursor, settled = None, SettledPages()
    for tick in range(12):
        if tick == 6:
            put(own_store, "00a.csv", "05a.csv", "zz.csv")
        done = discover(connection, own_store, cursor, settled)
        assert done.cursor
        cursor, found = done.cursor, found + done.registered
    assert len(found) == len(set(found)) == 13
    assert len(queries.recent(connection, 100)) == 13


def test_a_page_that_is_settled_is_not_looked_into_until_it_changes(own_store, connection):
    put(own_store, "a.csv", "b.csv")
    settled = SettledPages()
    for expected in (2, 0):
        assert len(discover(connection, own_store, None, settled).registered) == expected
    pages, _ = bucket_listing.list_pages(own_store, [KeyRange()], 60, settled.__contains__)
    assert [page.objects for page in pages] == [()]
    put(own_store, "c.csv")
    assert len(discover(connection, own_store, None, settled).registered) == 1


def test_the_ledgers_statistics_divide_the_keys(connection):
    assert listing_queries.key_bounds(connection, 8) == []
    connection.execute(
        """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at, file_name,
                                owner)
           SELECT n::text, 'succeeded', 'b', 'uploads/' || lpad(n::text, 4, '0'), '', 1, now(),
                  now() + n * interval '1 microsecond', '', '' FROM generate_series(1, 1000) n"""
    )
    connection.execute("ANALYZE imports")
    bounds = listing_queries.key_bounds(connection, 8)
    assert len(bounds) == 7
    assert bounds == sorted(bounds)
    assert abs(int(bounds[3].removeprefix("uploads/")) - 500) < 60


def tick_of(instance: dg.DagsterInstance) -> dg.SensorEvaluationContext:
    return dg.build_sensor_context(instance=instance, resources={"pipeline": resources.Pipeline()})


def test_the_sensor_evaluated_twice_asks_for_one_run_each(own_store, settings, connection, monkeypatch):
    own = settings.model_copy(update={"s3_bucket": own_store.bucket})
    monkeypatch.setattr(resources, "get_settings", lambda: own)
    own_store.s3.put_object(Bucket=own_store.bucket, Key="uploads/twice.csv", Body=b"Email\na@x.example\n")
    keys = []
    for _ in range(2):
        with dg.instance_for_test() as instance, tick_of(instance) as context:
            result: Any = sensors.uploaded_objects(context)
            keys.append([(request.run_key, request.partition_key) for request in result.run_requests])
    # The same key twice: Dagster starts a run for it once.
    assert len(keys[0]) == 1
    assert keys[0] == keys[1]
    (record,) = queries.recent(connection, 10)
    cancelling.cancel(connection, record.upload_id, "tester")
    with dg.instance_for_test() as instance, tick_of(instance) as context:
        result = sensors.uploaded_objects(context)
        assert not result.run_requests


@pytest.mark.parametrize("use_threads", [True, False])
def test_a_tick_takes_what_becomes_due_while_it_waits(
    own_store, settings, importer, write_csv, monkeypatch, use_threads
):
    own = settings.model_copy(update={"s3_bucket": own_store.bucket})
    monkeypatch.setattr(resources, "get_settings", lambda: own)
    looked = []

    def upload_after_a_look(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 1:
            importer.register(write_csv("Email\nwaits@x.example\n"))

    monkeypatch.setattr(sensors, "sleep", upload_after_a_look)
    overrides = {"sensors": {"use_threads": use_threads, "num_workers": 2}}
    with dg.instance_for_test(overrides=overrides) as instance, tick_of(instance) as context:
        result: Any = sensors.uploaded_objects(context)
    # Where all sensors share a thread, none may wait.
    assert (len(result.run_requests), len(looked)) == ((1, 1) if use_threads else (0, 0))
