"""What the ledger knows of the objects in the bucket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed


def unknown_objects(connection: Connection, objects: Sequence[tuple[str, str, datetime]]) -> list[int]:
    """Which of these objects, by their places, were neither imported nor ignored.

    Args:
        objects: key, ETag, and when it was put.
    """
    keys, etags, put_at = (list(column) for column in zip(*objects, strict=True)) if objects else ([], [], [])
    with scrubbed():
        rows = connection.execute(
            """SELECT place FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
                                 WITH ORDINALITY AS listed (object_key, etag, uploaded_at, place)
               WHERE NOT EXISTS (SELECT FROM imports i WHERE i.object_key = listed.object_key AND i.etag = listed.etag
                                                         AND i.uploaded_at = listed.uploaded_at)
                 AND NOT EXISTS (SELECT FROM restored_objects r
                                 WHERE r.object_key = listed.object_key AND r.etag = listed.etag
                                   AND r.put_at = listed.uploaded_at)
                 AND NOT EXISTS (SELECT FROM ignored_objects g
                                 WHERE g.object_key = listed.object_key AND g.etag = listed.etag)
               ORDER BY place""",
            (keys, etags, put_at),
        ).fetchall()
    return [row["place"] - 1 for row in rows]


def key_bounds(connection: Connection, parts: int) -> list[str]:
    """Keys that divide those of all imports into about equal parts, as the planner's statistics have them."""
    found = fetch_one(
        connection,
        """SELECT histogram_bounds::text::text[] AS bounds FROM pg_stats
           WHERE schemaname = current_schema() AND tablename = 'imports' AND attname = 'object_key'""",
    )
    bounds = sorted(set(found["bounds"] or [])) if found else []
    return [bounds[part * len(bounds) // parts] for part in range(1, parts)] if len(bounds) >= parts else []


def known_ids(connection: Connection, upload_ids: Iterable[str]) -> set[str]:
    """Which of these upload ids the ledger has."""
    with scrubbed():
        rows = connection.execute(
            "SELECT upload_id FROM imports WHERE upload_id = ANY(%s)", (list(upload_ids),)
        ).fetchall()
    return {row["upload_id"] for row in rows}
