"""How an import's state changes, each change with its launches, its history and its event."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from contact_pipeline.database import causes, launches, queries
from contact_pipeline.database.causes import Cause
from contact_pipeline.database.claims import Claim, begin_anew, claimed_record, lock_claim
from contact_pipeline.database.events import audit, enqueue_event
from contact_pipeline.database.postgres import Connection, impatient, scrubbed
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import (
    COUNTS,
    OPEN_STATES,
    AskedBy,
    ImportRecord,
    ImportState,
    select_one,
)

IMPORTABLE_AGAIN: Final = (
    ImportState.IN_REVIEW,
    ImportState.FAILED,
    ImportState.CANCELLED,
    ImportState.UNDONE,
    ImportState.CHECKED,
)


_NO_ROWS: Final = {"no_rows": 1}
"""The warnings of a file that has a header only."""


def queue_again(connection: Connection, upload_id: str, state: ImportState) -> None:
    """Queue an import that was over, in the caller's transaction, as a person has asked for."""
    if state == ImportState.UNDONE or queries.last_chunk(connection, upload_id) is None:
        # What a dry run counted, or how it read the file, says nothing of the import.
        begin_anew(connection, upload_id)
    connection.execute(
        """UPDATE imports SET state = 'queued', fruitless = 0, waits_for = NULL, error = NULL, error_code = NULL,
                  cancelled_at = NULL, finished_at = NULL, report = NULL WHERE upload_id = %s""",
        (upload_id,),
    )


def settle(connection: Connection, upload_id: str, run_id: str, cause: Cause) -> bool:
    """A run is over and its import is not: have it launched again after a pause, or give it up.

    Launches without a committed chunk are counted, in a row, and by their cause. An import that a run holds is settled
    for that run only.

    Returns:
        Whether there was anything to settle.
    """
    with impatient(connection):
        record = lock_import(connection, upload_id)
        launch = launches.of_run(connection, run_id)
        if record is None:
            return False
        if launch is not None and launch.ended_at is None:
            launches.end(connection, upload_id, launch.launch, "failed", cause)
            if record.state in IMPORTABLE_AGAIN and launch.asked_by == AskedBy.PERSON and not launch.started_at:
                # Its run died before it claimed the import: keep the person's request.
                queue_again(connection, upload_id, record.state)
                record = replace(record, state=ImportState.QUEUED, fruitless=0)
        elif record.run_id != run_id or launch is not None:
            return False
        held = record.is_running
        if record.state not in OPEN_STATES or (held and record.run_id != run_id):
            return False
        attempt = record.attempt if held else None
        fruitless = 0 if launches.made_progress(connection, upload_id, attempt) else record.fruitless + 1
        tried = launches.count_failed(connection, upload_id, cause.code, fruitless)
        if tried >= cause.patience or fruitless >= causes.MAX_LAUNCHES:
            message = (
                f"{cause.reason}. It was tried {max(tried, 1)} times without getting any further. When that is mended: "
                f"launch its partition, or contact-pipeline import-again {upload_id}"
            )
            _give_up(connection, record, cause.code, message, run_id)
            return True
        connection.execute(
            """UPDATE imports SET state = 'queued', fruitless = %s, waits_for = %s, run_id = NULL, heartbeat_at = NULL
               WHERE upload_id = %s""",
            (fruitless, cause.reason, upload_id),
        )
        if not launches.any_open(connection, upload_id):
            launches.plan(connection, upload_id, AskedBy.RETRY, in_seconds=causes.pause_seconds(fruitless))
        audit(connection, upload_id, "run", "queued", why=cause.reason, run_id=run_id, attempt=record.attempt)
    return True


def _give_up(connection: Connection, record: ImportRecord, code: str, message: str, run_id: str | None) -> None:
    upload_id = record.upload_id
    connection.execute(
        """UPDATE imports SET state = 'failed', error_code = %s, error = %s, finished_at = clock_timestamp(),
                  waits_for = NULL WHERE upload_id = %s""",
        (code, message, upload_id),
    )
    launches.end_open(connection, upload_id, "failed")
    audit(connection, upload_id, "run", "failed", why=message, run_id=run_id, attempt=record.attempt)
    if record.options.get("mode") != "check":
        # A dry run that fails is told to whoever looks at it: nothing was to be loaded.
        enqueue_event(connection, upload_id, "import.failed", {"code": code})


def ensure_launch(connection: Connection, upload_id: str, asked_by: AskedBy) -> bool:
    """Give an import that is not over a launch, where it has none; returns whether it had none."""
    with impatient(connection):
        record = lock_import(connection, upload_id)
        if record is None or record.state not in OPEN_STATES or launches.any_open(connection, upload_id):
            return False
        connection.execute(
            "UPDATE imports SET state = 'queued', run_id = NULL, heartbeat_at = NULL WHERE upload_id = %s", (upload_id,)
        )
        launches.plan(connection, upload_id, asked_by)
        audit(connection, upload_id, "reconciler", "queued", why="it had no launch")
    return True


def keep_options(connection: Connection, claim: Claim, options: dict[str, Any]) -> None:
    """Store what was chosen for the import, in place of what was chosen before."""
    with scrubbed(), connection.transaction():
        lock_claim(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET options = %s WHERE upload_id = %s", (json.dumps(options), claim.upload_id)
        )


def keep_reading_plan(
    connection: Connection,
    claim: Claim,
    dialect: dict[str, Any],
    mapping: dict[str, Any],
    rejects_of: str | None,
    note: str | None = None,
) -> None:
    """Store how the file is read; every later attempt reads it the same way.

    Args:
        rejects_of: the upload whose rejects the file brings back.
        note: what is to stand in the history.
    """
    with scrubbed(), connection.transaction():
        lock_claim(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET dialect = %s, mapping = %s, rejects_of = %s WHERE upload_id = %s",
            (json.dumps(dialect), json.dumps(mapping), rejects_of, claim.upload_id),
        )
        if note is not None:
            audit(connection, claim.upload_id, "run", "opened", why=note, run_id=claim.run_id, attempt=claim.attempt)


def mark_verifying(connection: Connection, claim: Claim, rows: int, seconds: dict[str, float]) -> None:
    """Store how many rows the file has: the reader reached its end. The import is `verifying` from here.

    Args:
        seconds: what this attempt spent in each part of the work.
    """
    with scrubbed(), connection.transaction():
        state = lock_claim(connection, claim, (ImportState.LOADING, ImportState.VERIFYING), lock="NO KEY UPDATE")
        if state is ImportState.LOADING:
            connection.execute(
                "UPDATE imports SET total_rows = %s, timings = %s, state = 'verifying' WHERE upload_id = %s",
                (rows, json.dumps(seconds), claim.upload_id),
            )
            audit(connection, claim.upload_id, "run", "verifying", run_id=claim.run_id, attempt=claim.attempt)


def end_dry_run(
    connection: Connection,
    claim: Claim,
    counts: dict[str, int],
    rows: int,
    warnings: dict[str, int],
    seconds: dict[str, float],
    report: dict[str, Any],
) -> ImportRecord:
    """End an import that was only tried: what it would have done is kept, and nothing else.

    Raises:
        ImportCancelled, ClaimLost: the claim is lost.
    """
    with scrubbed(), connection.transaction():
        state = lock_claim(connection, claim, (ImportState.LOADING, ImportState.CHECKED), lock="NO KEY UPDATE")
        if state is ImportState.CHECKED:
            return claimed_record(connection, claim)
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        record = select_one(
            connection,
            ImportRecord,
            f"""UPDATE imports SET state = 'checked', finished_at = clock_timestamp(), total_rows = %(rows)s,
                       warnings = %(warnings)s, timings = %(seconds)s, report = %(report)s, {assignments}
                WHERE upload_id = %(upload_id)s RETURNING *""",
            **counts,
            rows=rows,
            warnings=json.dumps(warnings if rows else _NO_ROWS),
            seconds=json.dumps(seconds),
            report=json.dumps(report),
            upload_id=claim.upload_id,
        )
        assert record is not None
        launches.end_open(connection, claim.upload_id, "checked")
        audit(connection, claim.upload_id, "run", "checked", run_id=claim.run_id, attempt=claim.attempt, counts=counts)
    return record


def succeed(connection: Connection, claim: Claim) -> ImportRecord:
    """End the import well: its counts become final.

    Raises:
        ImportCancelled, ClaimLost: the claim is lost.
    """
    with scrubbed(), connection.transaction():
        state = lock_claim(connection, claim, (ImportState.VERIFYING, ImportState.SUCCEEDED), lock="NO KEY UPDATE")
        if state is ImportState.SUCCEEDED:
            # Done before, but the answer was lost.
            return claimed_record(connection, claim)
        sums = queries.totals(connection, claim.upload_id)
        counts = sums.counts
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        record = select_one(
            connection,
            ImportRecord,
            f"""UPDATE imports SET state = 'succeeded', finished_at = clock_timestamp(), fruitless = 0,
                       warnings = %(warnings)s, {assignments}
                WHERE upload_id = %(upload_id)s RETURNING *""",
            **counts,
            warnings=json.dumps(sums.warnings if sums.rows else _NO_ROWS),
            upload_id=claim.upload_id,
        )
        assert record is not None
        launches.end_open(connection, claim.upload_id, "succeeded")
        audit(
            connection, claim.upload_id, "run", "succeeded", run_id=claim.run_id, attempt=claim.attempt, counts=counts
        )
        enqueue_event(connection, claim.upload_id, "import.succeeded", counts)
    return record


def fail(connection: Connection, upload_id: str, run_id: str, code: str, message: str) -> bool:
    """End an import badly, for good, if that run still holds it. Committed chunks stay, should somebody resume it."""
    with impatient(connection):
        record = lock_import(connection, upload_id)
        held = record is not None and record.run_id == run_id and record.is_running
        if record is not None and held:
            _give_up(connection, record, code, message, run_id)
    return held
