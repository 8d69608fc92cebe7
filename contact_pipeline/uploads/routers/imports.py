"""Imports: what became of uploads."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Final
from urllib.parse import quote

import anyio
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from contact_pipeline.database.queries import ImportFilter
from contact_pipeline.database.records import ImportState
from contact_pipeline.database.tokens import Caller
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import (
    AgainAnswer,
    CancelAnswer,
    ImportDetail,
    ImportsAnswer,
    Phase,
    ProgressAnswer,
    RejectedRows,
    UndoAnswer,
)
from contact_pipeline.uploads.routers.common import PRINTABLE, CallerOf, Services, UploadIdInPath, new_router
from contact_pipeline.uploads.status import Download

_LOOK_EVERY_SECONDS: Final = 0.5
_SAY_SOMETHING_SECONDS: Final = 15.0


def router(services: Services) -> APIRouter:
    """The calls under `/api/imports/`."""
    api, status_service = new_router("imports"), services.status_service

    @api.get("/api/imports/")
    def imports(
        caller: CallerOf,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=512, description="`next` of the page before")] = None,
        name: Annotated[str | None, Query(max_length=255, pattern=PRINTABLE, description="part of its name")] = None,
        state: ImportState | None = None,
        owner: Annotated[str | None, Query(max_length=64, pattern=PRINTABLE, description="for operators")] = None,
        day: Annotated[date | None, Query(description="on which it was uploaded, UTC")] = None,
    ) -> ImportsAnswer:
        """Your imports; of an operator, everybody's."""
        return status_service.imports(caller, ImportFilter(owner, name, state, day), limit, cursor)

    @api.get("/api/imports/{upload_id}")
    def one(upload_id: UploadIdInPath, caller: CallerOf) -> ImportDetail:
        """One import, with its rejects by code and column."""
        return status_service.detail(caller, upload_id)

    @api.get(
        "/api/imports/{upload_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {"text/event-stream": {}},
                "description": "`progress` events until it has ended, or waits for a decision",
            }
        },
    )
    async def events(request: Request, upload_id: UploadIdInPath, caller: CallerOf) -> StreamingResponse:
        """How an upload, and then its import, goes: server-sent events with the JSON of `/api/upload/progress/`."""
        first = await to_thread.run_sync(status_service.progress, caller, upload_id)
        stream = _events(services, request, caller, upload_id, first)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @api.post("/api/imports/{upload_id}/cancel")
    def cancel(upload_id: UploadIdInPath, caller: CallerOf) -> CancelAnswer:
        """Cancel it. When this has answered, no further chunk commits."""
        return services.uploads.cancel(caller, upload_id)

    @api.post("/api/imports/{upload_id}/import-again")
    def import_again(upload_id: UploadIdInPath, caller: CallerOf) -> AgainAnswer:
        """Import again what failed, or was cancelled or undone. Of what was not undone, the rest."""
        return services.imports.import_again(caller, upload_id)

    @api.post("/api/imports/{upload_id}/undo")
    def undo(upload_id: UploadIdInPath, caller: CallerOf) -> UndoAnswer:
        """Take an import back: contacts become what the other imports give. `undoing`: it goes on by itself."""
        return services.imports.undo(caller, upload_id)

    @api.get("/api/imports/{upload_id}/rejected-rows")
    def rejected_rows(
        upload_id: UploadIdInPath, caller: CallerOf, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> RejectedRows:
        """The first rows that did not load, as the rejects file has them. To the upload's owner only."""
        return status_service.first_rejects(caller, upload_id, limit)

    @api.get(
        "/api/imports/{upload_id}/rejects",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}}, "description": "The rejects, with their original columns"}},
    )
    def rejects(upload_id: UploadIdInPath, caller: CallerOf) -> Response:
        """The rows that did not load, as CSV with their original columns: fix them and upload the file again."""
        return _csv(status_service.rejects(caller, upload_id))

    @api.get(
        "/api/imports/{upload_id}/contacts",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}}, "description": "The contacts, with all fields"}},
    )
    def contacts(upload_id: UploadIdInPath, caller: CallerOf) -> Response:
        """The contacts that its rows have made, changed or confirmed, as they are now. To the upload's owner only."""
        return _csv(status_service.contacts(caller, upload_id))

    return api


def _csv(download: Download) -> Response:
    disposition = f"attachment; filename=\"{download.ascii_name}\"; filename*=UTF-8''{quote(download.name)}"
    return StreamingResponse(
        download.blocks, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition}
    )


async def _events(
    services: Services, request: Request, caller: Caller, upload_id: str, progress: ProgressAnswer
) -> AsyncIterator[str]:
    shown: ProgressAnswer | None = None
    silent = 0.0
    while True:
        if progress != shown:
            shown, silent = progress, 0.0
            yield f"event: progress\ndata: {progress.model_dump_json(by_alias=True)}\n\n"
        elif silent >= _SAY_SOMETHING_SECONDS:
            # Lest a proxy takes the line for dead.
            silent = 0.0
            yield ": still there\n\n"
        if progress.phase in (Phase.FINISHED, Phase.REVIEW) or await request.is_disconnected():
            return
        await anyio.sleep(_LOOK_EVERY_SECONDS)
        silent += _LOOK_EVERY_SECONDS
        try:
            progress = await to_thread.run_sync(_still_allowed, services, caller, upload_id)
        except ApiError:
            return


def _still_allowed(services: Services, caller: Caller, upload_id: str) -> ProgressAnswer:
    """The progress, unless the token was revoked while the stream went on."""
    return services.status_service.progress(services.authenticator.by_id(caller.token_id), upload_id)
