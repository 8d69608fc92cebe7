"""How an op of an import begins and ends: its claim, and what each error means for the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from contact_pipeline.crash_points import reached
from contact_pipeline.database import cancelling, causes, claims, states
from contact_pipeline.database.causes import Cause, outside
from contact_pipeline.database.claims import Claim
from contact_pipeline.database.postgres import Connection, DatabaseFailed, KeptConnection, connect
from contact_pipeline.errors import ClaimLost, ContactPipelineError, ImportCancelled, UnknownImport
from contact_pipeline.importing.heartbeat import Heartbeat, beating
from contact_pipeline.logs import describe, log_ids
from contact_pipeline.orchestration.launching import CAUSE_TAG, asked_by, launch_of
from contact_pipeline.orchestration.partitions import upload_id_of
from contact_pipeline.orchestration.resources import Pipeline


class RunEnded(dg.Failure, DagsterUserCodeProcessError):
    """A failure that Dagster shows as its sentence, without a trace: that says nothing to who can act.

    Dagster takes the error to be shown from an error of another process as it is
    (`dagster._utils.error.serializable_error_info_from_exc_info`).
    """

    def __init__(self, sentence: str) -> None:
        told = SerializableErrorInfo(f"{sentence}\n", [], None)
        DagsterUserCodeProcessError.__init__(  # type: ignore[no-untyped-call]  # Dagster's own
            self, sentence, user_code_process_error_infos=[told]
        )
        self.description = sentence
        self.metadata = {}
        self.allow_retries = False


_STOPPED: Final = outside("worker_stopped", "the worker that loaded it was shut down")


@contextmanager
def import_step(context: dg.OpExecutionContext, pipeline: Pipeline) -> Iterator[tuple[Claim, Heartbeat]]:
    """Claim the partition's import for this run, and translate what goes wrong.

    A cancelled import ends the run as CANCELED; what lies in the file fails the import for good; for anything else the
    ledger launches it again after a pause. No error leaves here with a value of a contact in it, or with the traceback
    of one that has.
    """
    upload_id = upload_id_of(context.partition_key)
    database = pipeline.database
    end: BaseException
    try:
        reached("before_claim")
        claim = database.patiently(lambda connection: _claim(context, connection, upload_id))
        reached("claimed")
        heartbeat = Heartbeat()
        ids = log_ids(upload_id=upload_id, run_id=context.run_id, attempt=claim.attempt)
        with ids, beating(database.url, claim, heartbeat):
            yield claim, heartbeat
        return
    except dg.DagsterExecutionInterruptedError:
        with suppress(DatabaseFailed):
            if _termination_was_asked_for(context):
                database.patiently(lambda c: cancelling.cancel(c, upload_id, "dagster", run_id=context.run_id))
            else:
                _settle(context, database.url, upload_id, _STOPPED)
        raise
    except ImportCancelled as error:
        end = _cancelled(context, str(error))
    except (ClaimLost, UnknownImport) as error:
        end = RunEnded(str(error))
    except Exception as error:  # noqa: BLE001 - its text may quote a contact, so only its kind and place leave
        if isinstance(error, ContactPipelineError) and not (error.retryable or isinstance(error, DatabaseFailed)):
            end = _failed_for_good(context, database, upload_id, error.code, str(error))
        else:
            cause = _cause(error)
            _settle(context, database.url, upload_id, cause)
            end = RunEnded(f"{cause.reason}. The import is launched again by itself, and goes on where it stopped.")
    raise end from None


def _cause(error: Exception) -> Cause:
    if isinstance(error, dg.DagsterRunNotFoundError):
        return outside("lost_run", "somebody deleted the run that loaded it")
    if isinstance(error, ContactPipelineError) and error.retryable:
        advice = _ADVICE.get(error.sqlstate, "") if isinstance(error, DatabaseFailed) else ""
        return outside(error.code, f"{error}{advice}")
    return causes.unexpected(f"unexpected {describe(error)}")


_ADVICE: Final = {
    "53100": ": its disk is full",
    "53300": ": it has no connection left",
    "55P03": ": somebody holds contacts locked",
    "57P03": ": it is starting or shutting down",
}


def _settle(context: dg.OpExecutionContext, url: str, upload_id: str, cause: Cause) -> None:
    """Tell the ledger why this run ends; where it does not answer, the run's tag tells the reconciler."""
    with suppress(Exception):
        context.instance.add_run_tags(context.run_id, {CAUSE_TAG: f"{cause.code}: {cause.reason}"})
    with suppress(DatabaseFailed), closing(connect(url)) as connection:
        states.settle(connection, upload_id, context.run_id, cause)


def _claim(context: dg.OpExecutionContext, connection: Connection, upload_id: str) -> Claim:
    record = context.instance.get_run_record_by_id(context.run_id)
    assert record is not None

    def has_ended(run_id: str) -> bool:
        run = context.instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    tags = record.dagster_run.tags
    return claims.claim(
        connection, upload_id, context.run_id, record.create_timestamp, has_ended,
        launch=launch_of(tags), asked_by=asked_by(tags),
    )  # fmt: skip


def _termination_was_asked_for(context: dg.OpExecutionContext) -> bool:
    """Whether somebody terminated the run. A machine that shuts down interrupts it too: that is retried."""
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def _failed_for_good(
    context: dg.OpExecutionContext, database: KeptConnection, upload_id: str, code: str, message: str
) -> RunEnded:
    try:
        database.patiently(lambda connection: states.fail(connection, upload_id, context.run_id, code, message))
    except DatabaseFailed as error:
        return RunEnded(f"{message}. ({error}: the import is launched again, and fails then.)")
    return RunEnded(message)


def _cancelled(context: dg.OpExecutionContext, message: str) -> dg.DagsterExecutionInterruptedError:
    """End the run as Dagster ends one that somebody terminates."""
    run = context.instance.get_run_by_id(context.run_id)
    assert run is not None
    if run.status != dg.DagsterRunStatus.CANCELING:
        context.instance.report_run_canceling(run, message=message)
    return dg.DagsterExecutionInterruptedError(message)
