"""Parts that go straight to S3, by Uppy's protocols as they go over the wire; the browser itself is in `browser/`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from contact_pipeline_tests.uploading import problem

MIB = 1 << 20
_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def ada(token):
    return token("ada")


def create(service: Any, headers: dict[str, str], **metadata: Any) -> tuple[str, str]:
    body = {"filename": "people.csv", "type": "text/csv", "metadata": {"name": "people.csv", **metadata}}
    answer = service.post("/s3/multipart", json=body, headers=headers).json()
    assert answer["key"] == f"uploads/{answer['uploadId']}.csv"
    return answer["uploadId"], answer["key"]


def put(service: Any, headers: dict[str, str], upload: tuple[str, str], number: int, body: bytes) -> httpx.Response:
    signed = service.get(f"/s3/multipart/{upload[0]}/{number}?key={upload[1]}", headers=headers).json()
    return httpx.put(signed["url"], content=body, headers={"Origin": "https://any.example"}, trust_env=False)


def complete(service: Any, headers: dict[str, str], upload: tuple[str, str], *numbers: int) -> httpx.Response:
    parts = [{"PartNumber": number, "ETag": "x"} for number in numbers]
    answer: httpx.Response = service.post(
        f"/s3/multipart/{upload[0]}/complete?key={upload[1]}", json={"parts": parts}, headers=headers
    )
    return answer


def test_signed_parts_become_a_file_with_its_owner(service, ada, store):
    upload = create(service, ada, size=6 * MIB)
    first = put(service, ada, upload, 1, b"a" * (5 * MIB))
    # A browser shows the page neither the answer nor the ETag without these.
    assert first.headers["access-control-allow-origin"] == "*" or first.headers["access-control-allow-origin"]
    assert "etag" in first.headers["access-control-expose-headers"].lower()
    shown = service.get("/api/upload/progress/", params={"s3Key": upload[1]}, headers=ada).json()
    assert (shown["phase"], shown["bytes"], shown["totalBytes"], shown["percent"]) == (
        "uploading", 5 * MIB, 6 * MIB, 83.3,
    )  # fmt: skip
    put(service, ada, upload, 2, b"b" * MIB)
    listed = service.get(f"/s3/multipart/{upload[0]}?key={upload[1]}", headers=ada).json()
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, 5 * MIB), (2, MIB)]
    assert listed[0]["ETag"] == first.headers["etag"]
    for _ in range(2):
        assert complete(service, ada, upload, 1, 2).json()["key"] == upload[1]
    stored, metadata = store.find(upload[1])
    assert stored.size == 6 * MIB
    assert metadata == {"owner": "ada", "file-name": "people.csv"}
    store.s3.delete_object(Bucket=store.bucket, Key=upload[1])


@pytest.mark.parametrize(
    ("declared", "sent", "named", "expected"),
    [
        (None, {1: 5 * MIB, 3: MIB}, (1, 3), (409, "missing_chunks")),
        (None, {1: 5 * MIB}, (1, 2), (409, "missing_chunks")),
        (None, {1: 5 * MIB, 2: MIB}, (1,), (409, "missing_chunks")),
        (9 * MIB, {1: 5 * MIB, 2: MIB}, (1, 2), (409, "wrong_size")),
        (None, {1: MIB, 2: MIB}, (1, 2), (422, "part_too_small")),
    ],
)
def test_what_is_not_whole_is_not_completed(service, ada, store, declared, sent, named, expected):
    upload = create(service, ada, **({"size": declared} if declared else {}))
    for number, size in sent.items():
        assert put(service, ada, upload, number, b"x" * size).status_code == 200
    assert problem(complete(service, ada, upload, *named)) == expected
    assert store.find(upload[1]) is None
    assert service.delete(f"/s3/multipart/{upload[0]}?key={upload[1]}", headers=ada).json() == {}
    assert problem(complete(service, ada, upload, *named)) == (409, "upload_cancelled")


def test_more_bytes_than_are_taken_do_not_become_a_file(serve, token, store):
    service, ada = serve(max_upload_bytes=6 * MIB), token("ada")
    upload = create(service, ada)
    for number, size in ((1, 5 * MIB), (2, 2 * MIB)):
        put(service, ada, upload, number, b"x" * size)
    assert problem(complete(service, ada, upload, 1, 2)) == (413, "file_too_large")
    assert store.find(upload[1]) is None
    service.delete(f"/s3/multipart/{upload[0]}?key={upload[1]}", headers=ada)


@pytest.mark.parametrize("number", [0, 10_001, 10**9])
def test_parts_that_s3_has_not_are_not_signed(service, ada, number):
    upload = create(service, ada)
    signed = service.get(f"/s3/multipart/{upload[0]}/{number}?key={upload[1]}", headers=ada)
    assert problem(signed) == (422, "no_such_part")
    service.delete(f"/s3/multipart/{upload[0]}?key={upload[1]}", headers=ada)


def test_the_key_must_be_the_uploads_own(service, ada):
    upload, other = create(service, ada), create(service, ada)
    for one, key in ((upload, other[1]), (other, "uploads/../x.csv")):
        assert problem(service.get(f"/s3/multipart/{one[0]}/1?key={key}", headers=ada)) == (404, "unknown_upload")
    for one in (upload, other):
        service.delete(f"/s3/multipart/{one[0]}?key={one[1]}", headers=ada)


def test_chunks_cannot_be_sent_to_an_upload_that_goes_straight_to_s3(service, ada):
    upload = create(service, ada)
    form = {"data": {"uploadId": upload[0], "chunkIndex": "0"}, "files": {"chunk": b"x"}}
    assert problem(service.post("/api/upload/chunk/", headers=ada, **form)) == (409, "direct_upload")
    service.delete(f"/s3/multipart/{upload[0]}?key={upload[1]}", headers=ada)


def test_a_file_in_one_piece_is_posted_with_its_owner_and_within_its_size(service, ada, store):
    for size, expected in ((1000, 201), (1001, 400)):
        signed = service.get("/s3/params?filename=people.csv&type=text/csv&metadata[size]=1000", headers=ada).json()
        answer = httpx.post(
            signed["url"], data=signed["fields"], files={"file": ("people.csv", b"x" * size)}, trust_env=False
        )
        assert answer.status_code // 100 == expected // 100, answer.text
        found = store.find(signed["key"])
        assert (found is not None) == (expected == 201)
        if found is not None:
            assert found[1] == {"owner": "ada", "file-name": "people.csv"}
            progress = service.get("/api/upload/progress/", params={"s3Key": signed["key"]}, headers=ada).json()
            assert (progress["phase"], progress["state"], progress["bytes"]) == ("queued", "completed", 1000)
            store.s3.delete_object(Bucket=store.bucket, Key=signed["key"])


def presign(service: Any, headers: dict[str, str], method: str, **request: Any) -> dict[str, Any]:
    answer = service.post("/s3/presign", json={"method": method, **request}, headers=headers)
    assert answer.status_code == 200, answer.text
    signed: dict[str, Any] = answer.json()
    return signed


def test_signed_requests_of_uppy_6_create_list_and_complete_by_tickets(service, ada, store):
    created = presign(service, ada, "POST", key="people.csv", contentType="text/csv")
    answer = ET.fromstring(service.post(urlsplit(created["url"]).path).content)
    upload_id = answer.findtext(f"{_S3}UploadId")
    assert answer.findtext(f"{_S3}Key") == created["key"] == f"uploads/{upload_id}.csv"
    one = {"key": created["key"], "uploadId": upload_id}
    part = presign(service, ada, "PUT", partNumber=1, **one)
    assert httpx.put(part["url"], content=b"x" * 1000, trust_env=False).status_code == 200
    listed = ET.fromstring(service.get(urlsplit(presign(service, ada, "GET", **one)["url"]).path).content)
    assert [found.findtext(f"{_S3}Size") for found in listed.findall(f"{_S3}Part")] == ["1000"]
    done = service.post(urlsplit(presign(service, ada, "POST", **one)["url"]).path, content=b"<ignored/>")
    assert ET.fromstring(done.content).findtext(f"{_S3}Key") == created["key"]
    assert store.find(created["key"])[0].size == 1000
    store.s3.delete_object(Bucket=store.bucket, Key=created["key"])


def test_a_ticket_is_for_one_operation_and_nobody_can_guess_one(service, ada, store):
    created = presign(service, ada, "POST", key="people.csv")
    upload_id = created["key"].removeprefix("uploads/").removesuffix(".csv")
    aborting = urlsplit(presign(service, ada, "DELETE", key=created["key"], uploadId=upload_id)["url"]).path
    assert service.delete(aborting).status_code == 204
    assert problem(service.post("/s3/ticket/guessed")) == (403, "unknown_ticket")
    assert not store.s3.list_multipart_uploads(Bucket=store.bucket, Prefix=created["key"]).get("Uploads")
