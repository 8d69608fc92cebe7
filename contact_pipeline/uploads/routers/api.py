"""The API that frontends use: chunks through this service."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.forms import read_chunk_form
from contact_pipeline.uploads.routers.common import (
    EXAMPLE_ID,
    EXAMPLE_KEY,
    UPLOAD_ID,
    Body,
    CallerOf,
    Services,
    new_router,
)

_PRINTABLE: Final = r"^[^\x00]*$"


class InitBody(ImportOptions):
    """What is to be uploaded, and what is chosen for its import."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        json_schema_extra={"example": {"fileName": "people.csv", "fileSize": 20_000_000, "mode": "import"}},
    )

    file_name: str = Field(min_length=1, max_length=4096)
    file_size: int = Field(ge=1, le=2**63 - 1)
    total_chunks: int | None = Field(default=None, ge=1, le=2**31 - 1)

    def options(self) -> dict[str, Any]:
        """What is chosen for the import, other than by default."""
        return self.model_dump(include=set(ImportOptions.model_fields), exclude_defaults=True)


class UploadBody(Body):
    """Which upload is meant."""

    upload_id: str = Field(pattern=UPLOAD_ID, examples=[EXAMPLE_ID])


class InitAnswer(Body):
    """How to send the file: `totalChunks` chunks of `chunkSize` bytes, the last one shorter."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(alias="s3Key", examples=[EXAMPLE_KEY])
    chunk_size: int = Field(examples=[8_388_608])
    total_chunks: int = Field(examples=[3])


class ChunkAnswer(Body):
    """A chunk that S3 has taken. `received`: how many different chunks have arrived."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    chunk_index: int = Field(examples=[0])
    received: int = Field(examples=[1])


class PartsAnswer(InitAnswer):
    """What is missing, by number from 0: send these, and complete."""

    state: str = Field(examples=["uploading"])
    file_name: str = Field(examples=["people.csv"])
    file_size: int = Field(examples=[20_000_000])
    missing_chunks: list[int] = Field(examples=[[2]])


class CompleteAnswer(Body):
    """The file is in the bucket."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(alias="s3Key", examples=[EXAMPLE_KEY])
    state: str = Field(examples=["completed"])
    size: int | None = Field(examples=[20_000_000])


class CancelAnswer(Body):
    """Nothing more of it happens."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: str = Field(examples=["cancelled"])


class ProgressAnswer(Body):
    """How an upload, and then its import, goes. `rate` is in bytes a second, `eta` in seconds."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    s3_key: str = Field(alias="s3Key", examples=[EXAMPLE_KEY])
    phase: str = Field(description="uploading, queued, importing, undoing or finished", examples=["importing"])
    state: str = Field(description="state of the upload, then of the import", examples=["loading"])
    percent: float = Field(examples=[41.5])
    bytes: int = Field(examples=[8_300_000])
    total_bytes: int = Field(examples=[20_000_000])
    rows: int = Field(examples=[10_000])
    loaded: int = Field(examples=[9_990])
    rejected: int = Field(examples=[10])
    rate: int = Field(examples=[33_000_000])
    eta: float | None = Field(examples=[0.4])
    error: str | None = None
    waits_for: str | None = Field(default=None, description="why a queued import is launched only after a pause")
    next_launch_at: datetime | None = Field(default=None, description="when a queued import is due")
    place: int | None = Field(default=None, description="its place in the queue, from 1")


_CHUNK_FORM: Final = {
    "type": "object",
    "required": ["uploadId", "chunkIndex", "chunk"],
    "properties": {
        "uploadId": {"type": "string", "pattern": UPLOAD_ID, "example": EXAMPLE_ID},
        "chunkIndex": {"type": "integer", "minimum": 0},
        "chunk": {"type": "string", "format": "binary"},
    },
}


def router(services: Services) -> APIRouter:
    """The calls under `/api/upload/`."""
    api, uploads = new_router("uploads"), services.uploads

    @api.post("/api/upload/init/", response_model=InitAnswer)
    def init(body: InitBody, caller: CallerOf) -> dict[str, Any]:
        """Begin an upload."""
        return services.begin.init(caller, body.file_name, body.file_size, body.total_chunks, body.options())

    @api.post(
        "/api/upload/chunk/",
        response_model=ChunkAnswer,
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _CHUNK_FORM}}}},
    )
    async def chunk(request: Request, caller: CallerOf) -> dict[str, Any]:
        """Store a chunk: a form with `uploadId`, `chunkIndex` and then its bytes as `chunk`. In any order, again."""

        async def expected(upload_id: str, index: int) -> int:
            return await to_thread.run_sync(uploads.expected_length, caller, upload_id, index)

        async with read_chunk_form(request, services.budget, expected) as form:
            return await to_thread.run_sync(uploads.chunk, caller, form.upload_id, form.index, form.body)

    @api.get("/api/upload/parts/", response_model=PartsAnswer)
    def parts(
        upload_id: Annotated[str, Query(alias="uploadId", pattern=UPLOAD_ID, examples=[EXAMPLE_ID])], caller: CallerOf
    ) -> dict[str, Any]:
        """Which chunks are missing: for going on after a reload, or on another machine."""
        return uploads.parts(caller, upload_id)

    @api.post("/api/upload/complete/", response_model=CompleteAnswer)
    def complete(body: UploadBody, caller: CallerOf) -> dict[str, Any]:
        """Make the file of its chunks. Its import starts by itself."""
        return uploads.complete(caller, body.upload_id)

    @api.post("/api/upload/cancel/", response_model=CancelAnswer)
    def cancel(body: UploadBody, caller: CallerOf) -> dict[str, Any]:
        """Cancel the upload, or the import that it became."""
        return uploads.cancel(caller, body.upload_id)

    @api.get("/api/upload/progress/", response_model=ProgressAnswer)
    def progress(
        caller: CallerOf,
        upload_id: Annotated[
            str | None, Query(alias="uploadId", pattern=_PRINTABLE, max_length=64, examples=[EXAMPLE_ID])
        ] = None,
        s3_key: Annotated[
            str | None, Query(alias="s3Key", pattern=_PRINTABLE, max_length=1024, examples=[EXAMPLE_KEY])
        ] = None,
    ) -> dict[str, Any]:
        """How the upload goes, or its import. Ask by `uploadId` or by `s3Key`."""
        if upload_id is None and s3_key is None:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "ask with uploadId= or with s3Key=")
        return services.status_service.progress(caller, upload_id, s3_key)

    return api
