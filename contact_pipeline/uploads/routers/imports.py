"""Imports: what became of uploads."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import anyio
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from contact_pipeline.database.tokens import Caller
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.routers.api import CancelAnswer
from contact_pipeline.uploads.routers.common import EXAMPLE_ID, Body, CallerOf, Services, UploadIdInPath, new_router
from contact_pipeline.uploads.status import FINISHED

_LOOK_EVERY_SECONDS: Final = 0.5
_SAY_SOMETHING_SECONDS: Final = 15.0


class ImportAnswer(Body):
    """An import, and what became of its rows: every one is counted once."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    file_name: str = Field(examples=["people.csv"])
    owner: str = Field(examples=["sales"])
    size: int = Field(description="bytes", examples=[20_000_000])
    state: str = Field(examples=["succeeded"])
    phase: str = Field(description="queued, importing or finished", examples=["finished"])
    uploaded_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int = Field(examples=[1])
    rows: int = Field(examples=[20_000])
    inserted: int = Field(examples=[19_000])
    updated: int = Field(examples=[500])
    unchanged: int = Field(examples=[400])
    duplicate_in_file: int = Field(examples=[80])
    rejected: int = Field(examples=[20])
    not_attempted: int | None = Field(examples=[0])
    warnings: int = Field(examples=[12])
    seconds: float = Field(examples=[1.9])
    error: str | None
    waits_for: str | None = Field(description="why it is launched again only after a pause")
    rejects_of: str | None = Field(description="the import whose rejects this file brings back")
    run_url: str | None = Field(description="its run in Dagster")


class Rejected(Body):
    """Rows that were rejected for one reason."""

    code: str = Field(examples=["invalid_email"])
    column: str | None = Field(examples=["Email"])
    rows: int = Field(examples=[20])
    message: str = Field(examples=["not an e-mail address"])


class Warned(Body):
    """Values that were dropped or changed, whose rows loaded."""

    code: str = Field(examples=["range"])
    field: str | None = Field(examples=["annual_revenue"])
    values: int = Field(examples=[12])
    message: str
    rows: list[int] = Field(description="numbers of the first rows that it is about, where these are known")


class ColumnAnswer(Body):
    """Where a column of the file went."""

    column: str = Field(description="its title", examples=["Email"])
    field: str | None = Field(description="the field that it feeds", examples=["email"])
    extra: str | None = Field(description="its key in `extra`, where it feeds none")
    values: int = Field(description="how many it had in the rows that were read for all columns", examples=[20_000])
    told: dict[str, int] = Field(description="how many values were dropped or changed, by code")
    looks_like: str | None = Field(description="the field that it may be meant for, where it feeds none")


class ImportDetail(ImportAnswer):
    """An import, and why rows were rejected."""

    columns: list[ColumnAnswer]
    rejects_by_column: list[Rejected]
    warnings_by_field: list[Warned]


class ImportsAnswer(Body):
    """A page of imports, the newest first. `next`: the cursor of the next page, if there is one."""

    imports: list[ImportAnswer]
    next: str | None


class AgainAnswer(Body):
    """A run of it is asked for."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: str = Field(examples=["queued"])


class UndoAnswer(Body):
    """What the undo has done so far."""

    upload_id: str = Field(examples=[EXAMPLE_ID])
    state: str = Field(description="undone, or undoing: the rest follows by itself", examples=["undone"])
    removed: int = Field(description="contacts that only this import had rows of", examples=[19_000])
    restored: int = Field(description="contacts that are what other imports give", examples=[500])
    kept: int = Field(description="contacts left as they are: another has their former e-mail or id", examples=[0])


def router(services: Services) -> APIRouter:
    """The calls under `/api/imports/`."""
    api, status_service = new_router("imports"), services.status_service

    @api.get("/api/imports/", response_model=ImportsAnswer)
    def imports(
        caller: CallerOf,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=512, description="`next` of the page before")] = None,
    ) -> dict[str, Any]:
        """Your imports; of an operator, everybody's."""
        return status_service.imports(caller, limit, cursor)

    @api.get("/api/imports/{upload_id}", response_model=ImportDetail)
    def one(upload_id: UploadIdInPath, caller: CallerOf) -> dict[str, Any]:
        """One import, with its rejects by code and column."""
        return status_service.detail(caller, upload_id)

    @api.get(
        "/api/imports/{upload_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "`progress` events until it has ended"}},
    )
    async def events(request: Request, upload_id: UploadIdInPath, caller: CallerOf) -> StreamingResponse:
        """How an upload, and then its import, goes: server-sent events with the JSON of `/api/upload/progress/`."""
        first = await to_thread.run_sync(status_service.progress, caller, upload_id)
        stream = _events(services, request, caller, upload_id, first)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @api.post("/api/imports/{upload_id}/cancel", response_model=CancelAnswer)
    def cancel(upload_id: UploadIdInPath, caller: CallerOf) -> dict[str, Any]:
        """Cancel it. When this has answered, no further chunk commits."""
        return services.uploads.cancel(caller, upload_id)

    @api.post("/api/imports/{upload_id}/import-again", response_model=AgainAnswer)
    def import_again(upload_id: UploadIdInPath, caller: CallerOf) -> dict[str, Any]:
        """Import again what failed, or was cancelled or undone. Of what was not undone, the rest."""
        return services.imports.import_again(caller, upload_id)

    @api.post("/api/imports/{upload_id}/undo", response_model=UndoAnswer)
    def undo(upload_id: UploadIdInPath, caller: CallerOf) -> dict[str, Any]:
        """Take an import back: contacts become what the other imports give. `undoing`: it goes on by itself."""
        return services.imports.undo(caller, upload_id)

    @api.get(
        "/api/imports/{upload_id}/rejects",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}}, "description": "The rejects, with their original columns"}},
    )
    def rejects(upload_id: UploadIdInPath, caller: CallerOf) -> Response:
        """The rows that did not load, as CSV with their original columns: fix them and upload the file again."""
        name, blocks = status_service.rejects(caller, upload_id)
        disposition = f"attachment; filename=\"rejects-{upload_id}.csv\"; filename*=UTF-8''{quote(name)}"
        return StreamingResponse(
            blocks, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition}
        )

    return api


async def _events(
    services: Services, request: Request, caller: Caller, upload_id: str, progress: dict[str, Any]
) -> AsyncIterator[str]:
    shown: dict[str, Any] | None = None
    silent = 0.0
    while True:
        if progress != shown:
            shown, silent = progress, 0.0
            yield f"event: progress\ndata: {json.dumps(progress)}\n\n"
        elif silent >= _SAY_SOMETHING_SECONDS:
            # Lest a proxy takes the line for dead.
            silent = 0.0
            yield ": still there\n\n"
        if progress["phase"] == FINISHED or await request.is_disconnected():
            return
        await anyio.sleep(_LOOK_EVERY_SECONDS)
        silent += _LOOK_EVERY_SECONDS
        try:
            progress = await to_thread.run_sync(_still_allowed, services, caller, upload_id)
        except ApiError:
            return


def _still_allowed(services: Services, caller: Caller, upload_id: str) -> dict[str, Any]:
    """The progress, unless the token was revoked while the stream went on."""
    return services.status_service.progress(services.authenticator.by_id(caller.token_id), upload_id)
