"""Calls of the upload service, as a frontend makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from contact_pipeline.object_store import ObjectStore


@dataclass
class Api:
    """A client that does what it is told, right or wrong."""

    http: httpx.Client
    store: ObjectStore

    def init(self, size: int, total: int | None = None, name: str = "people.csv") -> httpx.Response:
        body: dict[str, Any] = {"fileName": name, "fileSize": size}
        return self.http.post("/api/upload/init/", json=body | ({"totalChunks": total} if total is not None else {}))

    def chunk(self, upload_id: str, index: int, body: bytes) -> httpx.Response:
        return self.http.post(
            "/api/upload/chunk/",
            data={"uploadId": upload_id, "chunkIndex": str(index)},
            files={"chunk": ("blob", body)},
        )

    def complete(self, upload_id: str) -> httpx.Response:
        return self.http.post("/api/upload/complete/", json={"uploadId": upload_id})

    def cancel(self, upload_id: str) -> httpx.Response:
        return self.http.post("/api/upload/cancel/", json={"uploadId": upload_id})

    def progress(self, **parameters: str) -> httpx.Response:
        return self.http.get("/api/upload/progress/", params=parameters)

    def unfinished(self) -> list[str]:
        """Keys of the multipart uploads that S3 still has."""
        answer = self.store.s3.list_multipart_uploads(Bucket=self.store.bucket, Prefix="uploads/")
        return [upload["Key"] for upload in answer.get("Uploads", ())]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal; it must be a problem document with a sentence."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert len(body["detail"]) > 10
    return answer.status_code, body["code"]
