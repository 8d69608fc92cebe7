"""Launches: every run of an import is a row here, written before the run is asked for.

What holds at any moment, whatever has died: an import that is not over has a
launch that is not over, and that one has a living run, or a time when it is due.
The reconciler keeps it so (`orchestration.reconciling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from psycopg.rows import DictRow

from contact_pipeline.database.causes import Cause
from contact_pipeline.database.postgres import Connection, impatient, scrubbed

AskedBy = Literal["sensor", "retry", "backfill", "person"]

LARGE_BYTES: Final = 64 << 20
"""From this size on an import is `large`: it takes longer than the start of its run does."""


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
) -> DictRow | None:
    """Note the run of a launch, before it starts. A run that the sensor did not ask for becomes a launch of its own.

    Returns:
        The import's owner and size; None where there is no such import.

    Raises:
        DatabaseFailed: somebody holds the import's row for long; or as named there.
    """
    with impatient(connection):
        record = connection.execute(
            "SELECT owner, size FROM imports WHERE upload_id = %s FOR NO KEY UPDATE", (upload_id,)
        ).fetchone()
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


def of_run(connection: Connection, run_id: str) -> DictRow | None:
    """The launch of a run, with how many seconds ago it ended; or None."""
    with scrubbed():
        return connection.execute(
            """SELECT *, extract(epoch FROM clock_timestamp() - ended_at)::float8 AS ended_seconds
               FROM launches WHERE run_id = %s""",
            (run_id,),
        ).fetchone()


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


@dataclass(frozen=True)
class Slots:
    """How many runs may be under way at once: of large imports, and of all."""

    large: int
    total: int


def take_due(connection: Connection, slots: Slots) -> list[DictRow]:
    """Launches whose run is to be asked for now, and note that it is; each with its import's row.

    Asked for are those that are due, as many as find a place soon: the rest waits here, where places can be seen and
    given fairly, and not in Dagster's queue. Owners take turns, whoever has fewer under way first; large imports take
    a part of the places only. A run that was asked for and has not been seen is asked for again: Dagster starts one run
    a key.
    """
    with scrubbed(), connection.transaction():
        return connection.execute(
            """WITH open AS (
                   SELECT l.upload_id, l.launch, l.asked_at, l.started_at, l.due_at, l.run_id, l.asked_by, i.owner,
                          i.ordered_at,
                          i.size >= %(large_bytes)s AS large
                   FROM launches l JOIN imports i USING (upload_id)
                   WHERE l.ended_at IS NULL),
               busy AS (
                   SELECT owner, large, count(*) AS runs FROM open
                   -- What a backfill or a person has put into Dagster's queue waits there, and takes no place here.
                   WHERE started_at IS NOT NULL OR (asked_at IS NOT NULL AND asked_by IN ('sensor', 'retry'))
                   GROUP BY 1, 2),
               waiting AS (
                   SELECT *, row_number() OVER (PARTITION BY owner, large
                                                ORDER BY asked_by = 'backfill', ordered_at) AS turn
                   FROM open WHERE asked_at IS NULL AND due_at <= clock_timestamp()),
               ranked AS (
                   SELECT w.upload_id, w.launch, w.large,
                          row_number() OVER (PARTITION BY w.large ORDER BY w.turn + COALESCE(b.runs, 0), w.ordered_at)
                              AS place
                   FROM waiting w LEFT JOIN busy b ON b.owner = w.owner AND b.large = w.large),
               chosen AS (
                   SELECT upload_id, launch FROM ranked
                   WHERE place <= CASE WHEN large THEN %(large)s ELSE %(small)s END
                         - COALESCE((SELECT sum(runs) FROM busy WHERE busy.large = ranked.large), 0)
                   UNION ALL
                   SELECT upload_id, launch FROM open WHERE asked_at IS NOT NULL AND run_id IS NULL)
               UPDATE launches l SET asked_at = COALESCE(l.asked_at, clock_timestamp())
               FROM chosen, imports i
               WHERE l.upload_id = chosen.upload_id AND l.launch = chosen.launch AND i.upload_id = l.upload_id
               RETURNING i.*, l.launch, l.asked_by""",
            {
                "large_bytes": LARGE_BYTES,
                "large": slots.large,
                # Two more behind each place, so that none is ever empty for the length of a tick.
                "small": slots.total * 3,
            },
        ).fetchall()


def of_import(connection: Connection, upload_id: str) -> list[DictRow]:
    """The launches of an import, in order."""
    with scrubbed():
        return connection.execute(
            "SELECT * FROM launches WHERE upload_id = %s ORDER BY launch", (upload_id,)
        ).fetchall()


def open_with_run(connection: Connection) -> list[DictRow]:
    """Launches that are not over and whose run was asked for, each with what is known of its import."""
    with scrubbed():
        return connection.execute(
            """SELECT l.*, i.state, i.run_id AS holder,
                      l.asked_at < clock_timestamp() - interval '1 minute' AS overdue
               FROM launches l JOIN imports i USING (upload_id)
               WHERE l.ended_at IS NULL AND l.asked_at IS NOT NULL ORDER BY l.asked_at"""
        ).fetchall()


def waiting_for(connection: Connection, upload_id: str) -> DictRow | None:
    """The launch of an import that has not started yet, with its `place` in the queue, from 1; or None.

    Large imports queue apart from the others.
    """
    with scrubbed():
        return connection.execute(
            """WITH turns AS (
                   SELECT l.*, i.ordered_at, i.size >= %(large_bytes)s AS large,
                          row_number() OVER (PARTITION BY i.owner, i.size >= %(large_bytes)s
                                             ORDER BY l.asked_at, i.ordered_at) AS turn
                   FROM launches l JOIN imports i USING (upload_id)
                   WHERE l.ended_at IS NULL AND l.started_at IS NULL AND l.due_at <= clock_timestamp()),
               placed AS (SELECT *, row_number() OVER (PARTITION BY large ORDER BY asked_at, turn, ordered_at) AS place
                          FROM turns)
               SELECT l.launch, l.due_at, l.asked_at, placed.place
               FROM launches l LEFT JOIN placed USING (upload_id, launch)
               WHERE l.upload_id = %(upload_id)s AND l.ended_at IS NULL AND l.started_at IS NULL
               ORDER BY l.launch DESC LIMIT 1""",
            {"upload_id": upload_id, "large_bytes": LARGE_BYTES},
        ).fetchone()


def without_launch(connection: Connection, limit: int = 1000) -> list[str]:
    """Imports that are not over and have no launch that is not over: there should be none."""
    with scrubbed():
        rows = connection.execute(
            """SELECT upload_id FROM imports i WHERE state IN ('queued', 'loading', 'verifying')
                 AND NOT EXISTS (SELECT FROM launches l WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL)
               ORDER BY ordered_at LIMIT %s""",
            (limit,),
        ).fetchall()
    return [row["upload_id"] for row in rows]
