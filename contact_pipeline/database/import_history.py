"""What earlier imports of the same source were like, and what an import has left in the table."""

from __future__ import annotations

from contact_pipeline.database import contributions
from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.records import ImportRecord, select_all


def imports_before(connection: Connection, record: ImportRecord, limit: int) -> list[ImportRecord]:
    """The owner's successful imports of the same source that were uploaded before an import, the newest first."""
    return select_all(
        connection,
        ImportRecord,
        """SELECT * FROM imports
           WHERE owner = %s AND state = 'succeeded' AND ordered_at < %s AND mapping ->> 'source' = %s
             AND rejects_of IS NULL AND total_rows > 0
           ORDER BY ordered_at DESC LIMIT %s""",
        record.owner,
        record.ordered_at,
        (record.mapping or {}).get("source"),
        limit,
    )


def made_between(connection: Connection, upload_id: str) -> list[tuple[int, int]]:
    """Ranges of keys, apart from each other, in which the contacts are that an import has made."""
    ranges: list[tuple[int, int]] = []
    with scrubbed():
        rows = connection.execute(
            """SELECT first_key, last_key FROM contributions
               WHERE upload_id = %s AND chunk <> %s AND undone_at IS NULL AND first_key IS NOT NULL
               ORDER BY first_key""",
            (upload_id, contributions.UNDO),
        ).fetchall()
    for row in rows:
        first, last = row["first_key"], row["last_key"]
        if ranges and first <= ranges[-1][1]:
            # Chunks are written side by side.
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    return ranges


def contacts_made(connection: Connection, upload_id: str) -> int:
    """How many contacts that an import has made are in the table."""
    ranges = made_between(connection, upload_id)
    row = fetch_one(
        connection,
        """SELECT count(*) AS made FROM unnest(%s::bigint[], %s::bigint[]) AS range (first, last)
           JOIN contacts ON key BETWEEN first AND last AND created_by_import = %s""",
        [first for first, _ in ranges],
        [last for _, last in ranges],
        upload_id,
    )
    assert row is not None
    return int(row["made"])
