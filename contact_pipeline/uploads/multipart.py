"""S3 multipart uploads: what the service does with them, and how doubt is settled."""

from __future__ import annotations

import base64
import hashlib
from http import HTTPStatus
from time import sleep
from typing import Any, Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from contact_pipeline.object_store import ObjectStore, StoredObject
from contact_pipeline.uploads.parts import Plan
from contact_pipeline.uploads.refusals import Refusal
from contact_pipeline.uploads.sessions import Session

_ABORTS: Final = 20


class MissingParts(Exception):
    """Parts are missing, or of the wrong size. Attribute `indexes`: which, from 0."""

    def __init__(self, indexes: list[int]) -> None:
        super().__init__(f"{len(indexes)} parts are missing or of the wrong size")
        self.indexes = indexes


def begin(store: ObjectStore, key: str, owner: str, file_name: str) -> str:
    """Begin a multipart upload; returns S3's id of it. The file name is data: it travels as metadata."""
    answer = store.s3.create_multipart_upload(
        Bucket=store.bucket,
        Key=key,
        ContentType="application/octet-stream",
        Metadata={"owner": quote(owner), "file-name": quote(file_name)},
    )
    return answer["UploadId"]


def send_part(store: ObjectStore, session: Session, index: int, body: bytes | bytearray) -> None:
    """Send a part; S3 verifies it by its MD5, and so do we by the ETag.

    Raises:
        Refusal: S3 does not have the upload any more, or stored something else.
    """
    digest = hashlib.md5(body, usedforsecurity=False)
    try:
        answer = store.s3.upload_part(
            Bucket=store.bucket,
            Key=session.key,
            UploadId=session.s3_upload_id,
            PartNumber=index + 1,
            Body=body,  # type: ignore[arg-type]  # botocore sends a bytearray as it is
            ContentMD5=base64.b64encode(digest.digest()).decode(),
        )
    except ClientError as error:
        if _code(error) == "NoSuchUpload":
            raise Refusal(
                HTTPStatus.CONFLICT, "upload_ended", "this upload has ended: it was cancelled or completed"
            ) from None
        raise
    etag = answer["ETag"].strip('"')
    # Encrypted buckets answer with another ETag than the MD5, of the same length.
    plain = "ServerSideEncryption" not in answer
    if plain and len(etag) == 32 and etag != digest.hexdigest():
        raise Refusal(HTTPStatus.BAD_GATEWAY, "part_damaged", "the part arrived in S3 damaged: send it again")


def list_parts(store: ObjectStore, session: Session) -> dict[int, dict[str, Any]]:
    """All parts that S3 has, by index, page by page; none where it does not know the upload."""
    found: dict[int, dict[str, Any]] = {}
    pages = store.s3.get_paginator("list_parts").paginate(
        Bucket=store.bucket, Key=session.key, UploadId=session.s3_upload_id
    )
    try:
        for page in pages:
            for part in page.get("Parts", ()):
                found[part["PartNumber"] - 1] = {"ETag": part["ETag"], "Size": part["Size"]}
    except ClientError as error:
        if _code(error) != "NoSuchUpload":
            raise
    return found


def complete(store: ObjectStore, session: Session) -> StoredObject:
    """Complete an upload whose parts are all there and sum to the declared size.

    An answer that leaves doubt (a timeout, an upload that S3 does not know any
    more) is settled by asking for the object, never guessed.

    Raises:
        MissingParts: as named; nothing is changed.
        Refusal: S3 failed, or the object is not what was declared.
    """
    done = store.find(session.key)
    if done is None:
        plan = Plan(session.size, session.part_size)
        parts = list_parts(store, session)
        wrong = [i for i in range(session.total) if i not in parts or parts[i]["Size"] != plan.length(i)]
        if wrong or len(parts) > session.total:
            raise MissingParts(wrong or [index for index in parts if index >= session.total])
        try:
            store.s3.complete_multipart_upload(
                Bucket=store.bucket,
                Key=session.key,
                UploadId=session.s3_upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": i + 1, "ETag": parts[i]["ETag"]} for i in range(session.total)]
                },
            )
        except (ClientError, BotoCoreError):
            done = store.find(session.key)
        else:
            done = store.find(session.key)
    if done is None:
        raise Refusal(
            HTTPStatus.BAD_GATEWAY, "not_completed", "S3 did not complete the upload: ask for completion again"
        )
    if done[0].size != session.size:
        raise Refusal(
            HTTPStatus.CONFLICT,
            "wrong_size",
            f"the object has {done[0].size:,} bytes, {session.size:,} were declared: upload the file again",
        )
    return done[0]


def abort(store: ObjectStore, session: Session) -> None:
    """Abort until S3 shows no part any more: a part in flight may arrive after the first abort."""
    for attempt in range(_ABORTS):
        try:
            store.s3.abort_multipart_upload(Bucket=store.bucket, Key=session.key, UploadId=session.s3_upload_id)
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                raise
        if not list_parts(store, session):
            return
        sleep(0.05 * (attempt + 1))
    raise Refusal(HTTPStatus.BAD_GATEWAY, "not_aborted", "S3 still shows parts of the upload: cancel again")


def _code(error: ClientError) -> str:
    response: dict[str, Any] = dict(error.response)
    return str(response.get("Error", {}).get("Code", ""))
