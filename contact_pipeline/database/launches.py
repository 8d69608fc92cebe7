"""Launches: every run of an import is a row here, written before the run is asked for.

What holds at any moment, whatever has died: an import that is not over has a
launch that is not over, and that one has a living run, or a time when it is due.
The reconciler keeps it so (`orchestration.reconciling`).
"""

from __future__ import annotations

from dataclasses import dataclass

from contact_pipeline.database import queries
from contact_pipeline.database.causes import Cause
from contact_pipeline.database.postgres import Connection, impatient
from contact_pipeline.database.records import AskedBy, ImportRecord, LaunchRecord, select_all, select_one


def plan(
    connection: Connection,
    upload_id: str,
    asked_by: AskedBy,
    *,
    actor: str | None = None,
    run_id: str | None = None,
    in_seconds: float = 0,
) -> int:
    """Add a launch, in the caller's transaction, which holds the import's row.

    Args:
        run_id: its run, where that is there already; else the sensor asks for one when it is due.

    Returns:
        Its number.
    """
    row = connection.execute(
        """INSERT INTO launches (upload_id, launch, asked_by, actor, run_id, due_at, asked_at)
           SELECT %(upload_id)s, COALESCE(max(launch), 0) + 1, %(asked_by)s, %(actor)s, %(run_id)s,
                  clock_timestamp() + make_interval(secs => %(seconds)s),
                  CASE WHEN %(run_id)s::text IS NOT NULL THEN clock_timestamp() END
           FROM launches WHERE upload_id = %(upload_id)s RETURNING launch""",
        {"upload_id": upload_id, "asked_by": asked_by, "actor": actor, "run_id": run_id, "seconds": in_seconds},
    ).fetchone()
    assert row is not None
    launch: int = row["launch"]
    return launch


def note_run(
    connection: Connection, upload_id: str, run_id: str, launch: int | None, asked_by: AskedBy, actor: str | None
) -> ImportRecord | None:
    """Note the run of a launch, before it starts. A run that the sensor did not ask for becomes a launch of its own.

    Returns:
        The import; None where there is none.

    Raises:
        DatabaseFailed: somebody holds the import's row for long; or as named there.
    """
    with impatient(connection):
        record = queries.lock_import(connection, upload_id)
        if record is None:
            return None
        attach(connection, upload_id, run_id, launch, asked_by, actor)
    return record


def _bind(connection: Connection, upload_id: str, run_id: str, launch: int | None) -> bool:
    """Whether the run is that of a launch which is there."""
    if of_run(connection, run_id) is not None:
        return True
    if launch is None:
        return False
    return bool(
        connection.execute(
            """UPDATE launches SET run_id = %s, asked_at = COALESCE(asked_at, clock_timestamp())
               WHERE upload_id = %s AND launch = %s AND run_id IS NULL""",
            (run_id, upload_id, launch),
        ).rowcount
    )


def attach(
    connection: Connection,
    upload_id: str,
    run_id: str,
    launch: int | None,
    asked_by: AskedBy,
    actor: str | None = None,
) -> None:
    """Note the run of a launch, in the caller's transaction, which holds the import's row."""
    if not _bind(connection, upload_id, run_id, launch):
        plan(connection, upload_id, asked_by, actor=actor, run_id=run_id)


def any_open(connection: Connection, upload_id: str) -> bool:
    """Whether an import has a launch that is not over."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM launches WHERE upload_id = %s AND ended_at IS NULL) AS any", (upload_id,)
    ).fetchone()
    return bool(row and row["any"])


@dataclass(frozen=True, kw_only=True)
class LaunchOfRun(LaunchRecord):
    """The launch of a run, and how many seconds ago it ended."""

    ended_seconds: float | None


def of_run(connection: Connection, run_id: str) -> LaunchOfRun | None:
    """The launch of a run, or None."""
    return select_one(
        connection,
        LaunchOfRun,
        """SELECT *, extract(epoch FROM clock_timestamp() - ended_at)::float8 AS ended_seconds
           FROM launches WHERE run_id = %s""",
        run_id,
    )


def begin(connection: Connection, upload_id: str, launch: int, attempt: int) -> None:
    """Its run has claimed the import, in the caller's transaction: every other launch of it is over."""
    connection.execute(
        """UPDATE launches SET attempt = %s, started_at = clock_timestamp() WHERE upload_id = %s AND launch = %s""",
        (attempt, upload_id, launch),
    )
    end_open(connection, upload_id, "superseded", but=launch)


def end(connection: Connection, upload_id: str, launch: int, outcome: str, cause: Cause | None = None) -> None:
    """End a launch, in the caller's transaction.

    Args:
        cause: why it ended before its import was over.
    """
    code, reason = (cause.code, cause.reason) if cause else (None, None)
    connection.execute(
        """UPDATE launches SET ended_at = clock_timestamp(), outcome = %s, code = %s, reason = %s
           WHERE upload_id = %s AND launch = %s AND ended_at IS NULL""",
        (outcome, code, reason, upload_id, launch),
    )


def count_failed(connection: Connection, upload_id: str, code: str, among: int) -> int:
    """How many of the last launches that failed did so by one code.

    Args:
        among: how many of the last ones are looked at.
    """
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE code = %s) AS failed FROM (
               SELECT code FROM launches WHERE upload_id = %s AND outcome = 'failed'
               ORDER BY launch DESC LIMIT %s) AS last""",
        (code, upload_id, among),
    ).fetchone()
    return row["failed"] if row else 0


def end_open(connection: Connection, upload_id: str, outcome: str, *, but: int = 0) -> None:
    """All launches of an import are over, in the caller's transaction."""
    connection.execute(
        """UPDATE launches SET ended_at = clock_timestamp(), outcome = %s
           WHERE upload_id = %s AND launch <> %s AND ended_at IS NULL""",
        (outcome, upload_id, but),
    )


def made_progress(connection: Connection, upload_id: str, attempt: int | None) -> bool:
    """Whether an attempt has committed a chunk."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM import_chunks WHERE upload_id = %s AND attempt = %s) AS any", (upload_id, attempt)
    ).fetchone()
    return bool(row and row["any"])


def of_import(connection: Connection, upload_id: str) -> list[LaunchRecord]:
    """The launches of an import, in order."""
    return select_all(
        connection, LaunchRecord, "SELECT * FROM launches WHERE upload_id = %s ORDER BY launch", upload_id
    )


@dataclass(frozen=True, kw_only=True)
class AskedLaunch(LaunchRecord):
    """A launch whose run was asked for; `overdue`: more than a minute ago."""

    overdue: bool


def open_with_run(connection: Connection) -> list[AskedLaunch]:
    """Launches that are not over and whose run was asked for."""
    return select_all(
        connection,
        AskedLaunch,
        """SELECT *, asked_at < clock_timestamp() - interval '1 minute' AS overdue
           FROM launches WHERE ended_at IS NULL AND asked_at IS NOT NULL ORDER BY asked_at""",
    )
