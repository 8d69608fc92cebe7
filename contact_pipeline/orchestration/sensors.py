"""Sensors: new uploads become runs, and what runs end as reaches the ledger."""

from typing import Any

import dagster as dg

from contact_pipeline.orchestration.discovery import AT_ONCE, discover
from contact_pipeline.orchestration.jobs import import_contacts
from contact_pipeline.orchestration.partitions import partition_key, upload_of, uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.warehouse import ledger, reports

_WILL_RETRY_TAG = "dagster/will_retry"
_RUNNING = dg.DefaultSensorStatus.RUNNING


def run_request(record: dict[str, Any], attempt: int, **tags: str) -> dg.RunRequest:
    """The run of one attempt at an import. Dagster starts one run a key, however often it is asked."""
    return dg.RunRequest(
        run_key=f"{record['upload_id']}:{attempt}",
        partition_key=partition_key(record["upload_id"], record["uploaded_at"]),
        tags={"contact_pipeline/owner": record["owner"], "contact_pipeline/upload_id": record["upload_id"], **tags},
    )


@dg.sensor(job=import_contacts, minimum_interval_seconds=2, default_status=_RUNNING)
def uploaded_objects(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Start an import for each object that is new under `uploads/`, oldest first.

    An import that was registered and whose run was never asked for (the daemon
    died in between) is asked for again: every waiting import is, each time.
    """
    with pipeline.connection() as connection:
        for item in discover(connection, pipeline.store()).ignored:
            context.log.warning(f"{item.key!r} is no file of a kind that is read: it is ignored")
        waiting = reports.waiting(connection, AT_ONCE)
    if not waiting:
        return dg.SkipReason("no new upload")
    requests = [run_request(record, attempt=1) for record in waiting]
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=[uploads.build_add_request(keys)])


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.FAILURE, minimum_interval_seconds=5, default_status=_RUNNING)
def failed_runs(context: dg.RunStatusSensorContext, pipeline: Pipeline) -> None:
    """An import whose run failed, and is not retried, has failed."""
    upload_id = upload_of(context.dagster_run)
    if upload_id is None or context.dagster_run.tags.get(_WILL_RETRY_TAG) == "true":
        return
    with pipeline.connection() as connection:
        ledger.fail(connection, upload_id, context.dagster_run.run_id, "transient", "the run failed; its log says why")


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.CANCELED, minimum_interval_seconds=5, default_status=_RUNNING)
def cancelled_runs(context: dg.RunStatusSensorContext, pipeline: Pipeline) -> None:
    """An import whose run was terminated is cancelled."""
    upload_id = upload_of(context.dagster_run)
    if upload_id is None:
        return
    with pipeline.connection() as connection:
        ledger.cancel(connection, upload_id, "dagster", run_id=context.dagster_run.run_id)


@dg.sensor(minimum_interval_seconds=30, default_status=_RUNNING)
def reconcile_imports(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    """Find imports that are held by a run which is over, and bring them into line with it.

    A run whose machine or code server is gone stays STARTED in Dagster, and holds
    its place in the queue: it is declared failed, and retried, when it has given
    no sign of life for minutes. Should it wake up, the ledger fences it.
    """
    settled = 0
    with pipeline.connection() as connection:
        for record in reports.open_imports(connection):
            run = context.instance.get_run_by_id(record["run_id"])
            if run is not None and not run.is_finished:
                if not record["lost"]:
                    continue
                context.instance.report_run_failed(run, "The run has given no sign of life for minutes.")
                settled += 1
                continue
            if run is not None and run.tags.get(_WILL_RETRY_TAG) == "true":
                continue
            if run is not None and run.status == dg.DagsterRunStatus.CANCELED:
                ledger.cancel(connection, record["upload_id"], "reconciler", run_id=record["run_id"])
            else:
                ledger.fail(
                    connection, record["upload_id"], record["run_id"], "transient", "the run ended without a word"
                )
            settled += 1
    return dg.SkipReason(f"{settled} imports settled" if settled else "every open import has its run")
