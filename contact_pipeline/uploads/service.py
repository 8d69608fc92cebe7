"""What clients can do with an upload that has begun: send parts, complete it, cancel it. The routers call this."""

from __future__ import annotations

from http import HTTPStatus
from time import monotonic, sleep
from typing import Final

import redis

from contact_pipeline.crash_points import reached
from contact_pipeline.database import queries, registration, saved_mappings, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.tokens import Caller
from contact_pipeline.object_store import ObjectStore, StoredObject
from contact_pipeline.settings import Settings
from contact_pipeline.uploads import multipart
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.authorization import find_import_if_any, refuse_foreign, unknown
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.import_service import cancel_import
from contact_pipeline.uploads.metrics import RECEIVED_BYTES
from contact_pipeline.uploads.models import CancelAnswer, ChunkAnswer, CompleteAnswer, PartsAnswer
from contact_pipeline.uploads.parts import Plan, wrong_chunk_size
from contact_pipeline.uploads.sessions import UNDER_WAY, Session, Sessions, UploadState

_WAIT_SECONDS: Final = 30.0


class UploadService:
    """The operations behind the API. Any number of processes may serve the same uploads."""

    def __init__(self, settings: Settings, store: ObjectStore, client: redis.Redis, database: Database) -> None:
        self._settings = settings
        self._store = store
        self._database = database
        self.sessions = Sessions.from_settings(client, settings)

    def expected_length(self, caller: Caller, upload_id: str, index: int) -> int:
        """Bytes that a chunk must have, before its body is read.

        Raises:
            ApiError: no such upload, it is over, or no such chunk.
        """
        return self._receiving(caller, upload_id, index)[1]

    def _receiving(self, caller: Caller, upload_id: str, index: int) -> tuple[Session, int]:
        """The upload that a chunk is for, and the bytes that it must have."""
        session, state = self.find(caller, upload_id)
        if state != UploadState.UPLOADING:
            raise _ended(state)
        if session.size is None or session.part_size is None or session.total is None:
            raise ApiError(HTTPStatus.CONFLICT, "direct_upload", "this upload goes straight to S3: ask for signed URLs")
        if not 0 <= index < session.total:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "no_such_chunk",
                f"chunkIndex is {index}; this upload has the chunks 0 to {session.total - 1}",
            )
        return session, Plan(session.size, session.part_size).length(index)

    def chunk(self, caller: Caller, upload_id: str, index: int, body: bytes | bytearray) -> ChunkAnswer:
        """Store a chunk. The same one again replaces it."""
        session, expected = self._receiving(caller, upload_id, index)
        if len(body) != expected:
            raise wrong_chunk_size(index, len(body), expected)
        multipart.send_part(self._store, session, index, body)
        RECEIVED_BYTES.inc(len(body))
        state = self.sessions.add_part(upload_id, index, len(body))
        if state != UploadState.UPLOADING:
            if state == UploadState.CANCELLED:
                multipart.abort(self._store, session)
            raise _ended(state)
        return ChunkAnswer(upload_id=upload_id, chunk_index=index, received=len(self.sessions.parts(upload_id)))

    def parts(self, caller: Caller, upload_id: str) -> PartsAnswer:
        """What an upload still lacks, as S3 has it: what a client needs to go on after a reload."""
        session, state = self.find(caller, upload_id)
        if session.size is None or session.part_size is None or session.total is None:
            raise ApiError(
                HTTPStatus.CONFLICT, "direct_upload", "this upload goes straight to S3: list its parts there"
            )
        division = Plan(session.size, session.part_size)
        there = multipart.list_parts(self._store, session) if state == UploadState.UPLOADING else {}
        sound = [at for at in there if at < session.total and there[at].size == division.length(at)]
        for at in sound:
            # Redis may have lost what S3 has.
            self.sessions.add_part(upload_id, at, there[at].size)
        missing = sorted({*range(session.total)} - {*sound}) if state == UploadState.UPLOADING else []
        return PartsAnswer(
            upload_id=upload_id,
            s3_key=session.key,
            state=state,
            file_name=session.file_name,
            file_size=session.size,
            chunk_size=session.part_size,
            total_chunks=session.total,
            missing_chunks=missing,
        )

    def direct_parts(self, caller: Caller, upload_id: str) -> dict[int, multipart.StoredPart]:
        """The parts that S3 has of an upload, by number from 0, in order."""
        session, state = self.find(caller, upload_id)
        if state != UploadState.UPLOADING:
            raise _ended(state)
        parts = multipart.list_parts(self._store, session)
        return dict(sorted(parts.items()))

    def expect_parts(self, caller: Caller, upload_id: str, numbers: set[int]) -> None:
        """Make sure, before a client completes, that S3 has just the parts that it has sent.

        Raises:
            ApiError: S3 lacks some, or has others.
        """
        session, state = self.find(caller, upload_id)
        if state == UploadState.UPLOADING:
            there = {at + 1 for at in multipart.list_parts(self._store, session)}
            if there != numbers:
                raise ApiError(
                    HTTPStatus.CONFLICT,
                    "missing_chunks",
                    f"S3 has {len(there)} parts, {len(numbers)} were named: send what is missing",
                    missingChunks=sorted(number - 1 for number in numbers - there)[:1000],
                )

    def sign_part(self, caller: Caller, upload_id: str, number: int) -> str:
        """A URL that takes one part of an upload straight into S3, for a while."""
        session, state = self.find(caller, upload_id)
        if state != UploadState.UPLOADING:
            raise _ended(state)
        most = self._settings.max_parts
        if not 1 <= number <= most or not session.s3_upload_id:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_part", f"an upload has the parts 1 to {most:,} at most"
            )
        return multipart.sign_part(self._store, session, number, self._settings.presign_seconds)

    def complete(self, caller: Caller, upload_id: str) -> CompleteAnswer:
        """Make the object of its parts. Asked twice, it answers the same."""
        deadline = monotonic() + _WAIT_SECONDS
        while True:
            session, _ = self.find(caller, upload_id)
            moved, state = self.sessions.move(session, UploadState.COMPLETING, *UNDER_WAY)
            if moved:
                return self._complete(caller, session)
            if state == UploadState.COMPLETED:
                return self._completed(session)
            if state == UploadState.CANCELLED:
                raise _ended(state)
            if monotonic() > deadline:
                raise ApiError(
                    HTTPStatus.CONFLICT, "completing", "the upload is being completed: ask again in a moment"
                )
            sleep(0.1)

    def _complete(self, caller: Caller, session: Session) -> CompleteAnswer:
        try:
            stored = multipart.complete(self._store, session, self._settings.max_upload_bytes)
        except multipart.MissingParts as missing:
            self._take_back(session)
            raise ApiError(
                HTTPStatus.CONFLICT,
                "missing_chunks",
                f"{len(missing.indexes)} chunks are missing or of the wrong size: send them",
                missingChunks=missing.indexes[:1000],
            ) from None
        except BaseException:
            self._take_back(session)
            raise
        reached("complete_in_s3")
        # The sensor would find it too; so it is known at once. Cancelled meanwhile, it is entered as cancelled.
        with self._database() as connection:
            tokens.record(connection, caller, "upload_completed", session.upload_id)
            self._enter(connection, session, stored)
        moved, state = self.sessions.move(session, UploadState.COMPLETED, UploadState.COMPLETING)
        self.sessions.forget_parts(session.upload_id)
        if not moved and state == UploadState.CANCELLED:
            raise _ended(state)
        return _completed(session, stored.size)

    def _take_back(self, session: Session) -> None:
        """The upload is not complete after all.

        Raises:
            ApiError: it was cancelled meanwhile, and that is why.
        """
        moved, state = self.sessions.move(session, UploadState.UPLOADING, UploadState.COMPLETING)
        if not moved and state == UploadState.CANCELLED:
            raise _ended(state) from None

    def _enter(self, connection: Connection, session: Session, stored: StoredObject) -> None:
        """Enter the upload into the ledger, unless the sensor was first."""
        entry = registration.Registration(
            upload_id=session.upload_id,
            bucket=self._store.bucket,
            object_key=stored.key,
            etag=stored.etag,
            size=stored.size,
            uploaded_at=stored.uploaded_at,
            file_name=session.file_name,
            owner=session.owner,
            options=saved_mappings.upload_options(connection, session.upload_id),
        )
        registration.register(connection, entry, actor="upload service")

    def _completed(self, session: Session) -> CompleteAnswer:
        size = session.size
        if size is None:
            found = self._store.find(session.key)
            size = found[0].size if found else None
        return _completed(session, size)

    def bytes_there(self, session: Session) -> int:
        """How much has arrived. Of parts that go straight to S3 only S3 knows."""
        if session.part_size is None and session.s3_upload_id:
            return sum(part.size for part in multipart.list_parts(self._store, session).values())
        return sum(self.sessions.parts(session.upload_id).values())

    def arrived(self, session: Session) -> bool:
        """Whether the file is in S3 although that was not noted.

        S3 does not tell this service of a file sent in one piece; and the service may have died after S3 completed.
        """
        found = self._store.find(session.key)
        if found is None:
            return False
        with self._database() as connection:
            self._enter(connection, session, found[0])
        self.sessions.move(session, UploadState.COMPLETED, *UNDER_WAY)
        return True

    def cancel(self, caller: Caller, upload_id: str) -> CancelAnswer:
        """Cancel at any stage. When it has answered, no part is left, or no further chunk commits."""
        with self._database() as connection:
            if find_import_if_any(connection, caller, upload_id) is not None:
                return cancel_import(connection, caller, upload_id)
        found = self.sessions.get(upload_id)
        if found is None:
            raise unknown()
        session, state = self.allowed(caller, found[0]), found[1]
        # In Postgres first: from here on the upload is entered as cancelled, by the sensor too.
        with self._database() as connection:
            registration.cancel_upload(connection, upload_id, caller.owner)
            tokens.record(connection, caller, "upload_cancelled", upload_id)
        self.sessions.move(session, UploadState.CANCELLED, *UNDER_WAY, UploadState.CANCELLED)
        if state != UploadState.COMPLETED:
            multipart.abort(self._store, session)
        self.sessions.forget_parts(upload_id)
        with self._database() as connection:
            stored = self._store.find(session.key)
            if stored is not None:
                self._enter(connection, session, stored[0])
            if queries.find(connection, upload_id) is not None:
                return cancel_import(connection, caller, upload_id)
        return CancelAnswer(upload_id=upload_id, state=UploadState.CANCELLED)

    def find(self, caller: Caller, upload_id: str) -> tuple[Session, UploadState]:
        """An upload of the caller's, and its state.

        Raises:
            ApiError: there is none.
        """
        found = self.sessions.get(upload_id)
        if found is None:
            raise unknown()
        return self.allowed(caller, found[0]), found[1]

    def allowed(self, caller: Caller, session: Session) -> Session:
        """The session, if it is the caller's.

        Raises:
            ApiError: it is not; this is recorded, and told as if there were none.
        """
        if not caller.may_see(session.owner):
            with self._database() as connection:
                refuse_foreign(connection, caller, session.upload_id)
        return session


def _completed(session: Session, size: int | None) -> CompleteAnswer:
    return CompleteAnswer(upload_id=session.upload_id, s3_key=session.key, state=UploadState.COMPLETED, size=size)


def _ended(state: str) -> ApiError:
    return ApiError(HTTPStatus.CONFLICT, f"upload_{state}", f"the upload is {state}: it takes nothing more")
