"""The API that frontends use: chunks through this service."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.forms import read_chunk_form
from contact_pipeline.uploads.models import (
    EXAMPLE_ID,
    EXAMPLE_KEY,
    Body,
    CancelAnswer,
    ChunkAnswer,
    CompleteAnswer,
    InitAnswer,
    PartsAnswer,
    ProgressAnswer,
)
from contact_pipeline.uploads.routers.common import (
    PRINTABLE,
    UPLOAD_ID,
    CallerOf,
    Services,
    new_router,
)


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

    @api.post("/api/upload/init/")
    def init(body: InitBody, caller: CallerOf) -> InitAnswer:
        """Begin an upload."""
        return services.begin.init(caller, body.file_name, body.file_size, body.total_chunks, body.options())

    @api.post(
        "/api/upload/chunk/",
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _CHUNK_FORM}}}},
    )
    async def chunk(request: Request, caller: CallerOf) -> ChunkAnswer:
        """Store a chunk: a form with `uploadId`, `chunkIndex` and then its bytes as `chunk`. In any order, again."""

        async def expected(upload_id: str, index: int) -> int:
            return await to_thread.run_sync(uploads.expected_length, caller, upload_id, index)

        async with read_chunk_form(request, services.budget, expected) as form:
            return await to_thread.run_sync(uploads.chunk, caller, form.upload_id, form.index, form.body)

    @api.get("/api/upload/parts/")
    def parts(
        upload_id: Annotated[str, Query(alias="uploadId", pattern=UPLOAD_ID, examples=[EXAMPLE_ID])], caller: CallerOf
    ) -> PartsAnswer:
        """Which chunks are missing: for going on after a reload, or on another machine."""
        return uploads.parts(caller, upload_id)

    @api.post("/api/upload/complete/")
    def complete(body: UploadBody, caller: CallerOf) -> CompleteAnswer:
        """Make the file of its chunks. Its import starts by itself."""
        return uploads.complete(caller, body.upload_id)

    @api.post("/api/upload/cancel/")
    def cancel(body: UploadBody, caller: CallerOf) -> CancelAnswer:
        """Cancel the upload, or the import that it became."""
        return uploads.cancel(caller, body.upload_id)

    @api.get("/api/upload/progress/")
    def progress(
        caller: CallerOf,
        upload_id: Annotated[
            str | None, Query(alias="uploadId", pattern=PRINTABLE, max_length=64, examples=[EXAMPLE_ID])
        ] = None,
        s3_key: Annotated[
            str | None, Query(alias="s3Key", pattern=PRINTABLE, max_length=1024, examples=[EXAMPLE_KEY])
        ] = None,
    ) -> ProgressAnswer:
        """How the upload goes, or its import. Ask by `uploadId` or by `s3Key`."""
        if upload_id is None and s3_key is None:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "ask with uploadId= or with s3Key=")
        return services.status_service.progress(caller, upload_id, s3_key)

    return api
