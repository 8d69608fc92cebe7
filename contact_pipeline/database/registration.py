"""How a completed upload enters the ledger, and what of the bucket does not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contact_pipeline.database import launches
from contact_pipeline.database.events import ADVISORY_CLASS, audit
from contact_pipeline.database.postgres import Connection, scrubbed
from contact_pipeline.database.records import AskedBy, ImportState


@dataclass(frozen=True)
class Registration:
    """A completed upload, as it enters the ledger."""

    upload_id: str
    bucket: str
    object_key: str
    etag: str
    size: int
    uploaded_at: datetime
    file_name: str
    owner: str
    options: dict[str, Any] = field(default_factory=dict)


def register(
    connection: Connection,
    upload: Registration,
    *,
    state: ImportState = ImportState.QUEUED,
    actor: str = "sensor",
    error: tuple[str, str] | None = None,
) -> bool:
    """Enter a completed upload, and its first launch; False where it is known already.

    An upload that was cancelled before it was complete is entered as cancelled.

    Args:
        state: `failed` and `cancelled` imports have no launch; nor has one that is to be reviewed, by its options.
        error: code and sentence of an import that failed before it began.
    """
    with scrubbed(), connection.transaction():
        # One at a time: uploads of one second are ordered by when they are entered.
        connection.execute("SELECT pg_advisory_xact_lock(%s, 1)", (ADVISORY_CLASS,))
        if (
            connection.execute("SELECT FROM cancelled_uploads WHERE upload_id = %s", (upload.upload_id,)).fetchone()
            is not None
        ):
            state = ImportState.CANCELLED
        elif state is ImportState.QUEUED and upload.options.get("review"):
            state = ImportState.IN_REVIEW
        entered = connection.execute(
            """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at,
                                    file_name, owner, options, cancelled_at, finished_at, error_code, error)
               SELECT %(upload_id)s, %(state)s, %(bucket)s, %(object_key)s, %(etag)s, %(size)s, %(uploaded_at)s,
                      COALESCE((SELECT max(ordered_at) + interval '1 microsecond' FROM imports
                                WHERE ordered_at >= %(uploaded_at)s
                                  AND ordered_at < %(uploaded_at)s::timestamptz + interval '1 second'),
                               %(uploaded_at)s),
                      %(file_name)s, %(owner)s, %(options)s,
                      CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END,
                      CASE WHEN %(state)s NOT IN ('queued', 'in_review') THEN clock_timestamp() END, %(code)s, %(error)s
               ON CONFLICT DO NOTHING RETURNING upload_id""",
            {
                **upload.__dict__,
                "options": json.dumps(upload.options),
                "state": state,
                "code": error[0] if error else None,
                "error": error[1] if error else None,
            },
        ).fetchone()
        if entered:
            audit(connection, upload.upload_id, actor, state, why=error[1] if error else None)
            if state is ImportState.QUEUED:
                launches.plan(connection, upload.upload_id, AskedBy.SENSOR)
    return entered is not None


def note_ignored(connection: Connection, object_key: str, etag: str, reason: str) -> bool:
    """Note, once, that an object in the bucket is not imported; False where that was noted before."""
    with scrubbed(), connection.transaction():
        noted = connection.execute(
            """INSERT INTO ignored_objects (object_key, etag, reason) VALUES (%s, %s, %s)
               ON CONFLICT DO NOTHING RETURNING object_key""",
            (object_key, etag, reason),
        ).fetchone()
        if noted is not None:
            audit(connection, "", "sensor", "ignored", why=f"{object_key}: {reason}")
    return noted is not None


def cancel_upload(connection: Connection, upload_id: str, actor: str) -> None:
    """Note that an upload is cancelled which no import may be made of, should it be complete after all."""
    with scrubbed():
        connection.execute(
            "INSERT INTO cancelled_uploads (upload_id, actor) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (upload_id, actor),
        )
