"""Which run works on an import.

An import is claimed by one run at a time. Each claim raises `attempt`; a chunk
commits only for the attempt that holds the import, so that a run that was
thought dead and wakes up can do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contact_pipeline.database import launches, queries
from contact_pipeline.database.events import audit
from contact_pipeline.database.postgres import Connection, DatabaseFailed, impatient, scrubbed
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import (
    COUNTS,
    RUNNING_STATES,
    AskedBy,
    ImportRecord,
    ImportState,
    LaunchRecord,
    select_one,
)
from contact_pipeline.errors import ClaimLost, ImportCancelled, UnknownImport

_LEFT_ALONE: Final = (ImportState.CANCELLED, ImportState.UNDONE, ImportState.IN_REVIEW)
"""From these states an import goes on only by a run that a person asked for."""


@dataclass(frozen=True)
class Claim:
    """A run's hold on an import.

    Attributes:
        record: the import when it was claimed.
        attempt: what the hold is known by.
        finished: the import has succeeded before; there is nothing left to do.
        checked: this run has tried the import, and written nothing.
        left_alone: why this run does nothing: the import was cancelled or undone, and no person asked for this run.
    """

    record: ImportRecord
    run_id: str
    attempt: int
    finished: bool = False
    checked: bool = False
    left_alone: str | None = None

    @property
    def upload_id(self) -> str:
        """The upload that is imported."""
        return self.record.upload_id


def claim(
    connection: Connection,
    upload_id: str,
    run_id: str,
    run_created_at: datetime,
    run_has_ended: Callable[[str], bool],
    *,
    launch: int | None = None,
    asked_by: AskedBy = AskedBy.PERSON,
) -> Claim:
    """Take hold of an import for a run.

    Args:
        run_created_at: of a run that is noted nowhere: one from before a cancellation does not undo it.
        run_has_ended: whether another run, by its id, is over.
        launch: the launch that the run was asked for by, where the sensor asked.
        asked_by: who asked for it, where it is noted nowhere.

    Raises:
        UnknownImport: no such upload is registered.
        ImportCancelled: it was cancelled after this run was asked for.
        ClaimLost: a living run holds it, or it is being undone.
        DatabaseFailed: somebody who is neither holds its row for long; or as named there.
    """
    free_the_row(connection, upload_id)
    with impatient(connection):
        record = lock_import(connection, upload_id)
        if record is None:
            raise UnknownImport(f"no upload {upload_id} is known; the S3 sensor registers an upload when it sees it")
        asked = _launch_of(connection, record, run_id, launch, asked_by, run_created_at)
        state, holder = record.state, record.run_id
        if state == ImportState.SUCCEEDED:
            launches.end(connection, upload_id, asked.launch, "nothing to do")
            return Claim(record, run_id, record.attempt, finished=True)
        if state == ImportState.CHECKED and holder == run_id:
            return Claim(record, run_id, record.attempt, checked=True)
        if state in _LEFT_ALONE and asked.asked_by != AskedBy.PERSON:
            launches.end(connection, upload_id, asked.launch, "left alone")
            why = (
                f"import {upload_id} is {state}: it is imported only when somebody launches its partition by "
                f"itself, or by `contact-pipeline import-again {upload_id}`"
            )
            return Claim(record, run_id, record.attempt, finished=True, left_alone=why)
        if state == ImportState.UNDOING:
            raise ClaimLost(f"import {upload_id} is being undone: launch it when that is over")
        if state in RUNNING_STATES:
            if holder == run_id:
                return Claim(record, run_id, record.attempt)
            if holder is not None and not _is_stale(connection, record) and not run_has_ended(holder):
                raise ClaimLost(f"import {upload_id} is already claimed by run {holder}")
        if state == ImportState.UNDONE:
            begin_anew(connection, upload_id)
        # Somebody launches its partition in Dagster while it waits for a decision: that is one.
        is_decided = state in (ImportState.IN_REVIEW, ImportState.CHECKED) and bool(record.options.get("review"))
        claimed = select_one(
            connection,
            ImportRecord,
            """UPDATE imports SET state = 'loading',
                      options = CASE WHEN %s THEN options - 'mode' - 'review' ELSE options END,
                      attempt = attempt + 1, run_id = %s,
                      heartbeat_at = clock_timestamp(), started_at = clock_timestamp(), waits_for = NULL,
                      fruitless = CASE WHEN %s THEN 0 ELSE fruitless END, finished_at = NULL, cancelled_at = NULL,
                      error = NULL, error_code = NULL, report = NULL
               WHERE upload_id = %s RETURNING *""",
            is_decided,
            run_id,
            asked.asked_by == AskedBy.PERSON,
            upload_id,
        )
        assert claimed is not None
        launches.begin(connection, upload_id, asked.launch, claimed.attempt)
        why = f"launch {asked.launch}, asked by {asked.asked_by}"
        audit(connection, upload_id, "run", "loading", why=why, run_id=run_id, attempt=claimed.attempt)
    return Claim(claimed, run_id, claimed.attempt)


def _is_stale(connection: Connection, record: ImportRecord) -> bool:
    """Whether its run has given no sign of life for so long that another may take its place."""
    row = connection.execute(
        "SELECT %s < clock_timestamp() - make_interval(secs => %s) AS stale",
        (record.heartbeat_at, queries.STALE_AFTER_SECONDS),
    ).fetchone()
    return bool(row and row["stale"])


def _launch_of(
    connection: Connection,
    record: ImportRecord,
    run_id: str,
    launch: int | None,
    asked_by: AskedBy,
    run_created_at: datetime,
) -> LaunchRecord:
    """The launch of a run; added where none was noted.

    Raises:
        ImportCancelled, ClaimLost: it is over.
    """
    upload_id = record.upload_id
    found = launches.of_run(connection, run_id)
    if found is None:
        if record.state == ImportState.CANCELLED and (
            launch is not None
            or (asked_by == AskedBy.PERSON and record.cancelled_at and run_created_at <= record.cancelled_at)
        ):
            raise ImportCancelled(f"import {upload_id} was cancelled")
        launches.attach(connection, upload_id, run_id, launch, asked_by)
        found = launches.of_run(connection, run_id)
        assert found is not None
    ended = found.ended_at is not None
    goes_on = record.state == ImportState.SUCCEEDED or (record.state == ImportState.CHECKED and record.run_id == run_id)
    # A run that was left alone stays so, also where a person asks for another one meanwhile.
    goes_on |= found.outcome == "left alone" and record.state in _LEFT_ALONE
    if ended and not goes_on:
        if record.state == ImportState.CANCELLED or found.outcome == "cancelled":
            raise ImportCancelled(f"import {upload_id} was cancelled")
        raise ClaimLost(f"launch {found.launch} of import {upload_id} is over ({found.outcome})")
    return found


def begin_anew(connection: Connection, upload_id: str) -> None:
    """Forget, in the caller's transaction, what an undone import had committed: it is loaded from its beginning."""
    for table in ("rejected_rows", "import_chunks"):
        connection.execute(f"DELETE FROM {table} WHERE upload_id = %s".encode(), (upload_id,))
    assignments = ", ".join(f"{count} = 0" for count in COUNTS)
    connection.execute(
        f"""UPDATE imports SET dialect = NULL, mapping = NULL, total_rows = NULL, warnings = '{{}}', timings = NULL,
                   fruitless = 0, {assignments} WHERE upload_id = %s""".encode(),
        (upload_id,),
    )


def free_the_row(connection: Connection, upload_id: str) -> None:
    """Make sure that the row of an import can be locked: a run that froze while it held it loses its connection."""
    try:
        with impatient(connection):
            connection.execute("SELECT FROM imports WHERE upload_id = %s FOR NO KEY UPDATE", (upload_id,))
    except DatabaseFailed as error:
        if error.sqlstate != "55P03":
            raise
        end_sessions(connection, upload_id)


def mark_session(connection: Connection, upload_id: str) -> None:
    """Mark, until the transaction's end, the session as one that loads a chunk of an import."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (upload_id,))


def end_sessions(connection: Connection, upload_id: str) -> int:
    """End the sessions that are loading a chunk of an import; returns how many.

    The chunk is rolled back. A run that lives loads it again, over another connection.
    """
    with scrubbed():
        ended = connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)""",
            (upload_id,),
        )
    return ended.rowcount


def lock_claim(
    connection: Connection,
    claim: Claim,
    states: tuple[ImportState, ...] = (ImportState.LOADING,),
    *,
    lock: str = "SHARE",
) -> ImportState:
    """Inside a transaction: check the claim, and keep it until the commit.

    A cancellation waits for the transaction, or the transaction sees it.

    Returns:
        The import's state.

    Raises:
        ImportCancelled: the import was cancelled.
        ClaimLost: a newer attempt holds it.
    """
    row = connection.execute(
        f"SELECT state, attempt FROM imports WHERE upload_id = %s FOR {lock}", (claim.upload_id,)
    ).fetchone()
    if row is None or row["attempt"] != claim.attempt:
        raise ClaimLost(f"a newer attempt has taken over import {claim.upload_id}")
    if row["state"] == ImportState.CANCELLED:
        raise ImportCancelled(f"import {claim.upload_id} was cancelled")
    if row["state"] not in states:
        raise ClaimLost(f"import {claim.upload_id} is {row['state']}")
    return ImportState(row["state"])


def record_heartbeat(connection: Connection, claim: Claim) -> None:
    """Give a sign of life."""
    with scrubbed():
        connection.execute(
            "UPDATE imports SET heartbeat_at = clock_timestamp() WHERE upload_id = %s AND attempt = %s",
            (claim.upload_id, claim.attempt),
        )


def claimed_record(connection: Connection, claim: Claim) -> ImportRecord:
    """The import of a claim as it is now."""
    record = queries.find(connection, claim.upload_id)
    assert record is not None
    return record
