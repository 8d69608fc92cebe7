"""What can be seen of uploads and imports: progress, lists, what was rejected."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from http import HTTPStatus
from time import time
from typing import Any, Final

import redis

from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import launches, queries
from contact_pipeline.database.postgres import Connection, connect
from contact_pipeline.database.tokens import Caller
from contact_pipeline.importing import rejects_export
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.importing.report import progress_of, summarise
from contact_pipeline.object_store import id_in_key
from contact_pipeline.settings import Settings
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import, refuse_foreign, unknown
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.service import UploadService
from contact_pipeline.uploads.sessions import CANCELLED, COMPLETED, COMPLETING, UPLOADING, Session

FINISHED: Final = "finished"
_RUNNING: Final = ("loading", "verifying")


class StatusService:
    """Answers questions; changes nothing."""

    def __init__(self, settings: Settings, service: UploadService, board: ProgressBoard, database: Database) -> None:
        self._settings = settings
        self._service = service
        self._board = board
        self._database = database

    def progress(self, caller: Caller, upload_id: str | None, key: str | None = None) -> dict[str, Any]:
        """How an upload goes, or the import that it became.

        Raises:
            ApiError: the caller has no such upload.
        """
        if upload_id is None:
            upload_id = id_in_key(key or "")
        # The ledger first: what it has is complete, whatever the session has heard of that.
        with self._database() as connection:
            record = queries.find(connection, upload_id) or (queries.find_by_key(connection, key) if key else None)
            if record is not None:
                if not caller.may_see(record["owner"]):
                    refuse_foreign(connection, caller, record["upload_id"])
                return self._import_progress(connection, record)
        try:
            found = self._service.sessions.get(upload_id)
        except redis.RedisError:
            found = None
        if found is None:
            raise unknown()
        session, state = self._service.allowed(caller, found[0]), found[1]
        if state in (UPLOADING, COMPLETING) and not session.s3_upload_id and self._service.arrived(session):
            state = COMPLETED
        return self._upload_progress(session, state)

    def _upload_progress(self, session: Session, state: str) -> dict[str, Any]:
        arrived = self._service.bytes_there(session)
        size = session.size or arrived
        done = size if state == COMPLETED else arrived
        elapsed = time() - session.created_at
        rate = done / elapsed if elapsed > 0 else 0.0
        waiting = state == COMPLETED
        return {
            "uploadId": session.upload_id,
            "s3Key": session.key,
            "phase": "queued" if waiting else FINISHED if state == CANCELLED else "uploading",
            "state": state,
            "percent": round(100.0 * done / size, 1) if size else 0.0,
            "bytes": done,
            "totalBytes": size,
            "rows": 0,
            "loaded": 0,
            "rejected": 0,
            "rate": round(rate),
            "eta": round((size - done) / rate, 1) if rate > 0 and state == UPLOADING else None,
        }

    def _import_progress(self, connection: Connection, record: dict[str, Any]) -> dict[str, Any]:
        """From Redis while it runs, else from the ledger; the state always from the ledger."""
        state = record["state"]
        shown = self._board.get(record["upload_id"]) if state in _RUNNING else None
        progress = shown or progress_of(connection, record)
        progress.state = state
        running = state in _RUNNING
        waiting = launches.waiting_for(connection, record["upload_id"]) if state == "queued" else None
        return {
            "uploadId": record["upload_id"],
            "s3Key": record["object_key"],
            "phase": _phase(state),
            "state": state,
            "percent": progress.percent,
            "bytes": progress.size if state == "succeeded" else progress.done,
            "totalBytes": record["size"],
            "rows": progress.rows,
            "loaded": progress.loaded,
            "rejected": progress.counts.get("rejected", 0),
            "rate": round(progress.bytes_per_second()) if running else 0,
            "eta": progress.seconds_left() if running else None,
            "error": record["error"],
            **_waiting(record, waiting),
        }

    def imports(self, caller: Caller, limit: int, cursor: str | None) -> dict[str, Any]:
        """A page of the caller's imports, the newest first, and the cursor of the next page."""
        owner = None if caller.role == "operator" else caller.owner
        with self._database() as connection:
            records = queries.page(connection, owner, limit + 1, _position(cursor) if cursor else None)
            items = [self._item(connection, record) for record in records[:limit]]
        last = records[limit - 1] if len(records) > limit else None
        return {"imports": items, "next": _cursor(last) if last else None}

    def detail(self, caller: Caller, upload_id: str) -> dict[str, Any]:
        """An import: what became of its rows, and why those that were rejected were."""
        with self._database() as connection:
            record = find_import(connection, caller, upload_id)
            assert record is not None
            rejects = queries.rejects_by_code_and_column(connection, upload_id)
            item = self._item(connection, record)
            warnings = record["warnings"] or queries.totals(connection, upload_id)["warnings"]
            columns = columns_of(connection, record)
            noted = queries.noted_rows(connection, upload_id)
        return {
            **item,
            "columns": [
                {
                    "column": column["column"],
                    "field": column["field"],
                    "extra": column["extra"],
                    "values": column["values"],
                    "told": column["told"],
                    "looksLike": column["looks_like"],
                }
                for column in columns
            ],
            "rejectsByColumn": [
                {**row, "message": MESSAGES.get(row["code"], row["code"]), "column": row["column"] or None}
                for row in rejects
            ],
            "warningsByField": [
                {
                    "code": code,
                    "field": field or None,
                    "values": values,
                    "message": MESSAGES.get(code, code),
                    "rows": noted.get(code, []),
                }
                for (code, _, field), values in sorted(
                    ((name.partition(":"), int(values)) for name, values in warnings.items()),
                    key=lambda entry: -entry[1],
                )
            ],
        }

    def _item(self, connection: Connection, record: dict[str, Any]) -> dict[str, Any]:
        summary = summarise(connection, record)
        run_id, dagster_url = record["run_id"], self._settings.dagster_url
        return {
            "uploadId": record["upload_id"],
            "fileName": record["file_name"],
            "owner": record["owner"],
            "size": record["size"],
            "state": record["state"],
            "phase": _phase(record["state"]),
            "uploadedAt": record["uploaded_at"],
            "startedAt": record["started_at"],
            "finishedAt": record["finished_at"],
            "attempt": record["attempt"],
            "rows": summary["rows"],
            "inserted": summary["inserted"],
            "updated": summary["updated"],
            "unchanged": summary["unchanged"],
            "duplicateInFile": summary["duplicate_in_file"],
            "rejected": summary["rejected"],
            "notAttempted": summary["not_attempted"],
            "warnings": summary["warnings"],
            "seconds": summary["seconds"],
            "error": record["error"],
            "waitsFor": record["waits_for"],
            "rejectsOf": record["rejects_of"],
            "runUrl": f"{dagster_url}/runs/{run_id}" if run_id and dagster_url else None,
        }

    def rejects(self, caller: Caller, upload_id: str) -> tuple[str, Iterator[bytes]]:
        """A name for the rejects file of an import, and its content.

        Raises:
            ApiError: the caller has no such import.
        """
        with self._database() as connection:
            record = find_import(connection, caller, upload_id)
        assert record is not None

        def blocks() -> Iterator[bytes]:
            # For minutes, perhaps: not one of the connections that calls share.
            with closing(connect(self._settings.database_url)) as connection:
                yield from rejects_export.rejects_csv(connection, record)

        stem = record["file_name"].rpartition(".")[0] or record["file_name"]
        return f"rejects of {stem}.csv", blocks()


def _waiting(record: dict[str, Any], launch: dict[str, Any] | None) -> dict[str, Any]:
    """What a queued import waits for: its place, or a time, and the reason for that."""
    if launch is None:
        return {"waitsFor": None, "nextLaunchAt": None, "place": None}
    return {
        "waitsFor": record["waits_for"],
        "nextLaunchAt": launch["due_at"].isoformat(),
        "place": launch["place"],
    }


def _phase(state: str) -> str:
    if state in ("queued", "undoing"):
        return state
    return "importing" if state in _RUNNING else FINISHED


def _cursor(record: dict[str, Any]) -> str:
    place = json.dumps([record["created_at"].isoformat(), record["upload_id"]])
    return base64.urlsafe_b64encode(place.encode()).decode()


def _position(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, upload_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        return datetime.fromisoformat(created_at), str(upload_id)
    except (ValueError, TypeError, binascii.Error):
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "cursor: send `next` of the page before as it is"
        ) from None
