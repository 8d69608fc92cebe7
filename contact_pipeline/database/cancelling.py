"""Cancelling imports: when it returns, no further chunk commits, and no run of it is to start."""

from __future__ import annotations

from typing import Final

from contact_pipeline.database import launches
from contact_pipeline.database.claims import free_the_row
from contact_pipeline.database.events import audit, enqueue_event
from contact_pipeline.database.postgres import Connection, impatient
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import OPEN_STATES, ImportRecord, ImportState

_CANCELLABLE: Final = (*OPEN_STATES, ImportState.IN_REVIEW, ImportState.CHECKED, ImportState.FAILED)


def cancel(connection: Connection, upload_id: str, actor: str, run_id: str | None = None) -> str | None:
    """Cancel an import. When this returns, no further chunk of it commits, and no run of it is to start.

    Args:
        run_id: cancel only if the import is this run's: it holds it, or is to.

    Returns:
        `cancelled` where anything was to be cancelled: the import, or that it is imported again. Else the import's
        state; None if there is no such import.
    """
    free_the_row(connection, upload_id)
    with impatient(connection):
        record = lock_import(connection, upload_id)
        if record is None:
            return None
        state = record.state
        if run_id is not None and not _is_to_be_cancelled(connection, record, run_id):
            return state
        if state == ImportState.CANCELLED:
            launches.end_open(connection, upload_id, "cancelled")
            return state
        if state not in _CANCELLABLE:
            if not launches.any_open(connection, upload_id):
                return state
            # It is over, and somebody has asked for it again.
            launches.end_open(connection, upload_id, "cancelled")
            audit(connection, upload_id, actor, "launch cancelled", run_id=run_id)
            return "cancelled"
        connection.execute(
            """UPDATE imports SET state = 'cancelled', cancelled_at = clock_timestamp(), waits_for = NULL,
                      finished_at = clock_timestamp() WHERE upload_id = %s""",
            (upload_id,),
        )
        launches.end_open(connection, upload_id, "cancelled")
        audit(connection, upload_id, actor, "cancelled", run_id=run_id, attempt=record.attempt)
        enqueue_event(connection, upload_id, "import.cancelled", {})
    return "cancelled"


def _is_to_be_cancelled(connection: Connection, record: ImportRecord, run_id: str) -> bool:
    """Whether an import is cancelled with a run: it is this run's, and was not over before."""
    launch = launches.of_run(connection, run_id)
    if launch is None:
        return record.run_id == run_id
    if launch.ended_at is not None:
        return False
    if record.state == ImportState.CANCELLED or (record.is_running and record.run_id != run_id):
        launches.end(connection, record.upload_id, launch.launch, "cancelled")
        return False
    return True
