"""What users chose: options of uploads on their way, and mappings that are used again for the same titles."""

from __future__ import annotations

import json
from typing import Any

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed


def keep_upload_options(connection: Connection, upload_id: str, options: dict[str, Any]) -> None:
    """Keep the options of an upload until its import begins."""
    with scrubbed():
        connection.execute(
            """INSERT INTO upload_options (upload_id, options) VALUES (%s, %s)
               ON CONFLICT (upload_id) DO UPDATE SET options = EXCLUDED.options""",
            (upload_id, json.dumps(options)),
        )


def upload_options(connection: Connection, upload_id: str) -> dict[str, Any]:
    """The options of an upload; empty where none were chosen."""
    row = fetch_one(connection, "SELECT options FROM upload_options WHERE upload_id = %s", upload_id)
    return row["options"] if row else {}


def remember_mapping(connection: Connection, owner: str, signature: str, mapping: dict[str, str]) -> None:
    """Use an owner's mapping again for files with these titles."""
    with scrubbed():
        connection.execute(
            """INSERT INTO mappings (owner, signature, mapping) VALUES (%s, %s, %s)
               ON CONFLICT (owner, signature) DO UPDATE SET mapping = EXCLUDED.mapping, updated_at = now()""",
            (owner, signature, json.dumps(mapping)),
        )


def remembered_titles(connection: Connection, owner: str) -> set[str]:
    """The column titles that an owner has mapped: what a header row of theirs may hold."""
    with scrubbed():
        rows = connection.execute(
            """SELECT DISTINCT jsonb_object_keys(mapping) AS title FROM mappings
               WHERE owner = %s LIMIT 10000""",
            (owner,),
        ).fetchall()
    return {row["title"] for row in rows}


def remembered_mapping(connection: Connection, owner: str, signature: str) -> dict[str, str] | None:
    """The mapping that an owner used last for files with these titles."""
    row = fetch_one(connection, "SELECT mapping FROM mappings WHERE owner = %s AND signature = %s", owner, signature)
    return row["mapping"] if row else None


def forget_upload_options(connection: Connection, older_than_seconds: int) -> None:
    """Drop the options of uploads that have become imports, which keep their own, or that are over."""
    with scrubbed():
        connection.execute(
            "DELETE FROM upload_options WHERE created_at < now() - make_interval(secs => %s)", (older_than_seconds,)
        )
