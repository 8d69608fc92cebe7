"""How an op of an import begins and ends: its claim, and what each error means for the run."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from contact_pipeline.contacts.schema import ChunkRefusedBySchema
from contact_pipeline.files.errors import FileRefused
from contact_pipeline.importing.steps import LedgerIncomplete, TooManyRejects
from contact_pipeline.object_store import ObjectChanged, StoreFailed
from contact_pipeline.orchestration.partitions import upload_id_of
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.warehouse import ledger
from contact_pipeline.warehouse.database import Connection, DatabaseFailed
from contact_pipeline.warehouse.ledger import Claim, ImportCancelled, NotTheOwner, UnknownImport
from contact_pipeline.warehouse.writing import RowsLost

NO_RETRY: Final = {"dagster/max_retries": "0"}
_PERMANENT: Final = {
    ObjectChanged: "object_changed",
    LedgerIncomplete: "ledger_incomplete",
    ChunkRefusedBySchema: "schema",
    TooManyRejects: "too_many_rejects",
}
_TRANSIENT: Final = (DatabaseFailed, StoreFailed, RowsLost)


@contextmanager
def import_step(context: dg.OpExecutionContext, pipeline: Pipeline) -> Iterator[tuple[Connection, Claim]]:
    """Claim the partition's import for this run, and translate what goes wrong.

    A cancelled import ends the run as CANCELED; what cannot succeed fails it for
    good; what may pass fails it for Dagster's run retries. No error leaves here
    with a value of a contact in it, or with the traceback of one that has.
    """
    upload_id = upload_id_of(context.partition_key)
    end: BaseException
    try:
        with pipeline.connection() as connection:
            try:
                yield connection, _claim(context, connection, upload_id)
                return
            except dg.DagsterExecutionInterruptedError:
                if _termination_was_asked_for(context):
                    ledger.cancel(connection, upload_id, "dagster", run_id=context.run_id)
                raise
            except FileRefused as error:
                end = _failed_for_good(context, connection, upload_id, error.code, str(error))
            except tuple(_PERMANENT) as error:
                end = _failed_for_good(context, connection, upload_id, _PERMANENT[type(error)], str(error))
    except ImportCancelled as error:
        end = _cancelled(context, str(error))
    except (NotTheOwner, UnknownImport) as error:
        context.instance.add_run_tags(context.run_id, NO_RETRY)
        end = dg.Failure(str(error), allow_retries=False)
    except _TRANSIENT as error:
        end = dg.Failure(f"{error}. The import goes on where it stopped when the run is retried.")
    except Exception as error:  # noqa: BLE001 - its text may quote a contact, so only its kind and place leave
        end = dg.Failure(f"unexpected {describe(error)}")
    raise end from None


def _claim(context: dg.OpExecutionContext, connection: Connection, upload_id: str) -> Claim:
    record = context.instance.get_run_record_by_id(context.run_id)
    assert record is not None

    def has_ended(run_id: str) -> bool:
        run = context.instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    return ledger.claim(connection, upload_id, context.run_id, record.create_timestamp, has_ended)


def _termination_was_asked_for(context: dg.OpExecutionContext) -> bool:
    """Whether somebody terminated the run. A machine that shuts down interrupts it too: that is retried."""
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def _failed_for_good(
    context: dg.OpExecutionContext, connection: Connection, upload_id: str, code: str, message: str
) -> dg.Failure:
    context.instance.add_run_tags(context.run_id, NO_RETRY)
    ledger.fail(connection, upload_id, context.run_id, code, message)
    return dg.Failure(message, allow_retries=False)


def _cancelled(context: dg.OpExecutionContext, message: str) -> dg.DagsterExecutionInterruptedError:
    """End the run as Dagster ends one that somebody terminates."""
    run = context.instance.get_run_by_id(context.run_id)
    assert run is not None
    if run.status != dg.DagsterRunStatus.CANCELING:
        context.instance.report_run_canceling(run, message=message)
    return dg.DagsterExecutionInterruptedError(message)


def describe(error: BaseException) -> str:
    """The kind of an error and where it arose, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{place}"
