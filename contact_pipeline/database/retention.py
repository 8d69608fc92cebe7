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
    HISTORY = "history"


SETTLED: Final = f"""EXISTS (SELECT FROM removals r WHERE r.upload_id = c.upload_id AND r.what = '{Removed.HISTORY}'
                             AND c.number <= (r.summary ->> 'up_to')::bigint)"""
"""SQL: a contribution `c` is settled: it cannot be undone, and what it was is in its contacts only."""

BEFORE_SETTLED: Final = f"""EXISTS (SELECT FROM removals r
                             WHERE r.upload_id = v.replaced_by_import AND r.what = '{Removed.HISTORY}'
                               AND v.replaced_at < r.removed_at)"""
"""SQL: a version `v` of a contact is a before-image that a settled import has kept."""

# A dry run that a person asked for on looking at an upload: the upload waits for a decision still.
_UNDECIDED: Final = "(state = 'in_review' OR (state = 'checked' AND COALESCE((options ->> 'review')::boolean, false)))"

_OVER: Final = f"""state IN ('succeeded', 'failed', 'cancelled', 'undone', 'checked') AND NOT {_UNDECIDED}
    AND finished_at < now() - make_interval(days => %(days)s)
    AND NOT EXISTS (SELECT FROM launches l WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL)
    AND (NOT EXISTS (SELECT FROM removals r WHERE r.upload_id = i.upload_id AND r.what = %(what)s
                                              AND r.removed_at > i.finished_at)
         OR (%(what)s = 'rejects' AND EXISTS (SELECT FROM rejected_rows q WHERE q.upload_id = i.upload_id)))
    -- What failed or was cancelled can be gone on with while its file is there, and its rejects are counted then.
    AND (%(what)s <> 'rejects' OR state IN ('succeeded', 'undone', 'checked')
         OR EXISTS (SELECT FROM removals f WHERE f.upload_id = i.upload_id AND f.what = 'file'))"""

_DELETED: Final = {
    # What a receiver was never given stays, for it can be replayed, until that is forgotten.
    "messages": """outbox WHERE created_at < now() - make_interval(days => %(days)s) AND dispatched_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM deliveries d WHERE d.message = outbox.message AND d.delivered_at IS NULL)""",
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


def is_still_over(connection: Connection, upload_id: str, days: int, what: Removed) -> bool:
    """Lock an import until the transaction's end; whether it is still one of `over_for`."""
    with scrubbed():
        row = connection.execute(
            f"SELECT FROM imports i WHERE upload_id = %(id)s AND {_OVER} FOR NO KEY UPDATE".encode(),
            {"id": upload_id, "days": days, "what": what.value},
        ).fetchone()
    return row is not None


def undecided_for(connection: Connection, days: int) -> list[str]:
    """Uploads that have waited for a decision for so many days."""
    with scrubbed():
        rows = connection.execute(
            f"""SELECT upload_id FROM imports WHERE {_UNDECIDED}
                AND COALESCE(finished_at, created_at) < now() - make_interval(days => %s)
                ORDER BY created_at""".encode(),
            (days,),
        ).fetchall()
    return [row["upload_id"] for row in rows]


def note_removed(connection: Connection, upload_id: str, what: Removed, summary: Any = None) -> None:
    """Note what an import has no more."""
    with scrubbed():
        connection.execute(
            """INSERT INTO removals (upload_id, what, removed_at, summary) VALUES (%s, %s, clock_timestamp(), %s)
               ON CONFLICT (upload_id, what)
               DO UPDATE SET removed_at = EXCLUDED.removed_at, summary = EXCLUDED.summary""",
            (upload_id, what.value, json.dumps(summary) if summary is not None else None),
        )


def note_rejects_removed(connection: Connection, record: ImportRecord) -> None:
    """Note that the rejects of an import are kept no more, and how many there were of each kind."""
    if removed_rejects(connection, record) is None:
        summary = [asdict(one) for one in queries.rejects_by_code_and_column(connection, record.upload_id)]
        note_removed(connection, record.upload_id, Removed.REJECTS, summary)


def delete_rejected_rows(connection: Connection, upload_id: str) -> None:
    """Delete the rejected rows of an import that is over, piece by piece. What is left is due again the next night."""
    with scrubbed():
        while connection.execute(
            """DELETE FROM rejected_rows WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM rejected_rows WHERE upload_id = %(id)s LIMIT %(rows)s))
                 AND EXISTS (SELECT FROM imports WHERE upload_id = %(id)s AND finished_at IS NOT NULL)""",
            {"id": upload_id, "rows": _ROWS_AT_ONCE},
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
