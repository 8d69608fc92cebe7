"""What can be seen of uploads and imports: progress, lists, what was rejected."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from http import HTTPStatus
from time import time
from typing import Final

import redis
from pydantic.alias_generators import to_camel

from contact_pipeline.contacts.messages import MESSAGES
from contact_pipeline.database import launch_queue, queries, retention
from contact_pipeline.database.postgres import Connection, connect
from contact_pipeline.database.queries import ImportFilter
from contact_pipeline.database.records import RUNNING_STATES, ImportRecord, ImportState, RejectsOfCode
from contact_pipeline.database.tokens import Caller
from contact_pipeline.importing import contacts_export, rejects_export
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.importing.report import progress_of, summarise
from contact_pipeline.object_store import id_in_key
from contact_pipeline.settings import Settings
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import, find_own_import, refuse_foreign, unknown
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import (
    ColumnAnswer,
    ImportAnswer,
    ImportDetail,
    ImportsAnswer,
    Phase,
    ProgressAnswer,
    Rejected,
    RejectedRows,
    Warned,
)
from contact_pipeline.uploads.service import UploadService
from contact_pipeline.uploads.sessions import UNDER_WAY, Session, UploadState

_UPLOAD_PHASES: Final = {
    UploadState.UPLOADING: Phase.UPLOADING,
    UploadState.COMPLETING: Phase.UPLOADING,
    UploadState.COMPLETED: Phase.QUEUED,
    UploadState.CANCELLED: Phase.FINISHED,
}


@dataclass(frozen=True)
class Download:
    """A CSV file for a browser: its name in ASCII, its name for people, its content."""

    ascii_name: str
    name: str
    blocks: Iterator[bytes]


class StatusService:
    """Answers questions; changes nothing."""

    def __init__(self, settings: Settings, service: UploadService, board: ProgressBoard, database: Database) -> None:
        self._settings = settings
        self._service = service
        self._board = board
        self._database = database

    def progress(self, caller: Caller, upload_id: str | None, key: str | None = None) -> ProgressAnswer:
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
                if not caller.may_see(record.owner):
                    refuse_foreign(connection, caller, record.upload_id)
                return self._import_progress(connection, record)
        try:
            found = self._service.sessions.get(upload_id)
        except redis.RedisError:
            found = None
        if found is None:
            raise unknown()
        session, state = self._service.allowed(caller, found[0]), found[1]
        if state in UNDER_WAY and not session.s3_upload_id and self._service.arrived(session):
            state = UploadState.COMPLETED
        return self._upload_progress(session, state)

    def _upload_progress(self, session: Session, state: UploadState) -> ProgressAnswer:
        arrived = self._service.bytes_there(session)
        size = session.size or arrived
        done = size if state is UploadState.COMPLETED else arrived
        elapsed = time() - session.created_at
        rate = done / elapsed if elapsed > 0 else 0.0
        return ProgressAnswer(
            upload_id=session.upload_id,
            s3_key=session.key,
            phase=_UPLOAD_PHASES[state],
            state=state,
            percent=round(100.0 * done / size, 1) if size else 0.0,
            bytes=done,
            total_bytes=size,
            rows=0,
            loaded=0,
            rejected=0,
            rate=round(rate),
            eta=round((size - done) / rate, 1) if rate > 0 and state is UploadState.UPLOADING else None,
        )

    def _import_progress(self, connection: Connection, record: ImportRecord) -> ProgressAnswer:
        """From Redis while it runs, else from the ledger; the state always from the ledger."""
        state = record.state
        shown = self._board.get(record.upload_id) if record.is_running else None
        progress = shown or progress_of(connection, record)
        progress.state = state
        running = record.is_running
        waiting = launch_queue.waiting_for(connection, record.upload_id) if state is ImportState.QUEUED else None
        return ProgressAnswer(
            upload_id=record.upload_id,
            s3_key=record.object_key,
            phase=_phase(state),
            state=state,
            percent=progress.percent,
            bytes=progress.size if state is ImportState.SUCCEEDED else progress.done,
            total_bytes=record.size,
            rows=progress.rows,
            loaded=progress.loaded,
            rejected=progress.counts.get("rejected", 0),
            rate=round(progress.bytes_per_second()) if running else 0,
            eta=progress.seconds_left() if running else None,
            error=record.error,
            waits_for=record.waits_for if waiting else None,
            next_launch_at=waiting.due_at if waiting else None,
            place=waiting.place if waiting else None,
        )

    def imports(self, caller: Caller, which: ImportFilter, limit: int, cursor: str | None) -> ImportsAnswer:
        """A page of the caller's imports, the newest first, and the cursor of the next page."""
        if caller.role != "operator":
            which = replace(which, owner=caller.owner)
        with self._database() as connection:
            records = queries.page(connection, which, limit + 1, _position(cursor) if cursor else None)
            items = [self._item(connection, caller, record) for record in records[:limit]]
        last = records[limit - 1] if len(records) > limit else None
        return ImportsAnswer(imports=items, next=_cursor(last) if last else None)

    def detail(self, caller: Caller, upload_id: str) -> ImportDetail:
        """An import: what became of its rows, and why those that were rejected were."""
        with self._database() as connection:
            record = find_import(connection, caller, upload_id)
            rejects = _rejects(connection, record)
            item = self._item(connection, caller, record)
            warnings = record.warnings or queries.totals(connection, upload_id).warnings
            columns = columns_of(connection, record)
            noted = queries.noted_rows(connection, upload_id)
        return ImportDetail(
            **dict(item),
            options={to_camel(name): value for name, value in record.options.items()},
            stopped=record.report.get("stopped") if record.report else None,
            columns=[ColumnAnswer(**asdict(column)) for column in columns],
            rejects_by_column=[
                Rejected(code=row.code, column=row.column or None, rows=row.rows, message=MESSAGES[row.code])
                for row in rejects
            ],
            warnings_by_field=[
                Warned(code=code, field=field or None, values=values, message=MESSAGES[code], rows=noted.get(code, []))
                for (code, _, field), values in sorted(
                    ((name.partition(":"), int(values)) for name, values in warnings.items()),
                    key=lambda entry: -entry[1],
                )
            ],
        )

    def _item(self, connection: Connection, caller: Caller, record: ImportRecord) -> ImportAnswer:
        summary = summarise(connection, record)
        run_id, dagster_url = record.run_id, self._settings.dagster_url
        # Who reaches Dagster's UI can end everybody's runs.
        may_follow = caller.role == "operator"
        return ImportAnswer(
            upload_id=record.upload_id,
            file_name=record.file_name,
            owner=record.owner,
            size=record.size,
            state=record.state,
            phase=_phase(record.state),
            uploaded_at=record.uploaded_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
            attempt=record.attempt,
            rows=summary.rows,
            inserted=summary.inserted,
            updated=summary.updated,
            unchanged=summary.unchanged,
            duplicate_in_file=summary.duplicate_in_file,
            rejected=summary.rejected,
            not_attempted=summary.not_attempted,
            warnings=summary.warnings,
            seconds=summary.seconds,
            error=record.error,
            waits_for=record.waits_for,
            rejects_of=record.rejects_of,
            run_url=f"{dagster_url}/runs/{run_id}" if may_follow and run_id and dagster_url else None,
        )

    def first_rejects(self, caller: Caller, upload_id: str, limit: int) -> RejectedRows:
        """The first rows of the rejects file, to be fixed where they are shown.

        Raises:
            ApiError: there is no such import, or it is somebody else's.
        """
        with self._database() as connection:
            record = find_own_import(connection, caller, upload_id)
            self._refuse_where_gone(connection, record)
            titles, rows = rejects_export.first_rejects(connection, record, limit)
            total = queries.rejected_rows(connection, upload_id)
        return RejectedRows(titles=titles, rows=rows, total=total)

    def rejects(self, caller: Caller, upload_id: str) -> Download:
        """The rejects file of an import.

        Raises:
            ApiError: the caller has no such import.
        """
        with self._database() as connection:
            record = find_import(connection, caller, upload_id)
            self._refuse_where_gone(connection, record)
        return self._download(record, "rejects", rejects_export.rejects_csv)

    def _refuse_where_gone(self, connection: Connection, record: ImportRecord) -> None:
        if retention.removed_rejects(connection, record):
            raise ApiError(
                HTTPStatus.GONE,
                "rejects_gone",
                f"its rejects are no longer kept: that is so after {self._settings.keep_rejects_days} days",
            )

    def contacts(self, caller: Caller, upload_id: str) -> Download:
        """The contacts of an import's rows.

        Raises:
            ApiError: there is no such import, or it is somebody else's.
        """
        with self._database() as connection:
            record = find_own_import(connection, caller, upload_id)
        return self._download(record, "contacts", contacts_export.contacts_csv)

    def _download(
        self, record: ImportRecord, what: str, content: Callable[[Connection, ImportRecord], Iterator[bytes]]
    ) -> Download:
        def blocks() -> Iterator[bytes]:
            # For minutes, perhaps: not one of the connections that calls share.
            with closing(connect(self._settings.database_url)) as connection:
                yield from content(connection, record)

        stem = record.file_name.rpartition(".")[0] or record.file_name
        return Download(f"{what}-{record.upload_id}.csv", f"{what} of {stem}.csv", blocks())


def _rejects(connection: Connection, record: ImportRecord) -> list[RejectsOfCode]:
    """Rejected rows by code and column; of a dry run, which leaves none, as its report has them."""
    if record.state is ImportState.CHECKED and record.report:
        return [RejectsOfCode(**one) for one in record.report.get("rejects_by_column", ())]
    removed = retention.removed_rejects(connection, record)
    return removed if removed is not None else queries.rejects_by_code_and_column(connection, record.upload_id)


def _phase(state: ImportState) -> Phase:
    if state is ImportState.QUEUED:
        return Phase.QUEUED
    if state is ImportState.IN_REVIEW:
        return Phase.REVIEW
    if state is ImportState.UNDOING:
        return Phase.UNDOING
    return Phase.IMPORTING if state in RUNNING_STATES else Phase.FINISHED


def _cursor(record: ImportRecord) -> str:
    place = json.dumps([record.created_at.isoformat(), record.upload_id])
    return base64.urlsafe_b64encode(place.encode()).decode()


def _position(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, upload_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        return datetime.fromisoformat(created_at), str(upload_id)
    except (ValueError, TypeError, binascii.Error):
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "cursor: send `next` of the page before as it is"
        ) from None
