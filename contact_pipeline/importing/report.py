"""An import in one object: what became of its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg.rows import DictRow

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.tables import COUNTS
from contact_pipeline.importing.progress import Progress


def summarise(connection: Connection, record: DictRow) -> dict[str, Any]:
    """Counts of committed chunks, whatever the state; of an import that was only checked, what it would do.

    `rows` is the number of rows in the file once it was read to its end, else of
    those committed; `not_attempted` is then null: the rest was not counted.
    `seconds` are the last attempt's, from open to publish.
    """
    sums = _sums(connection, record)
    total = record["total_rows"]
    return {
        "upload_id": record["upload_id"],
        "state": record["state"],
        "rows": total if total is not None else sums["rows"],
        **{count: sums[count] for count in COUNTS},
        "not_attempted": total - sums["rows"] if total is not None else None,
        "warnings": sum(sums["warnings"].values()),
        "seconds": _seconds(record),
        "error": record["error"],
    }


def progress_of(connection: Connection, record: DictRow) -> Progress:
    """The import's progress as the ledger has it."""
    sums = _sums(connection, record)
    return Progress(
        state=record["state"],
        size=record["size"],
        done=sums["bytes_read"] or 0,
        rows=sums["rows"],
        counts={count: sums[count] for count in COUNTS},
        started_at=record["started_at"] or record["created_at"],
    )


def _sums(connection: Connection, record: DictRow) -> DictRow:
    """Sums over the chunks. A check leaves none: its counts are in the import itself."""
    if record["state"] == "checked":
        return {**record, "rows": record["total_rows"], "bytes_read": record["size"]}
    return queries.totals(connection, record["upload_id"])


def _seconds(record: DictRow) -> float:
    started: datetime | None = record["started_at"]
    if started is None:
        return 0.0
    ended: datetime = record["finished_at"] or datetime.now(UTC)
    return round((ended - started).total_seconds(), 3)
