"""Faults of S3 that the real server here does not produce: moto stands in for it, and answers are put in its way."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from contact_pipeline.errors import ObjectChanged, StoreFailed
from contact_pipeline.object_store import ObjectStore

BODY = b"0123456789" * 1_000


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        s3.create_bucket(Bucket="faults")
        s3.put_object(Bucket="faults", Key="uploads/a.csv", Body=BODY)
        yield ObjectStore(s3, "faults")


def answer(store: ObjectStore, make: Callable[[int], AWSResponse | None]) -> list[int]:
    """Let `make` answer GetObject, by the number of the call; None lets the call through."""
    calls: list[int] = []

    def intercept(**_: Any) -> Any:
        calls.append(len(calls))
        return make(calls[-1])

    store.s3.meta.events.register_first("before-send.s3.GetObject", intercept)
    return calls


def response(status: int, body: bytes, headers: dict[str, str] | None = None) -> AWSResponse:
    raw: Any = io.BytesIO(body)
    raw.stream = lambda *_, **__: iter([body])
    return AWSResponse("https://faults/", status, headers or {}, raw)  # type: ignore[arg-type]  # a dictionary will do


def etag(store: ObjectStore) -> str:
    found = store.find("uploads/a.csv")
    assert found is not None
    return found[0].etag


def test_a_body_cut_short_is_fetched_again(store):
    short = response(206, BODY[:50], {"content-range": f"bytes 0-99/{len(BODY)}", "content-length": "50"})
    calls = answer(store, lambda call: short if call == 0 else None)
    assert store.read_range("uploads/a.csv", etag(store), 0, 100) == BODY[:100]
    assert len(calls) == 2


def test_bodies_cut_short_again_and_again_fail_the_reading(store):
    calls = answer(
        store,
        lambda _: response(206, BODY[:50], {"content-range": f"bytes 0-99/{len(BODY)}", "content-length": "50"}),
    )
    with pytest.raises(StoreFailed, match="fewer bytes"):
        store.read_range("uploads/a.csv", etag(store), 0, 100)
    assert len(calls) == 4


def test_a_store_that_is_down_fails_the_reading_after_bounded_attempts(store):
    calls = answer(store, lambda _: response(503, b"<Error><Code>SlowDown</Code></Error>"))
    with pytest.raises(StoreFailed, match="SlowDown"):
        store.read_range("uploads/a.csv", etag(store), 0, 100)
    assert 4 <= len(calls) <= 20


def test_access_denied_is_not_tried_again(store):
    calls = answer(store, lambda _: response(403, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(StoreFailed, match="does not allow"):
        store.read_range("uploads/a.csv", etag(store), 0, 100)
    assert len(calls) == 1


@pytest.mark.parametrize("status", [404, 412, 416])
def test_an_object_that_is_another_one_is_told_so(store, status):
    answer(store, lambda _: response(status, b"<Error><Code>Gone</Code></Error>"))
    with pytest.raises(ObjectChanged):
        store.read_range("uploads/a.csv", etag(store), 0, 100)


def test_a_stream_is_the_object_from_any_byte_on(store):
    found = store.find("uploads/a.csv")
    assert b"".join(store.stream(found[0], 5)) == BODY[5:]
    assert list(store.stream(found[0], len(BODY))) == []
