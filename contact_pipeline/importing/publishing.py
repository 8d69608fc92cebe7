"""The steps that end an import: verify that every row is accounted for, then publish its rejects."""

from __future__ import annotations

from collections.abc import Callable

from contact_pipeline.crash_points import reached
from contact_pipeline.database import queries, states
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord, ImportState
from contact_pipeline.errors import LedgerIncomplete
from contact_pipeline.importing import rejects_export
from contact_pipeline.importing.checking import ledger_gaps
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.importing.report import progress_of
from contact_pipeline.object_store import ObjectStore


def verify_import(connection: Connection, claim: Claim) -> None:
    """Make sure that the ledger covers the file: every row, once, without a gap.

    Raises:
        LedgerIncomplete: it does not.
    """
    record = queries.find(connection, claim.upload_id)
    assert record is not None
    problems = ledger_gaps(connection, record)
    if problems:
        raise LedgerIncomplete("the ledger does not cover the file: " + "; ".join(problems))


def publish_import(
    connection: Connection,
    store: ObjectStore,
    board: ProgressBoard,
    claim: Claim,
    on_bytes: Callable[[], None] = lambda: None,
) -> ImportRecord:
    """Put the rejects file into the bucket and end the import well; its counts are final from here.

    Args:
        on_bytes: called again and again while the rejects file is written.

    Returns:
        The import.

    Raises:
        ImportCancelled, ClaimLost: this run is to stop.
    """
    if claim.finished:
        record = claim.record
    else:
        # Not "succeeded" until the rejects can be fetched.
        rejects_export.store_rejects(connection, store, claim.record, on_bytes)
        reached("rejects_stored")
        record = states.succeed(connection, claim)
        reached("succeeded")
    progress = progress_of(connection, claim.record)
    progress.state = ImportState.SUCCEEDED
    progress.done = progress.size
    board.put(claim.upload_id, progress)
    return record
