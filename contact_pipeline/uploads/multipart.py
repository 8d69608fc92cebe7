"""S3 multipart uploads: what the service does with them, and how doubt is settled."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from time import sleep
from typing import Any, Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from contact_pipeline.object_store import UPLOADS, ObjectStore, StoredObject
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.parts import Plan
from contact_pipeline.uploads.sessions import Session

_ABORTS: Final = 20


@dataclass(frozen=True)
class StoredPart:
    """A part of an upload, as S3 lists it; `size` in bytes."""

    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True)
class PostTarget:
    """Where a form with a file is to be sent, and the fields to send before it."""

    url: str
    fields: dict[str, str]


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
        Metadata=_metadata(owner, file_name),
    )
    return answer["UploadId"]


def _metadata(owner: str, file_name: str) -> dict[str, str]:
    return {"owner": quote(owner), "file-name": quote(file_name)}


def send_part(store: ObjectStore, session: Session, index: int, body: bytes | bytearray) -> None:
    """Send a part; S3 verifies it by its MD5, and so do we by the ETag.

    Raises:
        ApiError: S3 no longer has the upload, or stored something else.
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
            raise ApiError(
                HTTPStatus.CONFLICT, "upload_ended", "this upload has ended: it was cancelled or completed"
            ) from None
        raise
    etag = answer["ETag"].strip('"')
    # Encrypted buckets answer with another ETag than the MD5, of the same length.
    plain = "ServerSideEncryption" not in answer
    if plain and len(etag) == 32 and etag != digest.hexdigest():
        raise ApiError(HTTPStatus.BAD_GATEWAY, "part_damaged", "the part arrived in S3 damaged: send it again")


def list_parts(store: ObjectStore, session: Session) -> dict[int, StoredPart]:
    """All parts that S3 has, by index, page by page; none where it does not know the upload."""
    return _parts_of(store, session.key, session.s3_upload_id)


def _parts_of(store: ObjectStore, key: str, s3_upload_id: str) -> dict[int, StoredPart]:
    found: dict[int, StoredPart] = {}
    pages = store.s3.get_paginator("list_parts").paginate(Bucket=store.bucket, Key=key, UploadId=s3_upload_id)
    try:
        for page in pages:
            for part in page.get("Parts", ()):
                found[part["PartNumber"] - 1] = StoredPart(part["ETag"], part["Size"], part["LastModified"])
    except ClientError as error:
        if _code(error) != "NoSuchUpload":
            raise
    return found


def complete(store: ObjectStore, session: Session, max_bytes: int) -> StoredObject:
    """Complete an upload whose parts are all there and sum to the declared size.

    An answer that leaves doubt (a timeout, an upload that S3 does not know any
    more) is settled by asking for the object, never guessed.

    Args:
        max_bytes: size of the largest file that is taken.

    Raises:
        MissingParts: as named; nothing is changed.
        ApiError: S3 failed, the parts are too large in all, or the object is not what was declared.
    """
    done = store.find(session.key)
    size = session.size
    if done is None:
        parts = list_parts(store, session)
        _check_parts(session, parts)
        size = sum(part.size for part in parts.values())
        _check_size(session, size, max_bytes)
        try:
            store.s3.complete_multipart_upload(
                Bucket=store.bucket,
                Key=session.key,
                UploadId=session.s3_upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": at + 1, "ETag": parts[at].etag} for at in sorted(parts)],
                },
            )
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and _code(error) == "EntityTooSmall":
                raise ApiError(
                    HTTPStatus.UNPROCESSABLE_ENTITY, "part_too_small", "each part but the last must have 5 MiB or more"
                ) from None
        done = store.find(session.key)
    if done is None:
        raise ApiError(
            HTTPStatus.BAD_GATEWAY, "not_completed", "S3 did not complete the upload: ask for completion again"
        )
    if size is not None and done[0].size != size:
        raise _wrong_size(done[0].size, size)
    return done[0]


def _check_parts(session: Session, parts: dict[int, StoredPart]) -> None:
    """Make sure that no part is missing, or of another size than it was to have."""
    if session.size is not None and session.part_size is not None:
        plan = Plan(session.size, session.part_size)
        wrong = [at for at in range(plan.total) if at not in parts or parts[at].size != plan.length(at)]
        total = plan.total
    else:
        total = max(parts, default=0) + 1
        wrong = [at for at in range(total) if at not in parts]
    beyond = [at for at in parts if at >= total]
    if wrong or beyond:
        raise MissingParts(wrong or beyond)


def _check_size(session: Session, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "file_too_large",
            f"the parts have {size:,} bytes, {max_bytes:,} are taken at most: cancel, and split the file",
        )
    if session.size is not None and size != session.size:
        raise _wrong_size(size, session.size)


def _wrong_size(found: int, declared: int) -> ApiError:
    return ApiError(
        HTTPStatus.CONFLICT,
        "wrong_size",
        f"{found:,} bytes have arrived, {declared:,} were declared: upload the file again",
    )


def sign_part(store: ObjectStore, session: Session, number: int, seconds: int) -> str:
    """A URL that takes one part, for a while. Signing needs no call to S3."""
    return store.s3.generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": store.bucket,
            "Key": session.key,
            "UploadId": session.s3_upload_id,
            "PartNumber": number,
        },
        ExpiresIn=seconds,
    )


def sign_whole(store: ObjectStore, session: Session, max_bytes: int, seconds: int) -> PostTarget:
    """Where to POST a file in one piece."""
    fields = {
        "success_action_status": "201",
        **{f"x-amz-meta-{name}": value for name, value in _metadata(session.owner, session.file_name).items()},
    }
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    smallest, largest = (session.size, session.size) if session.size is not None else (1, max_bytes)
    conditions += [["content-length-range", smallest, largest], ["starts-with", "$Content-Type", ""]]
    signed = store.s3.generate_presigned_post(
        Bucket=store.bucket,
        Key=session.key,
        Fields={**fields, "Content-Type": "application/octet-stream"},
        Conditions=conditions,
        ExpiresIn=seconds,
    )
    return PostTarget(signed["url"], signed["fields"])


def unfinished(store: ObjectStore) -> Iterator[tuple[str, str, datetime]]:
    """Every multipart upload under `uploads/`: its key, S3's id of it, and when it began."""
    pages = store.s3.get_paginator("list_multipart_uploads").paginate(Bucket=store.bucket, Prefix=UPLOADS)
    for page in pages:
        for one in page.get("Uploads", ()):
            yield one["Key"], one["UploadId"], one["Initiated"]


def abort(store: ObjectStore, session: Session) -> None:
    """Abort until S3 shows no part: a part in flight may arrive after the first abort."""
    if session.s3_upload_id:
        abort_upload(store, session.key, session.s3_upload_id)


def abort_upload(store: ObjectStore, key: str, s3_upload_id: str) -> None:
    """Abort a multipart upload until S3 shows no part of it.

    Raises:
        ApiError: it still shows some, after many attempts.
    """
    for attempt in range(_ABORTS):
        try:
            store.s3.abort_multipart_upload(Bucket=store.bucket, Key=key, UploadId=s3_upload_id)
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                raise
        if not _parts_of(store, key, s3_upload_id):
            return
        sleep(0.05 * (attempt + 1))
    raise ApiError(HTTPStatus.BAD_GATEWAY, "not_aborted", "S3 still shows parts of the upload: cancel again")


def _code(error: ClientError) -> str:
    response: dict[str, Any] = dict(error.response)
    return str(response.get("Error", {}).get("Code", ""))
