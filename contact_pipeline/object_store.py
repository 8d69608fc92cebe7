"""S3, through boto3: the objects that uploads become."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Final

import boto3
import urllib3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from contact_pipeline.errors import ObjectChanged, StoreFailed
from contact_pipeline.settings import Settings

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

UPLOADS: Final = "uploads/"
"""Prefix that uploads lie under; an object that is there is complete."""

SUFFIXES: Final = (
    ".csv", ".tsv", ".tab", ".txt", ".gz", ".zst", ".zip", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods",
)  # fmt: skip
"""What the key of an upload ends with. It says what may be an upload; what the file is, its bytes say."""

# A request costs the server as much as serving some MiB: 180 MB in ranges of 4 MiB took SeaweedFS 1.0 s of CPU, in
# ranges of 32 MiB 0.55 s.
_RANGE_BYTES: Final = 32 << 20
_BLOCK_BYTES: Final = 1_000_000
_SLOWEST_BLOCK_SECONDS: Final = 40.0
"""25 kB a second: what is slower is taken for broken off."""
_BLOCKS_AHEAD: Final = 4
_READ_ATTEMPTS: Final = 4
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class StoredObject:
    """An object in the bucket. `uploaded_at` is S3's LastModified: on AWS the start of a multipart upload."""

    key: str
    etag: str
    size: int
    uploaded_at: datetime


def id_in_key(key: str) -> str:
    """The upload's id in the key of its object."""
    return key.removeprefix(UPLOADS).partition(".")[0]


def client(settings: Settings, patience_seconds: int | None = None) -> S3Client:
    """A boto3 client that retries, signs v4 and adds no checksum trailers (other stores than AWS refuse them).

    Args:
        patience_seconds: ask once, and wait for an answer so long; without it, as long as a transfer is worth.
    """
    secret = settings.s3_secret_access_key
    s3 = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            connect_timeout=patience_seconds or 5,
            read_timeout=patience_seconds or 60,
            max_pool_connections=32,
            retries={"mode": "standard", "max_attempts": 0 if patience_seconds else 4},
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    s3.meta.events.register("before-call.s3.UploadPart", _name_type_of_part)
    return s3


def _name_type_of_part(params: dict[str, Any], **_: object) -> None:
    """Give a part the type that S3 gives what has none.

    SeaweedFS compresses parts without a type where they look like text, and
    unpacks them at each reading: five times the work, measured, of sending them.
    """
    params["headers"].setdefault("Content-Type", "binary/octet-stream")


class ObjectStore:
    """The bucket of uploads."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket

    @classmethod
    def from_settings(cls, settings: Settings) -> ObjectStore:
        """The store that the settings name."""
        return cls(client(settings), settings.s3_bucket)

    def ensure_bucket(self) -> None:
        """Make the bucket if it is not there."""
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _status(error) != 404:
                raise
            self.s3.create_bucket(Bucket=self.bucket)

    def allow_browsers(self) -> None:
        """Let pages of any site send parts to signed URLs: the signature is what allows it."""
        rule: CORSRuleTypeDef = {
            "AllowedMethods": ["GET", "PUT", "POST"],
            "AllowedOrigins": ["*"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag", "Location"],
            "MaxAgeSeconds": 3600,
        }
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]})

    def abort_given_up_uploads(self, days: int) -> None:
        """Have S3 itself abort multipart uploads so old: the second net, below the sweeper's."""
        rule: LifecycleRuleTypeDef = {
            "ID": "abort-given-up-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": UPLOADS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": [rule]})

    def find(self, key: str) -> tuple[StoredObject, dict[str, str]] | None:
        """The object under a key and its metadata, or None.

        Raises:
            StoreFailed: S3 does not say.
        """
        try:
            with store_errors(f"look at {key}"):
                head = self.s3.head_object(Bucket=self.bucket, Key=key)
        except StoreFailed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        put_at = head["LastModified"].replace(microsecond=0)
        return StoredObject(key, head["ETag"].strip('"'), head["ContentLength"], put_at), head["Metadata"]

    def read_range(
        self, key: str, etag: str, begin: int, end: int, on_bytes: Callable[[], None] = lambda: None
    ) -> bytes:
        """Bytes `begin` to `end` (exclusive) of the object that has this ETag.

        Raises:
            ObjectChanged: it was replaced, shortened or deleted.
            StoreFailed: S3 failed again and again, or sent less than it said.
        """
        return b"".join(self._blocks(key, etag, begin, end, on_bytes))

    def _blocks(self, key: str, etag: str, begin: int, end: int, on_bytes: Callable[[], None]) -> Generator[bytes]:
        """A range in blocks as they come; where S3 breaks off, or gets too slow, it is asked for the rest."""
        at, failures = begin, 0
        while at < end:
            try:
                answer = self.s3.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={at}-{end - 1}", IfMatch=f'"{etag}"'
                )
                with closing(answer["Body"]) as body:
                    span = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
                    right = span is None or (int(span[1]), int(span[2])) == (at, end - 1)
                    while right and at < end and (block := _block(body, min(_BLOCK_BYTES, end - at))):
                        at += len(block)
                        on_bytes()
                        if len(block) == _BLOCK_BYTES:
                            failures = 0
                        yield block
                failure = f"S3 sent fewer bytes of {key} than it announced, again and again"
            except ClientError as error:
                if _status(error) in (404, 412, 416):
                    raise ObjectChanged(f"{key} was replaced or deleted while it was being read") from None
                refused = refusal(f"read {key}", _status(error), _code(error))
                if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise refused from None
                failure = str(refused)
            except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
                failure = f"S3 failed while {key} was being read: {type(error).__name__}"
            failures += 1
            if at < end and failures == _READ_ATTEMPTS:
                raise StoreFailed(failure)

    def put(self, key: str, body: IO[bytes], content_type: str) -> None:
        """Store what a file holds, however much, in parts.

        Raises:
            StoreFailed: S3 did not take it.
        """
        with store_errors(f"store {key}"):
            self.s3.upload_fileobj(body, self.bucket, key, ExtraArgs={"ContentType": content_type})

    def delete(self, key: str) -> None:
        """Delete an object, if it is there.

        Raises:
            StoreFailed: S3 did not.
        """
        with store_errors(f"delete {key}"):
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def stream(self, stored: StoredObject, begin: int, on_bytes: Callable[[], None] = lambda: None) -> Iterator[bytes]:
        """The object's bytes from `begin` on, in blocks, the next ones being fetched meanwhile."""
        blocks = self._all_blocks(stored, begin, on_bytes)
        with ThreadPoolExecutor(1, thread_name_prefix="s3-read") as fetcher:
            upcoming = deque(fetcher.submit(next, blocks, b"") for _ in range(_BLOCKS_AHEAD))
            try:
                while block := upcoming.popleft().result():
                    upcoming.append(fetcher.submit(next, blocks, b""))
                    yield block
            finally:
                fetcher.shutdown(cancel_futures=True)
                blocks.close()

    def _all_blocks(self, stored: StoredObject, begin: int, on_bytes: Callable[[], None]) -> Generator[bytes]:
        for at in range(begin, stored.size, _RANGE_BYTES):
            yield from self._blocks(stored.key, stored.etag, at, min(at + _RANGE_BYTES, stored.size), on_bytes)


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what boto3 and urllib3 raise into `StoreFailed`, with what was being done."""
    try:
        yield
    except ClientError as error:
        raise refusal(doing, _status(error), _code(error)) from None
    except (BotoCoreError, S3UploadFailedError, urllib3.exceptions.HTTPError) as error:
        raise StoreFailed(f"S3 failed to {doing}: {type(error).__name__}{_advice(error)}") from None


def _advice(error: Exception) -> str:
    if isinstance(error, NoCredentialsError):
        return ": give it a key and a secret, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return ": check CONTACT_PIPELINE_S3_ENDPOINT_URL" if isinstance(error, EndpointConnectionError) else ""


def refusal(doing: str, status: int, code: str) -> StoreFailed:
    """The error for an answer of S3 that is none, with what to do where that is known."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = "check the settings of its key and secret, and the policy of the bucket"
        return StoreFailed(f"S3 does not allow this service to {doing} ({status}): {advice}", status)
    if code == "NoSuchBucket" or (status == HTTPStatus.NOT_FOUND and not code):
        return StoreFailed(f"S3 refused to {doing}: there is no such bucket; check CONTACT_PIPELINE_S3_BUCKET", status)
    return StoreFailed(f"S3 refused to {doing}: {code} ({status})", status)


def _block(body: StreamingBody, size: int) -> bytes:
    """The next bytes of an answer, `size` of them unless it ends or breaks off before.

    Raises:
        TimeoutError: they come so slowly that a file would never end.
    """
    begun = monotonic()
    pieces: list[bytes] = []
    missing = size
    # Its own `read` waits for all that is asked for, however slowly that comes.
    stream: Any = vars(body)["_raw_stream"]
    while missing and (piece := stream.read1(missing)):
        pieces.append(piece)
        missing -= len(piece)
        if monotonic() - begun > _SLOWEST_BLOCK_SECONDS:
            raise TimeoutError
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _status(error: ClientError) -> int:
    response: dict[str, Any] = dict(error.response)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    response: dict[str, Any] = dict(error.response)
    return str(response.get("Error", {}).get("Code", ""))
