"""Nothing is left behind: multipart uploads whose session is over are aborted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import redis

from contact_pipeline.database import saved_mappings, tokens
from contact_pipeline.database.postgres import Connection
from contact_pipeline.object_store import UPLOADS, ObjectStore, id_in_key
from contact_pipeline.settings import Settings
from contact_pipeline.uploads import multipart
from contact_pipeline.uploads.sessions import Sessions

_ACTOR = "sweeper"
_OWN_KEY = re.compile(re.escape(UPLOADS) + r"[0-9a-f]{32}\.[a-z]+")


def sweep(settings: Settings, store: ObjectStore, connection: Connection) -> int:
    """Abort abandoned multipart uploads, and forget options of uploads that ended.

    An upload is left alone while its session lives, and for as long as a session
    may live without a call: so one that has just begun is never taken for lost.
    One that this service did not begin has no session, and whoever sends it may
    take days: it is left to the bucket's own rule.

    Returns:
        How many were aborted.

    Raises:
        ApiError: S3 still shows parts after many attempts.
    """
    client = redis.Redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=10)
    sessions = Sessions.from_settings(client, settings)
    latest = datetime.now(UTC) - timedelta(seconds=settings.session_seconds)
    aborted = 0
    try:
        for key, s3_upload_id, begun_at in multipart.unfinished(store):
            upload_id = id_in_key(key)
            if not _OWN_KEY.fullmatch(key):
                continue
            if begun_at > latest or sessions.alive(upload_id):
                continue
            multipart.abort_upload(store, key, s3_upload_id)
            tokens.audit(connection, _ACTOR, "upload_expired", upload_id=upload_id)
            aborted += 1
    finally:
        client.close()
    saved_mappings.forget_upload_options(connection, older_than_seconds=settings.session_max_seconds)
    return aborted
