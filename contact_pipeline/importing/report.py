"""What became of an import's rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from contact_pipeline.database import queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord, ImportState, Totals
from contact_pipeline.importing.progress import Progress


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """An import and its counts: those of the committed chunks; of a dry run, what the import would do.

    Attributes:
        rows: the rows of the file, once it was read to its end; until then, those that are committed.
        not_attempted: rows of the file that no committed chunk has; None until the file was read to its end.
        warnings: values that were dropped or changed.
        seconds: of the last attempt, from open to publish.
    """

    upload_id: str
    state: ImportState
    rows: int
    inserted: int
    updated: int
    unchanged: int
    duplicate_in_file: int
    rejected: int
    not_attempted: int | None
    warnings: int
    seconds: float
    error: str | None


def summarise(connection: Connection, record: ImportRecord) -> ImportSummary:
    """Count what became of an import's rows so far, whatever its state is."""
    sums = _sums(connection, record)
    total = record.total_rows
    return ImportSummary(
        upload_id=record.upload_id,
        state=record.state,
        rows=total if total is not None else sums.rows,
        **sums.counts,
        not_attempted=total - sums.rows if total is not None else None,
        warnings=sum((record.warnings or sums.warnings).values()),
        seconds=_seconds(record),
        error=record.error,
    )


def progress_of(connection: Connection, record: ImportRecord) -> Progress:
    """The import's progress as the ledger has it."""
    sums = _sums(connection, record)
    return Progress(
        state=record.state,
        size=record.size,
        done=sums.bytes_read,
        rows=sums.rows,
        counts=sums.counts,
        started_at=record.started_at or record.created_at,
    )


def _sums(connection: Connection, record: ImportRecord) -> Totals:
    """Sums over the chunks. A dry run leaves no chunk: its counts are in the import itself."""
    if record.state == ImportState.CHECKED:
        return Totals(
            chunks=0,
            rows=record.total_rows or 0,
            **record.counts,
            bytes_read=record.size,
            warnings=record.warnings,
        )
    return queries.totals(connection, record.upload_id)


def _seconds(record: ImportRecord) -> float:
    if record.started_at is None:
        return 0.0
    ended = record.finished_at or datetime.now(UTC)
    return round((ended - record.started_at).total_seconds(), 3)
