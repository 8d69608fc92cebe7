"""How uploads begin: in parts through the service, straight to S3 in parts, or in one piece."""

from __future__ import annotations

import re
from http import HTTPStatus
from time import time
from typing import Any, Final
from uuid import uuid4

import redis

from contact_pipeline.database import saved_mappings, tokens
from contact_pipeline.database.tokens import Caller
from contact_pipeline.object_store import SUFFIXES, UPLOADS, ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline.uploads import multipart
from contact_pipeline.uploads.auth import Database
from contact_pipeline.uploads.errors import ApiError
from contact_pipeline.uploads.models import InitAnswer
from contact_pipeline.uploads.parts import plan
from contact_pipeline.uploads.sessions import Session, Sessions

_MAX_NAME_LENGTH: Final = 255
_LARGEST_IN_ONE_PIECE: Final = 5 << 30
"""S3's limit for a single PUT or POST."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


class BeginService:
    """Begins uploads. Any number of processes may."""

    def __init__(self, settings: Settings, store: ObjectStore, client: redis.Redis, database: Database) -> None:
        self._settings = settings
        self._store = store
        self._database = database
        self.sessions = Sessions.from_settings(client, settings)

    def init(self, caller: Caller, file_name: str, size: int, total: int | None, options: dict[str, Any]) -> InitAnswer:
        """Begin an upload that comes chunk by chunk through this service; answers the part size to use."""
        self._check_file(file_name, size)
        division = plan(size, total)
        if division.total > self._settings.max_parts:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_many_chunks",
                f"{self._settings.max_parts:,} chunks are taken at most",
            )
        session = self._begin(caller, file_name, options, size=size, part_size=division.part_size, total=division.total)
        return InitAnswer(
            upload_id=session.upload_id,
            s3_key=session.key,
            chunk_size=division.part_size,
            total_chunks=division.total,
        )

    def begin_direct(self, caller: Caller, file_name: str, size: int | None) -> Session:
        """Begin an upload whose parts go straight to S3, divided as the client likes."""
        self._check_file(file_name, size)
        return self._begin(caller, file_name, {}, size=size)

    def begin_whole(self, caller: Caller, file_name: str, size: int | None) -> tuple[Session, multipart.PostTarget]:
        """Begin an upload that goes straight to S3 in one piece; answers where to POST it."""
        self._check_file(file_name, size)
        session = self._begin(caller, file_name, {}, size=size, whole=True)
        most = min(self._settings.max_upload_bytes, _LARGEST_IN_ONE_PIECE)
        return session, multipart.sign_whole(self._store, session, most, self._settings.presign_seconds)

    def _check_file(self, file_name: str, size: int | None) -> None:
        if _suffix(file_name) not in SUFFIXES:
            raise ApiError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported_file",
                f"only files that end with {', '.join(SUFFIXES)} are taken: save the table as CSV or Excel",
            )
        if size is not None and size > self._settings.max_upload_bytes:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "file_too_large",
                f"the file has {size:,} bytes, {self._settings.max_upload_bytes:,} are taken at most: split it",
            )

    def _begin(
        self,
        caller: Caller,
        file_name: str,
        options: dict[str, Any],
        *,
        size: int | None,
        part_size: int | None = None,
        total: int | None = None,
        whole: bool = False,
    ) -> Session:
        upload_id = uuid4().hex
        # The name is data: made printable here, escaped wherever it is shown, never part of the key.
        name = _CONTROLS.sub(" ", file_name.encode("utf-8", "replace").decode())[-_MAX_NAME_LENGTH:]
        key = f"{UPLOADS}{upload_id}{_suffix(file_name)}"
        with self._database() as connection:
            if options:
                saved_mappings.keep_upload_options(connection, upload_id, options)
            tokens.record(connection, caller, "upload_begun", upload_id)
        session = Session(
            upload_id=upload_id,
            owner=caller.owner,
            key=key,
            s3_upload_id="" if whole else multipart.begin(self._store, key, caller.owner, name),
            file_name=name,
            size=size,
            part_size=part_size,
            total=total,
            created_at=time(),
        )
        try:
            kept = self.sessions.create(session)
        except redis.RedisError:
            multipart.abort(self._store, session)
            raise
        if not kept:
            multipart.abort(self._store, session)
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_uploads",
                f"{self._settings.max_open_uploads} uploads are under way: complete or cancel one of them",
                retryAfter=60,
            )
        return session


def _suffix(file_name: str) -> str:
    return file_name[file_name.rfind(".") :].lower()
