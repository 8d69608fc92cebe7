"""The HTTP application: routes, bodies, the bearer token."""

import secrets
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

import redis
from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contact_pipeline.importing.options import ImportOptions
from contact_pipeline.settings import Settings, get_settings
from contact_pipeline.uploads import refusals
from contact_pipeline.uploads.forms import ByteBudget, read_chunk_form
from contact_pipeline.uploads.refusals import Refusal, problem
from contact_pipeline.uploads.service import UploadService
from contact_pipeline.warehouse.database import DatabaseFailed

OWNER: Final = "local"
"""Who the home's own token belongs to."""

_BYTES_IN_FLIGHT: Final = 256 << 20


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class InitBody(ImportOptions):
    """What is to be uploaded, and what is chosen for its import."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    file_name: str = Field(min_length=1, max_length=4096)
    file_size: int = Field(ge=1)
    total_chunks: int | None = Field(default=None, ge=1)

    def options(self) -> dict[str, Any]:
        """What is chosen for the import, other than by default."""
        return self.model_dump(include=set(ImportOptions.model_fields), exclude_defaults=True)


class UploadBody(_Body):
    """Which upload is meant."""

    upload_id: str = Field(pattern=r"^[0-9a-f]{32}$")


class InitAnswer(_Body):
    """How to send the file: `totalChunks` chunks of `chunkSize` bytes, the last one shorter."""

    upload_id: str
    s3_key: str = Field(alias="s3Key")
    chunk_size: int
    total_chunks: int


class ProgressAnswer(_Body):
    """How an upload, and then its import, goes. `rate` is in bytes a second, `eta` in seconds."""

    upload_id: str
    s3_key: str = Field(alias="s3Key")
    phase: str = Field(description="uploading, queued, importing or finished")
    state: str = Field(description="state of the upload, then of the import")
    percent: float
    bytes: int
    total_bytes: int
    rows: int
    loaded: int
    rejected: int
    rate: int
    eta: float | None
    error: str | None = None


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; uvicorn calls it without arguments."""
    settings = settings or get_settings()
    app = FastAPI(title="Contact Pipeline uploads", version="1", docs_url=None, redoc_url=None)
    service = UploadService(settings)
    budget = ByteBudget(_BYTES_IN_FLIGHT)
    refusals.install(app)
    _tell_outages(app)
    caller = Depends(_authentication(settings))

    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/api/upload/init/", response_model=InitAnswer)
    def init(body: InitBody, owner: Annotated[str, caller]) -> dict[str, Any]:
        """Begin an upload."""
        return service.init(owner, body.file_name, body.file_size, body.total_chunks, body.options())

    @app.post(
        "/api/upload/chunk/",
        dependencies=[caller],
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _CHUNK_FORM}}}},
    )
    async def chunk(request: Request) -> dict[str, Any]:
        """Store a chunk: multipart form with `uploadId`, `chunkIndex` and the bytes as `chunk`. In any order, again."""
        async with read_chunk_form(request, budget) as form:
            return await to_thread.run_sync(service.chunk, form.upload_id, form.index, form.body)

    @app.post("/api/upload/complete/", dependencies=[caller])
    def complete(body: UploadBody) -> dict[str, Any]:
        """Make the file of its chunks. Its import starts by itself."""
        return service.complete(body.upload_id)

    @app.post("/api/upload/cancel/")
    def cancel(body: UploadBody, owner: Annotated[str, caller]) -> dict[str, Any]:
        """Cancel the upload, or the import that it became."""
        return service.cancel(body.upload_id, owner)

    @app.get("/api/upload/progress/", response_model=ProgressAnswer, dependencies=[caller])
    def progress(
        upload_id: Annotated[str | None, Query(alias="uploadId", max_length=64)] = None,
        s3_key: Annotated[str | None, Query(alias="s3Key", max_length=1024)] = None,
    ) -> dict[str, Any]:
        """How the upload goes, or its import. Ask by `uploadId` or by `s3Key`."""
        if upload_id is None and s3_key is None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "ask with uploadId= or with s3Key=")
        return service.progress(upload_id, s3_key)

    @app.get("/api/imports/{upload_id}/rejects", responses={200: {"content": {"text/csv": {}}}})
    def rejects(upload_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")], owner: Annotated[str, caller]) -> Response:
        """The rows that did not load, as CSV with their original columns: fix them and upload the file again."""
        name, blocks = service.rejects(upload_id, owner)
        headers = {
            "Content-Disposition": f"attachment; filename=\"rejects-{upload_id}.csv\"; filename*=UTF-8''{quote(name)}",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(blocks, media_type="text/csv; charset=utf-8", headers=headers)

    return app


_CHUNK_FORM: Final = {
    "type": "object",
    "required": ["uploadId", "chunkIndex", "chunk"],
    "properties": {
        "uploadId": {"type": "string"},
        "chunkIndex": {"type": "integer", "minimum": 0},
        "chunk": {"type": "string", "format": "binary"},
    },
}


def _authentication(settings: Settings) -> Any:
    bearer = HTTPBearer(auto_error=False, description="The token that `contact-pipeline status --json` shows")

    def authenticate(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
        token = settings.api_token.get_secret_value()
        given = credentials.credentials if credentials else ""
        if not token or not secrets.compare_digest(given.encode(), token.encode()):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "send `Authorization: Bearer <token>` with a token that is valid",
            )
        return OWNER

    return authenticate


def _tell_outages(app: FastAPI) -> None:
    """A server behind the service that does not answer is told as 503."""

    def unavailable(what: str) -> Any:
        def tell(_request: Request, _error: Exception) -> JSONResponse:
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{what} does not answer: try again in a moment"
            )

        return tell

    app.add_exception_handler(redis.RedisError, unavailable("the session store"))
    app.add_exception_handler(ClientError, unavailable("the object store"))
    app.add_exception_handler(BotoCoreError, unavailable("the object store"))
    app.add_exception_handler(DatabaseFailed, unavailable("the database"))
