"""What happened to imports: the append-only history, and the outbox of messages for others."""

from __future__ import annotations

import json
from typing import Any, Final

from contact_pipeline.database.postgres import Connection

ADVISORY_CLASS: Final = 0x636F6E74
"""First number of the advisory locks."""


def audit(
    connection: Connection,
    upload_id: str,
    actor: str,
    what: str,
    *,
    why: str | None = None,
    run_id: str | None = None,
    attempt: int | None = None,
    counts: dict[str, int] | None = None,
) -> None:
    """Add to the append-only history, in the caller's transaction."""
    connection.execute(
        """INSERT INTO import_events (upload_id, actor, what, why, run_id, attempt, counts)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (upload_id, actor, what, why, run_id, attempt, json.dumps(counts) if counts is not None else None),
    )


def enqueue_event(connection: Connection, upload_id: str, topic: str, payload: dict[str, Any]) -> None:
    """Put a message into the outbox, in the caller's transaction."""
    connection.execute(
        "INSERT INTO outbox (upload_id, topic, payload) VALUES (%s, %s, %s)", (upload_id, topic, json.dumps(payload))
    )
