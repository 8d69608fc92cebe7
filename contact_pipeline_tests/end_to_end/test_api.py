"""The five endpoints, on the real service and the real S3 server."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from contact_pipeline.database import postgres, queries
from contact_pipeline_tests.running import eventually
from contact_pipeline_tests.uploading import problem

MIB = 1 << 20
HEADER = b"Email,Notes\n"


def csv_of(size: int, seed: str) -> bytes:
    """A CSV of exactly that many bytes, whose rows all load."""
    rows = [HEADER]
    left = size - len(HEADER)
    while left:
        length = left if left < 8_000 else 4_000
        row = f"{seed}{len(rows)}@upload.example,".encode()
        rows.append(row + b"x" * (length - len(row) - 1) + b"\n")
        left -= length
    return b"".join(rows)


def rows_of(body: bytes) -> int:
    return body.count(b"\n") - 1


def test_chunks_in_any_order_in_parallel_and_again_make_the_file(api):
    body = csv_of(30 * MIB, "order")
    begun = api.init(len(body), 4).json()
    assert (begun["chunkSize"], begun["totalChunks"]) == (8 * MIB, 4)
    assert begun["s3Key"] == f"uploads/{begun['uploadId']}.csv"
    upload_id, part = begun["uploadId"], begun["chunkSize"]
    order = [*range(4), 1, 3]
    random.Random(1).shuffle(order)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: api.chunk(upload_id, i, body[i * part : (i + 1) * part]), order))
    assert [answer.status_code for answer in answers] == [200] * 6
    done = api.complete(upload_id)
    assert done.status_code == 200
    assert done.json() == {"uploadId": upload_id, "s3Key": begun["s3Key"], "state": "completed", "size": len(body)}
    assert api.complete(upload_id).json() == done.json()
    stored, metadata = api.store.find(begun["s3Key"])
    assert api.store.read_range(stored.key, stored.etag, 0, stored.size) == body
    assert metadata == {"owner": "local", "file-name": "people.csv"}
    assert begun["s3Key"] not in api.unfinished()


def test_progress_shows_the_upload_then_the_import(api):
    body = csv_of(9 * MIB, "progress")
    begun = api.init(len(body)).json()
    upload_id = begun["uploadId"]
    assert api.progress(uploadId=upload_id).json()["percent"] == 0
    api.chunk(upload_id, 0, body[: 8 * MIB])
    half = api.progress(s3Key=begun["s3Key"]).json()
    assert (half["phase"], half["state"], half["bytes"], half["totalBytes"]) == (
        "uploading", "uploading", 8 * MIB, len(body),
    )  # fmt: skip
    assert half["rate"] > 0
    api.chunk(upload_id, 1, body[8 * MIB :])
    api.complete(upload_id)
    done = eventually(lambda: (found := api.progress(s3Key=begun["s3Key"]).json())["phase"] == "finished" and found)
    rows = rows_of(body)
    assert (done["state"], done["percent"], done["rows"], done["loaded"], done["rejected"]) == (
        "succeeded", 100, rows, rows, 0,
    )  # fmt: skip


def test_completing_with_gaps_is_refused_and_the_upload_goes_on(api):
    body = csv_of(24 * MIB, "gaps")
    upload_id = api.init(len(body), 3).json()["uploadId"]
    api.chunk(upload_id, 1, body[8 * MIB : 16 * MIB])
    refused = api.complete(upload_id)
    assert problem(refused) == (409, "missing_chunks")
    assert refused.json()["missingChunks"] == [0, 2]
    for index in (0, 2):
        assert api.chunk(upload_id, index, body[index * 8 * MIB : (index + 1) * 8 * MIB]).status_code == 200
    assert api.complete(upload_id).status_code == 200


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [
        (0, 100, (422, "wrong_chunk_size")),
        (0, 8 * MIB + 1, (422, "wrong_chunk_size")),
        (0, 0, (422, "wrong_chunk_size")),
        (2, 8 * MIB, (422, "no_such_chunk")),
    ],
)
def test_a_chunk_of_the_wrong_size_or_number_is_refused(api, index, size, expected):
    upload_id = api.init(16 * MIB).json()["uploadId"]
    assert problem(api.chunk(upload_id, index, b"x" * size)) == expected
    api.cancel(upload_id)


def test_a_chunk_that_no_upload_could_have_is_refused_before_it_is_read(api):
    upload_id = api.init(16 * MIB).json()["uploadId"]
    assert problem(api.chunk(upload_id, 0, b"x" * (65 * MIB))) == (413, "chunk_too_large")
    api.cancel(upload_id)


@pytest.mark.parametrize(
    ("size", "total", "name", "expected"),
    [
        (16 * MIB, 400, "a.csv", (400, "wrong_total_chunks")),
        (16 * MIB, None, "a.exe", (415, "unsupported_file")),
        (0, None, "a.csv", (422, "invalid_request")),
        (200 << 30, None, "a.csv", (413, "file_too_large")),
    ],
)
def test_an_upload_that_cannot_be_is_refused_at_once(api, size, total, name, expected):
    assert problem(api.init(size, total, name)) == expected


def test_file_names_are_data(api):
    name = '../../etc/<script>"\r\nX-Evil: 1\u202e' + "é" * 300 + ".csv"
    body = csv_of(1000, "names")
    begun = api.init(len(body), name=name).json()
    assert begun["s3Key"] == f"uploads/{begun['uploadId']}.csv"
    api.chunk(begun["uploadId"], 0, body)
    assert api.complete(begun["uploadId"]).status_code == 200
    assert api.cancel(begun["uploadId"]).status_code in (200, 409)


def test_cancelling_leaves_no_part_and_takes_no_more(api):
    upload_id = (begun := api.init(16 * MIB).json())["uploadId"]
    api.chunk(upload_id, 0, b"x" * (8 * MIB))
    assert begun["s3Key"] in api.unfinished()
    assert api.cancel(upload_id).json() == {"uploadId": upload_id, "state": "cancelled"}
    assert begun["s3Key"] not in api.unfinished()
    assert api.cancel(upload_id).status_code == 200
    assert problem(api.chunk(upload_id, 1, b"x" * (8 * MIB))) == (409, "upload_cancelled")
    assert problem(api.complete(upload_id)) == (409, "upload_cancelled")
    assert api.progress(uploadId=upload_id).json()["state"] == "cancelled"


def test_a_chunk_in_flight_when_its_upload_is_cancelled_leaves_nothing(api):
    for _ in range(5):
        begun = api.init(64 * MIB).json()
        with ThreadPoolExecutor(9) as pool:
            sending = [pool.submit(api.chunk, begun["uploadId"], i, b"x" * (8 * MIB)) for i in range(8)]
            assert pool.submit(api.cancel, begun["uploadId"]).result().status_code == 200
            assert {future.result().status_code for future in sending} <= {200, 409}
        assert begun["s3Key"] not in api.unfinished()


def test_a_cancellation_just_after_completion_keeps_the_import_from_starting(api, stack):
    body = csv_of(1000, "cancelled")
    upload_id = api.init(len(body)).json()["uploadId"]
    api.chunk(upload_id, 0, body)
    api.complete(upload_id)
    answer = api.cancel(upload_id)
    connection = postgres.connect(stack.database_url)
    record = queries.find(connection, upload_id)
    if answer.status_code == 409:
        assert record.state == "succeeded"
    else:
        assert answer.json()["state"] == record.state == "cancelled"
        assert queries.totals(connection, upload_id).chunks == 0
    connection.close()


def test_five_uploads_at_once_one_of_them_cancelled(api, stack):
    bodies = [csv_of(17 * MIB, f"five{number}") for number in range(5)]
    uploads = [api.init(len(body)).json()["uploadId"] for body in bodies]
    work = [(upload, index) for upload in range(5) for index in range(3)]
    random.Random(5).shuffle(work)

    def send(job):
        upload, index = job
        if upload == 2 and index == 1:
            return api.cancel(uploads[2])
        return api.chunk(uploads[upload], index, bodies[upload][index * 8 * MIB : (index + 1) * 8 * MIB])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, work))
    good = [upload for number, upload in enumerate(uploads) if number != 2]
    for upload_id in good:
        assert api.complete(upload_id).status_code == 200
    for upload_id in good:
        done = eventually(
            lambda upload_id=upload_id: (  # type: ignore[misc]
                (found := api.progress(uploadId=upload_id).json())["phase"] == "finished" and found
            )
        )
        assert (done["state"], done["rows"]) == ("succeeded", rows_of(bodies[0]))
    assert not set(api.unfinished()) & {f"uploads/{upload_id}.csv" for upload_id in uploads}
    client = redis.Redis.from_url(stack.redis_url, decode_responses=True)
    kept = {key for upload_id in uploads for key in client.scan_iter(f"*{upload_id}*")}
    assert not {key for key in kept if key.endswith(":parts")}
    assert all(client.ttl(key) > 0 for key in kept)
    client.close()


@pytest.mark.parametrize("token", [None, "wrong", "é", "x" * 5000])
def test_every_call_asks_for_the_token(api, stack, token):
    headers = {b"Authorization": f"Bearer {token}".encode()} if token is not None else {}
    with httpx.Client(base_url=stack.api_url, headers=headers, trust_env=False) as stranger:
        calls = [
            stranger.post("/api/upload/init/", json={"fileName": "a.csv", "fileSize": 1}),
            stranger.post("/api/upload/chunk/", data={"uploadId": "a"}, files={"chunk": b"x"}),
            stranger.post("/api/upload/complete/", json={"uploadId": "0" * 32}),
            stranger.post("/api/upload/cancel/", json={"uploadId": "0" * 32}),
            stranger.get("/api/upload/progress/", params={"uploadId": "x"}),
        ]
    assert [problem(call) for call in calls] == [(401, "unauthorized")] * 5


def test_unknown_uploads_and_paths_are_refused_in_one_form(api):
    unknown = "0" * 32
    assert problem(api.complete(unknown)) == (404, "unknown_upload")
    assert problem(api.cancel(unknown)) == (404, "unknown_upload")
    assert problem(api.chunk(unknown, 0, b"x")) == (404, "unknown_upload")
    assert problem(api.progress(uploadId=unknown)) == (404, "unknown_upload")
    assert problem(api.progress(s3Key="../etc/passwd")) == (404, "unknown_upload")
    assert problem(api.progress()) == (422, "invalid_request")
    assert problem(api.http.get("/nowhere")) == (404, "not_found")
    assert problem(api.http.post("/api/upload/init/", json={"fileName": "canary"})) == (422, "invalid_request")
    assert problem(api.http.post("/api/upload/chunk/", content=b"x")) == (422, "invalid_request")


def test_a_session_that_redis_lost_is_answered_from_the_ledger(api, stack):
    body = csv_of(1000, "lost")
    upload_id = api.init(len(body)).json()["uploadId"]
    api.chunk(upload_id, 0, body)
    api.complete(upload_id)
    eventually(lambda: api.progress(uploadId=upload_id).json()["state"] == "succeeded")
    client = redis.Redis.from_url(stack.redis_url)
    client.delete(f"contact_pipeline:upload:{upload_id}", f"contact_pipeline:progress:{upload_id}")
    client.close()
    shown = api.progress(uploadId=upload_id).json()
    assert (shown["state"], shown["percent"], shown["rows"], shown["loaded"]) == ("succeeded", 100, 1, 1)
    assert problem(api.cancel(upload_id)) == (409, "import_ended")
