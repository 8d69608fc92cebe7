"""Bad lines, dying processes, an S3 that fails: each leaves a clear answer, and nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import redis
from botocore.awsrequest import AWSResponse

from contact_pipeline.stack import processes, servers
from contact_pipeline.stack.home import free_ports
from contact_pipeline.uploads import forms
from contact_pipeline.uploads.app import BYTES_IN_FLIGHT, create_app
from contact_pipeline_tests.uploading import Api, problem

MIB = 1 << 20


def init(service: Any, headers: dict[str, str], size: int) -> dict[str, Any]:
    answer: dict[str, Any] = service.post(
        "/api/upload/init/", json={"fileName": "a.csv", "fileSize": size}, headers=headers
    ).json()
    return answer


def chunk(service: Any, headers: dict[str, str], upload_id: str, index: int, body: bytes) -> httpx.Response:
    form = {"data": {"uploadId": upload_id, "chunkIndex": str(index)}, "files": {"chunk": body}}
    answer: httpx.Response = service.post("/api/upload/chunk/", headers=headers, **form)
    return answer


def intercept(service: Any, operation: str, answers: list[AWSResponse | Exception | None]) -> list[int]:
    """Put answers in the way of the service's calls of S3, one after the other; None lets a call through."""
    calls: list[int] = []

    def answer(**_: Any) -> AWSResponse | None:
        calls.append(len(calls))
        given = answers[calls[-1]] if calls[-1] < len(answers) else None
        if isinstance(given, Exception):
            raise given
        return given

    events = service.app.state.services.uploads._store.s3.meta.events
    events.register_first(f"before-send.s3.{operation}", answer)
    return calls


def failure(status: int, code: str) -> AWSResponse:
    class Raw:
        def stream(self, **_: Any) -> list[bytes]:
            return [f"<Error><Code>{code}</Code></Error>".encode()]

    return AWSResponse("http://s3/", status, {}, Raw())  # type: ignore[arg-type]  # a dictionary will do


@pytest.fixture
def ada(token):
    return token("ada")


def test_one_part_that_s3_does_not_take_is_sent_again_and_the_others_stay(service, ada, store):
    begun = init(service, ada, 17 * MIB)
    upload_id = begun["uploadId"]
    assert chunk(service, ada, upload_id, 0, b"a" * 8 * MIB).status_code == 200
    failures: list[AWSResponse | Exception | None] = [failure(500, "InternalError") for _ in range(50)]
    calls = intercept(service, "UploadPart", failures)
    assert problem(chunk(service, ada, upload_id, 1, b"b" * 8 * MIB)) == (503, "unavailable")
    assert 4 <= len(calls) < 10
    failures.clear()
    parts = service.get(f"/api/upload/parts/?uploadId={upload_id}", headers=ada).json()
    assert parts["missingChunks"] == [1, 2]
    assert problem(service.post("/api/upload/complete/", json={"uploadId": upload_id}, headers=ada)) == (
        409, "missing_chunks",
    )  # fmt: skip
    assert chunk(service, ada, upload_id, 1, b"b" * 8 * MIB).status_code == 200
    assert chunk(service, ada, upload_id, 2, b"c" * MIB).status_code == 200
    assert service.post("/api/upload/complete/", json={"uploadId": upload_id}, headers=ada).json()["size"] == 17 * MIB
    store.s3.delete_object(Bucket=store.bucket, Key=begun["s3Key"])


def test_what_redis_forgot_of_an_upload_is_asked_of_s3(service, ada, settings):
    begun = init(service, ada, 9 * MIB)
    chunk(service, ada, begun["uploadId"], 0, b"a" * 8 * MIB)
    client = redis.Redis.from_url(settings.redis_url)
    client.delete(f"contact_pipeline:upload:{begun['uploadId']}:parts")
    client.close()
    parts = service.get(f"/api/upload/parts/?uploadId={begun['uploadId']}", headers=ada).json()
    assert parts["missingChunks"] == [1]
    progress = service.get(f"/api/upload/progress/?uploadId={begun['uploadId']}", headers=ada).json()
    assert progress["bytes"] == 8 * MIB
    service.post("/api/upload/cancel/", json={"uploadId": begun["uploadId"]}, headers=ada)


def test_a_part_that_arrives_damaged_is_not_counted(service, ada):
    begun = init(service, ada, MIB)

    class Raw:
        def stream(self, **_: Any) -> list[bytes]:
            return [b""]

    wrong = AWSResponse("http://s3/", 200, {"etag": f'"{"0" * 32}"'}, Raw())  # type: ignore[arg-type]
    intercept(service, "UploadPart", [wrong])
    assert problem(chunk(service, ada, begun["uploadId"], 0, b"a" * MIB)) == (502, "part_damaged")
    missing = service.get(f"/api/upload/parts/?uploadId={begun['uploadId']}", headers=ada).json()["missingChunks"]
    assert missing == [0]
    service.post("/api/upload/cancel/", json={"uploadId": begun["uploadId"]}, headers=ada)


def test_an_answer_of_complete_that_is_lost_is_settled_by_asking_for_the_object(service, ada, store):
    begun = init(service, ada, MIB)
    chunk(service, ada, begun["uploadId"], 0, b"a" * MIB)
    real = store.s3
    parts = real.list_parts(Bucket=store.bucket, Key=begun["s3Key"], UploadId=_s3_upload_id(store, begun["s3Key"]))[
        "Parts"
    ]

    def completed_but_silent(**_: Any) -> AWSResponse:
        with contextlib.suppress(real.exceptions.NoSuchUpload):
            real.complete_multipart_upload(
                Bucket=store.bucket,
                Key=begun["s3Key"],
                UploadId=_s3_upload_id(store, begun["s3Key"]),
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": parts[0]["ETag"]}]},
            )
        return failure(400, "RequestTimeout")

    events = service.app.state.services.uploads._store.s3.meta.events
    events.register_first("before-send.s3.CompleteMultipartUpload", completed_but_silent)
    answer = service.post("/api/upload/complete/", json={"uploadId": begun["uploadId"]}, headers=ada)
    assert (answer.status_code, answer.json()["size"]) == (200, MIB)
    store.s3.delete_object(Bucket=store.bucket, Key=begun["s3Key"])


def _s3_upload_id(store: Any, key: str) -> str:
    found = store.s3.list_multipart_uploads(Bucket=store.bucket, Prefix=key).get("Uploads", [])
    return found[0]["UploadId"] if found else "gone"


def test_a_complete_that_fails_leaves_the_upload_open(service, ada, store):
    begun = init(service, ada, MIB)
    chunk(service, ada, begun["uploadId"], 0, b"a" * MIB)
    intercept(service, "CompleteMultipartUpload", [failure(403, "AccessDenied")])
    body = {"uploadId": begun["uploadId"]}
    assert problem(service.post("/api/upload/complete/", json=body, headers=ada)) == (502, "not_completed")
    assert service.post("/api/upload/complete/", json=body, headers=ada).status_code == 200
    store.s3.delete_object(Bucket=store.bucket, Key=begun["s3Key"])


def test_complete_and_cancel_at_once_have_one_winner(service, ada, store):
    for _ in range(8):
        begun = init(service, ada, MIB)
        chunk(service, ada, begun["uploadId"], 0, b"a" * MIB)
        body = {"json": {"uploadId": begun["uploadId"]}, "headers": ada}
        with ThreadPoolExecutor(3) as pool:
            completing = [pool.submit(service.post, "/api/upload/complete/", **body) for _ in range(2)]
            cancelling = pool.submit(service.post, "/api/upload/cancel/", **body).result()
            completed = {future.result().status_code for future in completing}
        assert cancelling.status_code == 200
        if completed == {200}:
            # Completed first, then cancelled as an import: the object stays, and is known as cancelled.
            assert store.find(begun["s3Key"]) is not None
        else:
            # Cancelled first, or while S3 was completing: what is there then is known as cancelled.
            assert completed == {409}
        state = service.get(f"/api/upload/progress/?uploadId={begun['uploadId']}", headers=ada).json()["state"]
        assert state == "cancelled"
        assert _s3_upload_id(store, begun["s3Key"]) == "gone"
        store.s3.delete_object(Bucket=store.bucket, Key=begun["s3Key"])


def test_one_chunk_sent_twice_at_once_counts_once(service, ada, store):
    begun = init(service, ada, MIB)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: chunk(service, ada, begun["uploadId"], 0, b"a" * MIB), range(4)))
    assert {(answer.status_code, answer.json()["received"]) for answer in answers} == {(200, 1)}
    assert service.post("/api/upload/complete/", json={"uploadId": begun["uploadId"]}, headers=ada).status_code == 200
    store.s3.delete_object(Bucket=store.bucket, Key=begun["s3Key"])


def test_a_lying_size_is_found_out_by_the_first_chunk(service, ada):
    begun = init(service, ada, 100)
    for body in (b"x" * 99, b"x" * 101, b"x" * MIB):
        assert problem(chunk(service, ada, begun["uploadId"], 0, body)) == (422, "wrong_chunk_size")
    service.post("/api/upload/cancel/", json={"uploadId": begun["uploadId"]}, headers=ada)


def test_a_chunk_for_an_upload_that_is_over_is_refused_before_its_bytes_are_kept(service, ada):
    begun = init(service, ada, 64 * MIB)
    service.post("/api/upload/cancel/", json={"uploadId": begun["uploadId"]}, headers=ada)
    assert problem(chunk(service, ada, begun["uploadId"], 0, b"x" * (8 * MIB))) == (409, "upload_cancelled")
    backwards = service.post(
        "/api/upload/chunk/",
        headers={**ada, "Content-Type": "multipart/form-data; boundary=b"},
        content=b'--b\r\nContent-Disposition: form-data; name="chunk"\r\n\r\nxyz\r\n'
        b'--b\r\nContent-Disposition: form-data; name="uploadId"\r\n\r\n'
        + begun["uploadId"].encode()
        + b"\r\n--b--\r\n",
    )
    assert problem(backwards) == (422, "invalid_request")


@pytest.fixture
def second(home, stack):
    """A second process of the service, for the same uploads, with an ordinary memory of its own."""
    (port,) = free_ports(1)
    server = servers.upload_service(servers.application_environment(home, stack), port)
    named = processes.Server("api-two", server.command, server.ready, server.environment)
    processes.start(home, named)
    processes.wait_until_ready(home, named)
    note = json.loads((home.path / "run" / "api-two.json").read_text())
    yield f"http://127.0.0.1:{port}", note["pid"]
    processes.stop(home, "api-two")


def test_another_process_goes_on_when_one_is_killed(api, second, stack):
    url, pid = second
    token = {"Authorization": f"Bearer {stack.api_token.get_secret_value()}"}
    with httpx.Client(base_url=url, headers=token, timeout=60, trust_env=False) as client:
        dying = Api(client, api.store)
        begun = dying.init(24 * MIB).json()
        upload_id = begun["uploadId"]
        assert dying.chunk(upload_id, 0, b"x" * (8 * MIB)).status_code == 200
        with ThreadPoolExecutor(1) as pool:
            cut_off = pool.submit(dying.chunk, upload_id, 1, b"x" * (8 * MIB))
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(httpx.TransportError):
                cut_off.result()
    parts = api.http.get(f"/api/upload/parts/?uploadId={upload_id}").json()
    assert 0 not in parts["missingChunks"]
    for index in parts["missingChunks"]:
        assert api.chunk(upload_id, index, b"x" * (8 * MIB)).status_code == 200
    assert api.complete(upload_id).json()["size"] == 24 * MIB
    api.cancel(upload_id)


def memory(pid: int, name: str) -> int:
    """MiB that a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith(name))


def test_64_chunks_of_16_mib_at_once_stay_within_the_budget(api, second, stack):
    url, pid = second
    token = {"Authorization": f"Bearer {stack.api_token.get_secret_value()}"}
    body, idle = b"x" * (16 * MIB), memory(pid, "VmRSS")
    with httpx.Client(
        base_url=url, headers=token, timeout=300, trust_env=False, limits=httpx.Limits(max_connections=64)
    ) as client:
        flood = Api(client, api.store)
        begun = flood.init(64 * 16 * MIB, 64).json()
        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(lambda index: flood.chunk(begun["uploadId"], index, body), range(64)))
    assert [answer.status_code for answer in answers] == [200] * 64
    grown = memory(pid, "VmHWM") - idle
    # What the process takes in any case differs between Python's versions, by 50 MiB.
    assert grown < (BYTES_IN_FLIGHT >> 20) + 64, f"{grown} MiB"
    assert api.cancel(begun["uploadId"]).status_code == 200


def test_a_client_that_trickles_is_sent_away_and_its_place_is_free_again(settings, token, monkeypatch):
    monkeypatch.setattr(forms, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(forms, "_SLOWEST_BYTES_A_SECOND", 1 << 40)
    ada, application = token("ada"), create_app(settings)
    headers = {**ada, "Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(MIB)}

    async def trickle() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="uploadId"\r\n\r\n'
        await anyio.sleep_forever()

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            return await client.post("/api/upload/chunk/", headers=headers, content=trickle())

    # In a thread of its own: a browser that other tests use keeps an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        assert problem(pool.submit(anyio.run, send).result()) == (408, "too_slow")
    assert application.state.services.budget._free == BYTES_IN_FLIGHT


def test_a_line_that_breaks_in_the_middle_of_a_chunk_costs_the_chunk_only(api):
    begun = api.init(9 * MIB).json()
    url = httpx.URL(str(api.http.base_url))
    with socket.create_connection((url.host, url.port)) as line:
        head = (
            f"POST /api/upload/chunk/ HTTP/1.1\r\nHost: {url.host}\r\n"
            f"Authorization: {api.http.headers['authorization']}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {8 * MIB}\r\n\r\n"
        )
        form = f'--b\r\nContent-Disposition: form-data; name="uploadId"\r\n\r\n{begun["uploadId"]}\r\n'
        line.sendall(head.encode() + form.encode())
    assert api.http.get(f"/api/upload/parts/?uploadId={begun['uploadId']}").json()["missingChunks"] == [0, 1]
    assert api.chunk(begun["uploadId"], 0, b"x" * (8 * MIB)).status_code == 200
    assert api.cancel(begun["uploadId"]).status_code == 200


def test_without_postgres_the_answer_says_so(serve, token):
    answer = serve(database_url="postgresql://127.0.0.1:1/x").get("/api/imports/", headers=token("ada"))
    assert problem(answer) == (503, "unavailable")
    assert "database" in answer.json()["detail"]


def test_without_redis_imports_are_still_shown_and_cancelled(serve, token, importer, write_csv):
    service, tester = serve(redis_url="redis://127.0.0.1:1/0"), token("tester")
    upload_id = importer.register(write_csv("Email\na@x.example\n"))
    begun = service.post("/api/upload/init/", json={"fileName": "a.csv", "fileSize": 1}, headers=tester)
    assert problem(begun) == (503, "unavailable")
    assert "session store" in begun.json()["detail"]
    assert [one["uploadId"] for one in service.get("/api/imports/", headers=tester).json()["imports"]] == [upload_id]
    assert service.get(f"/api/upload/progress/?uploadId={upload_id}", headers=tester).json()["state"] == "queued"
    assert service.post(f"/api/imports/{upload_id}/cancel", headers=tester).json()["state"] == "cancelled"
