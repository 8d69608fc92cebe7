"""What the upload service does: init, chunk, complete, cancel, progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from time import monotonic, sleep, time
from typing import Any, Final
from uuid import uuid4

import redis

from contact_pipeline.importing import rejecting
from contact_pipeline.importing.summary import progress_of
from contact_pipeline.object_store import SUFFIXES, UPLOADS, ObjectStore
from contact_pipeline.progress import ProgressBoard
from contact_pipeline.settings import Settings
from contact_pipeline.uploads import multipart
from contact_pipeline.uploads.parts import MOST_PARTS, Plan, plan
from contact_pipeline.uploads.refusals import Refusal
from contact_pipeline.uploads.sessions import CANCELLED, COMPLETED, COMPLETING, UPLOADING, Session, Sessions
from contact_pipeline.warehouse import choices, ledger, reports
from contact_pipeline.warehouse.database import Connection, connect

_LONGEST_NAME: Final = 255
_WAIT_SECONDS: Final = 30.0


class UploadService:
    """The operations behind the API. Any number of processes may serve the same uploads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ObjectStore.from_settings(settings)
        client = redis.Redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=10)
        self._sessions = Sessions(client, settings.session_seconds)
        self._board = ProgressBoard.from_url(settings.redis_url)

    def init(self, owner: str, file_name: str, size: int, total: int | None, options: dict[str, Any]) -> dict[str, Any]:
        """Begin an upload; answers the part size to use."""
        suffix = file_name[file_name.rfind(".") :].lower()
        if suffix not in SUFFIXES:
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported_file",
                f"only files that end with {', '.join(SUFFIXES)} are taken: save the table as CSV or Excel",
            )
        if size > self._settings.max_upload_bytes:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "file_too_large",
                f"the file has {size:,} bytes, {self._settings.max_upload_bytes:,} are taken at most: split it",
            )
        division = plan(size, total)
        if division.total > MOST_PARTS:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_chunks", f"S3 takes {MOST_PARTS:,} chunks at most"
            )
        upload_id = uuid4().hex
        if options:
            with self._connection() as connection:
                choices.keep_upload_options(connection, upload_id, options)
        key = f"{UPLOADS}{upload_id}{suffix}"
        session = Session(
            upload_id=upload_id,
            owner=owner,
            key=key,
            s3_upload_id=multipart.begin(self._store, key, owner, file_name[-_LONGEST_NAME:]),
            file_name=file_name[-_LONGEST_NAME:],
            size=size,
            part_size=division.part_size,
            total=division.total,
            created_at=time(),
        )
        try:
            self._sessions.create(session)
        except redis.RedisError:
            multipart.abort(self._store, session)
            raise
        return {
            "uploadId": upload_id,
            "s3Key": key,
            "chunkSize": division.part_size,
            "totalChunks": division.total,
        }

    def expected_length(self, upload_id: str, index: int) -> int:
        """Bytes that a chunk must have, before its body is read.

        Raises:
            Refusal: no such upload, it is over, or no such chunk.
        """
        session, state = self._session(upload_id)
        if state != UPLOADING:
            raise _ended(state)
        if not 0 <= index < session.total:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "no_such_chunk",
                f"chunkIndex is {index}; this upload has the chunks 0 to {session.total - 1}",
            )
        return Plan(session.size, session.part_size).length(index)

    def chunk(self, upload_id: str, index: int, body: bytes | bytearray) -> dict[str, Any]:
        """Store a chunk. The same one again replaces it."""
        expected = self.expected_length(upload_id, index)
        if len(body) != expected:
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "wrong_chunk_size",
                f"chunk {index} has {len(body):,} bytes, it must have {expected:,}",
                expectedBytes=expected,
            )
        session, _ = self._session(upload_id)
        multipart.send_part(self._store, session, index, body)
        state = self._sessions.add_part(upload_id, index, len(body))
        if state != UPLOADING:
            if state == CANCELLED:
                multipart.abort(self._store, session)
            raise _ended(state)
        return {"uploadId": upload_id, "chunkIndex": index, "received": len(self._sessions.parts(upload_id))}

    def complete(self, upload_id: str) -> dict[str, Any]:
        """Make the object of its parts. Asked twice, it answers the same."""
        deadline = monotonic() + _WAIT_SECONDS
        while True:
            session, _ = self._session(upload_id)
            moved, state = self._sessions.move(upload_id, COMPLETING, UPLOADING, COMPLETING)
            if moved:
                return self._complete(session)
            if state == COMPLETED:
                return _completed(session)
            if state == CANCELLED:
                raise _ended(state)
            if monotonic() > deadline:
                raise Refusal(HTTPStatus.CONFLICT, "completing", "the upload is being completed: ask again in a moment")
            sleep(0.1)

    def _complete(self, session: Session) -> dict[str, Any]:
        try:
            multipart.complete(self._store, session)
        except multipart.MissingParts as missing:
            self._sessions.move(session.upload_id, UPLOADING, COMPLETING)
            raise Refusal(
                HTTPStatus.CONFLICT,
                "missing_chunks",
                f"{len(missing.indexes)} of {session.total} chunks are missing or of the wrong size: send them",
                missingChunks=missing.indexes[:1000],
            ) from None
        except BaseException:
            self._sessions.move(session.upload_id, UPLOADING, COMPLETING)
            raise
        self._sessions.move(session.upload_id, COMPLETED, COMPLETING)
        self._sessions.forget_parts(session.upload_id)
        return _completed(session)

    def cancel(self, upload_id: str, actor: str) -> dict[str, Any]:
        """Cancel at any stage. When it has answered, no part is left, or no further chunk commits."""
        deadline = monotonic() + _WAIT_SECONDS
        while True:
            found = self._sessions.get(upload_id)
            if found is None or found[1] == COMPLETED:
                return self._cancel_import(upload_id, found[0] if found else None, actor)
            session = found[0]
            moved, state = self._sessions.move(upload_id, CANCELLED, UPLOADING, CANCELLED)
            if moved:
                multipart.abort(self._store, session)
                self._sessions.forget_parts(upload_id)
                return {"uploadId": upload_id, "state": CANCELLED}
            if state == COMPLETING and monotonic() > deadline:
                raise Refusal(HTTPStatus.CONFLICT, "completing", "the upload is being completed: cancel in a moment")
            sleep(0.1)

    def _cancel_import(self, upload_id: str, session: Session | None, actor: str) -> dict[str, Any]:
        with self._connection() as connection:
            state = ledger.cancel(connection, upload_id, actor)
            if state is None and session is not None:
                state = self._cancel_before_it_is_seen(connection, session, actor)
        if state is None:
            raise _unknown()
        if state != "cancelled":
            raise Refusal(HTTPStatus.CONFLICT, "import_ended", f"the import has {state}: there is nothing to cancel")
        return {"uploadId": upload_id, "state": state}

    def _cancel_before_it_is_seen(self, connection: Connection, session: Session, actor: str) -> str | None:
        """Enter the import as cancelled, so that the sensor finds it known."""
        found = self._store.find(session.key)
        if found is None:
            return None
        stored = found[0]
        registration = ledger.Registration(
            upload_id=session.upload_id,
            bucket=self._store.bucket,
            object_key=stored.key,
            etag=stored.etag,
            size=stored.size,
            uploaded_at=stored.uploaded_at,
            file_name=session.file_name,
            owner=session.owner,
            options=choices.upload_options(connection, session.upload_id),
        )
        if ledger.register(connection, registration, state="cancelled", actor=actor):
            return "cancelled"
        return ledger.cancel(connection, session.upload_id, actor)

    def progress(self, upload_id: str | None, key: str | None) -> dict[str, Any]:
        """How an upload goes, or the import that it became."""
        if upload_id is None:
            upload_id = (key or "").removeprefix(UPLOADS).partition(".")[0]
        try:
            found = self._sessions.get(upload_id)
        except redis.RedisError:
            found = None
        if found is not None and found[1] != COMPLETED:
            return self._upload_progress(*found)
        with self._connection() as connection:
            record = reports.find(connection, upload_id) or (reports.find_by_key(connection, key) if key else None)
            if record is not None:
                return self._import_progress(connection, record)
        if found is None:
            raise _unknown()
        return self._upload_progress(*found)

    def _upload_progress(self, session: Session, state: str) -> dict[str, Any]:
        done = session.size if state == COMPLETED else sum(self._sessions.parts(session.upload_id).values())
        elapsed = time() - session.created_at
        rate = done / elapsed if elapsed > 0 else 0.0
        waiting = state == COMPLETED
        return {
            "uploadId": session.upload_id,
            "s3Key": session.key,
            "phase": "queued" if waiting else "finished" if state == CANCELLED else "uploading",
            "state": state,
            "percent": round(100.0 * done / session.size, 1),
            "bytes": done,
            "totalBytes": session.size,
            "rows": 0,
            "loaded": 0,
            "rejected": 0,
            "rate": round(rate),
            "eta": round((session.size - done) / rate, 1) if rate > 0 and state == UPLOADING else None,
        }

    def _import_progress(self, connection: Connection, record: dict[str, Any]) -> dict[str, Any]:
        """From Redis while it runs, else from the ledger; the state always from the ledger."""
        state = record["state"]
        shown = self._board.get(record["upload_id"]) if state in ("loading", "verifying") else None
        progress = shown or progress_of(connection, record)
        progress.state = state
        running = state in ("loading", "verifying")
        return {
            "uploadId": record["upload_id"],
            "s3Key": record["object_key"],
            "phase": "queued" if state == "queued" else "importing" if running else "finished",
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
        }

    def rejects(self, upload_id: str, owner: str) -> tuple[str, Iterator[bytes]]:
        """A name for the rejects file of an import, and its content.

        Raises:
            Refusal: there is no such import of this owner.
        """
        with self._connection() as connection:
            record = reports.find(connection, upload_id)
        if record is None or record["owner"] != owner:
            raise _unknown()

        def blocks() -> Iterator[bytes]:
            with self._connection() as connection:
                yield from rejecting.rejects_csv(connection, record)

        stem = record["file_name"].rpartition(".")[0] or record["file_name"]
        return f"rejects of {stem}.csv", blocks()

    def _session(self, upload_id: str) -> tuple[Session, str]:
        found = self._sessions.get(upload_id)
        if found is None:
            raise _unknown()
        return found

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with closing(connect(self._settings.database_url)) as connection:
            yield connection


def _completed(session: Session) -> dict[str, Any]:
    return {"uploadId": session.upload_id, "s3Key": session.key, "state": COMPLETED, "size": session.size}


def _unknown() -> Refusal:
    return Refusal(
        HTTPStatus.NOT_FOUND, "unknown_upload", "no such upload: it never began, or nothing was heard of it for hours"
    )


def _ended(state: str) -> Refusal:
    return Refusal(HTTPStatus.CONFLICT, f"upload_{state}", f"the upload is {state}: it takes nothing more")
