"""What is kept of imports that are over, and for how long. Contacts, ledger and history stay."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Any, Final

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection, fetch_one, scrubbed
from contact_pipeline.database.records import ImportRecord, RejectsOfCode, select_all

_ROWS_AT_ONCE: Final = 20_000


class Removed(StrEnum):
    """What an import can be without."""

    FILE = "file"
    REJECTS = "rejects"
    RUNS = "runs"


_OVER: Final = """state IN ('succeeded', 'failed', 'cancelled', 'undone', 'checked')
    AND finished_at < now() - make_interval(days => %(days)s)
    AND NOT EXISTS (SELECT FROM launches l WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL)
    AND NOT EXISTS (SELECT FROM removals r WHERE r.upload_id = i.upload_id AND r.what = %(what)s
                                             AND r.removed_at > i.finished_at)"""

_DELETED: Final = {
    # What a receiver was never given, and is not given up, stays.
    "messages": """outbox WHERE created_at < now() - make_interval(days => %(days)s) AND dispatched_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM deliveries d WHERE d.message = outbox.message
                          AND d.delivered_at IS NULL AND d.dead_at IS NULL)""",
    "deliveries": """deliveries WHERE COALESCE(delivered_at, dead_at) < now() - make_interval(days => %(days)s)""",
    "audit_events": "audit_events WHERE happened_at < now() - make_interval(days => %(days)s)",
    # The last one of each import stays: its number is what the next one counts from.
    "launches": """launches WHERE ended_at < now() - make_interval(days => %(days)s)
        AND launch < (SELECT max(launch) FROM launches l WHERE l.upload_id = launches.upload_id)
        AND EXISTS (SELECT FROM imports i WHERE i.upload_id = launches.upload_id AND finished_at IS NOT NULL)""",
}


def over_for(connection: Connection, days: int, what: Removed, limit: int) -> list[ImportRecord]:
    """Imports that are over for so many days and still have something, the oldest first."""
    query = f"SELECT * FROM imports i WHERE {_OVER} ORDER BY finished_at LIMIT %(limit)s"
    return select_all(connection, ImportRecord, query, days=days, what=what.value, limit=limit)


def count_over_for(connection: Connection, days: int, what: Removed) -> int:
    """How many they are."""
    with scrubbed():
        row = connection.execute(
            f"SELECT count(*) AS imports FROM imports i WHERE {_OVER}".encode(), {"days": days, "what": what.value}
        ).fetchone()
    assert row is not None
    return int(row["imports"])


def undecided_for(connection: Connection, days: int) -> list[str]:
    """Uploads that have waited for a decision for so many days."""
    with scrubbed():
        rows = connection.execute(
            """SELECT upload_id FROM imports WHERE state = 'in_review'
               AND created_at < now() - make_interval(days => %s) ORDER BY created_at""",
            (days,),
        ).fetchall()
    return [row["upload_id"] for row in rows]


def is_wanted_by_another(connection: Connection, record: ImportRecord) -> bool:
    """Whether another import has the same object, and is not over: the object was put again, perhaps."""
    row = fetch_one(
        connection,
        """SELECT FROM imports WHERE object_key = %s AND upload_id <> %s AND etag = %s
           AND state NOT IN ('succeeded', 'failed', 'cancelled', 'undone', 'checked')""",
        record.object_key,
        record.upload_id,
        record.etag,
    )
    return row is not None


def note_removed(connection: Connection, upload_id: str, what: Removed, summary: Any = None) -> None:
    """Note what an import has no more."""
    with scrubbed():
        connection.execute(
            """INSERT INTO removals (upload_id, what, summary) VALUES (%s, %s, %s)
               ON CONFLICT (upload_id, what) DO UPDATE SET removed_at = now(), summary = EXCLUDED.summary""",
            (upload_id, what.value, json.dumps(summary) if summary is not None else None),
        )


def remove_rejected_rows(connection: Connection, upload_id: str) -> None:
    """Delete the rejected rows of an import, piece by piece; how many there were of each kind is kept."""
    summary = [asdict(one) for one in queries.rejects_by_code_and_column(connection, upload_id)]
    note_removed(connection, upload_id, Removed.REJECTS, summary)
    with scrubbed():
        while connection.execute(
            """DELETE FROM rejected_rows WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM rejected_rows WHERE upload_id = %s LIMIT %s))""",
            (upload_id, _ROWS_AT_ONCE),
        ).rowcount:
            pass


def removed_rejects(connection: Connection, record: ImportRecord) -> list[RejectsOfCode] | None:
    """How many rejects of each kind an import had whose rejects are kept no more; None where they are kept."""
    row = fetch_one(
        connection,
        "SELECT summary FROM removals WHERE upload_id = %s AND what = %s AND removed_at > %s",
        record.upload_id,
        Removed.REJECTS.value,
        record.finished_at or record.created_at,
    )
    return [RejectsOfCode(**one) for one in row["summary"]] if row is not None else None


def rows_to_go(connection: Connection, table: str, days: int) -> int:
    """How many rows of a table are older than so many days and needed by nothing."""
    with scrubbed():
        row = connection.execute(f"SELECT count(*) AS rows FROM {_DELETED[table]}".encode(), {"days": days}).fetchone()
    assert row is not None
    return int(row["rows"])


def delete_rows(connection: Connection, table: str, days: int) -> int:
    """Delete them; returns how many."""
    with scrubbed():
        return connection.execute(f"DELETE FROM {_DELETED[table]}".encode(), {"days": days}).rowcount
