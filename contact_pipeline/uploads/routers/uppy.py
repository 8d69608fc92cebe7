"""Straight to S3, in the protocols of stock Uppy: Companion's calls, and signing for `signRequest`.

Wire formats after @uppy/companion's `server/controllers/s3.ts` and @uppy/aws-s3
5.1 and 6.3 (`s3-client/CompanionS3.ts`, `S3mini.ts`). Of S3, a browser sees only
signed URLs for parts; creating, listing and completing come back here, so that
every upload is verified in the same way.
"""

import re
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from xml.sax.saxutils import escape

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from contact_pipeline.database.tokens import Caller
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import EXAMPLE_KEY
from contact_pipeline.uploads.routers.common import CallerOf, Services, UploadIdInPath, new_router
from contact_pipeline.uploads.tickets import Ticket

_S3: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_RANDOM: Final = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-")
Key = Annotated[str, Query(max_length=1024, examples=[EXAMPLE_KEY])]


class CreateBody(BaseModel):
    """What Uppy says of a file. A `size` in its metadata is checked at the end."""

    filename: str = Field(min_length=1, max_length=4096, examples=["people.csv"])
    type: str | None = Field(default=None, max_length=255, examples=["text/csv"])
    metadata: dict[str, Any] = Field(default={}, max_length=100, examples=[{"name": "people.csv"}])


class Part(BaseModel):
    """A part, as S3 named it."""

    PartNumber: int = Field(ge=1, le=10_000)
    ETag: str = Field(min_length=1, max_length=128)


class CompleteBody(BaseModel):
    """The parts that the browser has sent; S3's own list is what counts."""

    parts: list[Part] = Field(min_length=1, max_length=10_000)


class SignBody(BaseModel):
    """A request to S3 that Uppy wants signed."""

    method: Literal["POST", "PUT", "GET", "DELETE"]
    key: str = Field(min_length=1, max_length=4096, examples=["people.csv"])
    uploadId: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")  # noqa: N815 - Uppy's name
    partNumber: int | None = Field(default=None, ge=1, le=10_000)  # noqa: N815
    contentType: str | None = Field(default=None, max_length=255)  # noqa: N815

    @property
    def file_name(self) -> str:
        """The file's own name: Uppy puts a random one before it."""
        return _RANDOM.sub("", self.key) or self.key


def router(services: Services) -> APIRouter:
    """The calls under `/s3/`."""
    api = new_router("uppy")
    _companion(api, services)
    _signing(api, services)
    return api


def _companion(api: APIRouter, services: Services) -> None:
    uploads, bucket = services.uploads, services.settings.s3_bucket

    @api.get("/s3/params")
    def params(
        request: Request, filename: Annotated[str, Query(min_length=1, max_length=4096)], caller: CallerOf
    ) -> dict[str, Any]:
        """Where to POST a file in one piece."""
        size = _size(request.query_params.get("metadata[size]"))
        session, target = services.begin.begin_whole(caller, filename, size)
        return {
            "method": "POST",
            "url": target.url,
            "fields": target.fields,
            "expires": services.settings.presign_seconds,
            "key": session.key,
        }

    @api.post("/s3/multipart")
    def create(body: CreateBody, caller: CallerOf) -> dict[str, Any]:
        """Begin an upload in parts."""
        session = services.begin.begin_direct(caller, body.filename, _size(body.metadata.get("size")))
        return {"key": session.key, "uploadId": session.upload_id, "bucket": bucket}

    @api.get("/s3/multipart/{upload_id}/{number}")
    def sign(upload_id: UploadIdInPath, number: int, key: Key, caller: CallerOf) -> dict[str, Any]:
        """A URL that takes one part."""
        _check_key(services, caller, upload_id, key)
        url = uploads.sign_part(caller, upload_id, number)
        return {"method": "PUT", "url": url, "expires": services.settings.presign_seconds, "headers": {}}

    @api.get("/s3/multipart/{upload_id}")
    def parts(upload_id: UploadIdInPath, key: Key, caller: CallerOf) -> JSONResponse:
        """Every part that S3 has."""
        _check_key(services, caller, upload_id, key)
        found = uploads.direct_parts(caller, upload_id)
        return JSONResponse(
            [
                {
                    "PartNumber": at + 1,
                    "ETag": part.etag,
                    "Size": part.size,
                    "LastModified": part.last_modified.isoformat(),
                }
                for at, part in found.items()
            ]
        )

    @api.post("/s3/multipart/{upload_id}/complete")
    def complete(upload_id: UploadIdInPath, key: Key, body: CompleteBody, caller: CallerOf) -> dict[str, Any]:
        """Make the file of its parts. Its import starts by itself."""
        _check_key(services, caller, upload_id, key)
        uploads.expect_parts(caller, upload_id, {part.PartNumber for part in body.parts})
        done = uploads.complete(caller, upload_id)
        return {"location": done.s3_key, "key": done.s3_key, "bucket": bucket}

    @api.delete("/s3/multipart/{upload_id}")
    def abort(upload_id: UploadIdInPath, key: Key, caller: CallerOf) -> dict[str, Any]:
        """Cancel."""
        _check_key(services, caller, upload_id, key)
        uploads.cancel(caller, upload_id)
        return {}


def _signing(api: APIRouter, services: Services) -> None:
    uploads, bucket = services.uploads, services.settings.s3_bucket

    @api.post("/s3/presign")
    def presign(request: Request, body: SignBody, caller: CallerOf) -> dict[str, Any]:
        """Sign what Uppy's `signRequest` asks for: of S3 itself only parts, and files in one piece."""
        if body.uploadId is None:
            if body.method == "PUT":
                session, target = services.begin.begin_whole(caller, body.file_name, None)
                return {"url": target.url, "fields": target.fields, "key": session.key}
            if body.method == "POST":
                session = services.begin.begin_direct(caller, body.file_name, None)
                return {"url": _address(request, services, "create", session.upload_id, caller), "key": session.key}
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "uploadId: say which upload is meant")
        _check_key(services, caller, body.uploadId, body.key)
        if body.method == "PUT":
            return {"url": uploads.sign_part(caller, body.uploadId, body.partNumber or 0)}
        operation = {"POST": "complete", "GET": "list", "DELETE": "abort"}[body.method]
        return {"url": _address(request, services, operation, body.uploadId, caller)}

    @api.api_route("/s3/ticket/{ticket}", methods=["POST", "GET", "DELETE"], include_in_schema=False)
    def redeem(ticket: str) -> Response:
        """Do what a ticket allows, and answer as S3 does."""
        found = services.tickets.read(ticket)
        if found is None:
            raise ApiError(HTTPStatus.FORBIDDEN, "unknown_ticket", "this address has expired: have it signed again")
        caller = services.authenticator.by_id(found.token_id)
        session, _ = uploads.find(caller, found.upload_id)
        place = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(session.key)}</Key>"
        if found.operation == "create":
            body = f"{place}<UploadId>{session.upload_id}</UploadId>"
            return _xml("InitiateMultipartUploadResult", body)
        if found.operation == "list":
            parts = "".join(
                f"<Part><PartNumber>{at + 1}</PartNumber><ETag>{escape(part.etag)}</ETag>"
                f"<Size>{part.size}</Size></Part>"
                for at, part in uploads.direct_parts(caller, session.upload_id).items()
            )
            return _xml("ListPartsResult", f"{place}<IsTruncated>false</IsTruncated>{parts}")
        if found.operation == "complete":
            uploads.complete(caller, session.upload_id)
            return _xml("CompleteMultipartUploadResult", f"<Location>{escape(session.key)}</Location>{place}")
        uploads.cancel(caller, session.upload_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _address(request: Request, services: Services, operation: str, upload_id: str, caller: Caller) -> str:
    ticket = services.tickets.give(Ticket(operation, upload_id, caller.token_id))
    return str(request.base_url.replace(path=f"/s3/ticket/{ticket}"))


def _xml(name: str, content: str) -> Response:
    document = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{_S3}">{content}</{name}>'
    return Response(document, media_type="application/xml")


def _check_key(services: Services, caller: Caller, upload_id: str, key: str) -> None:
    """Make sure that an upload is the caller's, and that the key is its own."""
    if services.uploads.find(caller, upload_id)[0].key != key:
        raise ApiError(HTTPStatus.NOT_FOUND, "unknown_upload", "no such upload: its key is another")


def _size(value: Any) -> int | None:
    """The size that a client declares in its metadata, if it does."""
    text = str(value) if value is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0 else None
