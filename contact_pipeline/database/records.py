"""Rows of the ledger as values: an import, a launch, a chunk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from psycopg.rows import class_row

from contact_pipeline.database.postgres import Connection, scrubbed

_Row = TypeVar("_Row")

COUNTS: Final = ("inserted", "updated", "unchanged", "duplicate_in_file", "rejected")
"""What becomes of a row; for a whole import `not_attempted` comes on top."""


class ImportState(StrEnum):
    """Where an import is on its way. `in_review`: a person decides; `checked`: a dry run of it has ended."""

    IN_REVIEW = "in_review"
    QUEUED = "queued"
    LOADING = "loading"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"
    CHECKED = "checked"


OPEN_STATES: Final = (ImportState.QUEUED, ImportState.LOADING, ImportState.VERIFYING)
"""The import is not over: it has a living run, or a launch that is to come."""

RUNNING_STATES: Final = (ImportState.LOADING, ImportState.VERIFYING)
"""A run holds the import."""


class AskedBy(StrEnum):
    """Who asks for a run of an import."""

    SENSOR = "sensor"
    RETRY = "retry"
    BACKFILL = "backfill"
    PERSON = "person"


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """What became of rows. Those of an import are final once it has succeeded or was checked."""

    inserted: int
    updated: int
    unchanged: int
    duplicate_in_file: int
    rejected: int

    @property
    def counts(self) -> dict[str, int]:
        """The same by name in `COUNTS`."""
        return {count: getattr(self, count) for count in COUNTS}


@dataclass(frozen=True, kw_only=True)
class ImportRecord(RowCounts):
    """A row of `imports`."""

    upload_id: str
    state: ImportState
    bucket: str
    object_key: str
    etag: str
    size: int
    uploaded_at: datetime
    ordered_at: datetime
    file_name: str
    owner: str
    options: dict[str, Any]
    rejects_of: str | None
    dialect: dict[str, Any] | None
    mapping: dict[str, Any] | None
    attempt: int
    run_id: str | None
    heartbeat_at: datetime | None
    fruitless: int
    waits_for: str | None
    total_rows: int | None
    warnings: dict[str, int]
    timings: dict[str, float] | None
    report: dict[str, Any] | None
    error_code: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ImportState(self.state))

    @property
    def is_running(self) -> bool:
        """Whether a run holds it."""
        return self.state in RUNNING_STATES


@dataclass(frozen=True, kw_only=True)
class LaunchRecord:
    """A row of `launches`."""

    upload_id: str
    launch: int
    asked_by: AskedBy
    actor: str | None
    created_at: datetime
    due_at: datetime
    asked_at: datetime | None
    run_id: str | None
    attempt: int | None
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    reason: str | None
    code: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked_by", AskedBy(self.asked_by))


@dataclass(frozen=True, kw_only=True)
class ChunkRecord(RowCounts):
    """A row of `import_chunks`: a chunk that was committed."""

    upload_id: str
    chunk: int
    attempt: int
    first_row: int
    rows: int
    first_line: int
    end_line: int
    begin_offset: int
    end_offset: int
    bytes_read: int
    warnings: dict[str, int]
    column_values: dict[str, int]
    noted_rows: dict[str, list[int]]
    committed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """What an import's signs of life say of its run: `stale`, it may be replaced; `lost`, it is declared failed."""

    state: ImportState
    run_id: str | None
    stale: bool
    lost: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ImportState(self.state))


@dataclass(frozen=True, kw_only=True)
class Totals(RowCounts):
    """Sums over the committed chunks of an import; `warnings` by code and field."""

    chunks: int
    rows: int
    bytes_read: int
    warnings: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class RejectsOfCode:
    """How many rows were rejected by one code in one column."""

    code: str
    column: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class FirstReject:
    """One of the first rows that were rejected by a code."""

    code: str
    column: str
    row: int
    line: int


def select_one(connection: Connection, kind: type[_Row], query: str, *values: Any, **named: Any) -> _Row | None:
    """The first row of a query as a record, or None."""
    with scrubbed(), connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query.encode(), values or named).fetchone()


def select_all(connection: Connection, kind: type[_Row], query: str, *values: Any, **named: Any) -> list[_Row]:
    """The rows of a query as records."""
    with scrubbed(), connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query.encode(), values or named).fetchall()
