"""Sensors: new uploads become imports, launches that are due become runs, and what runs end as reaches the ledger."""

from time import monotonic, sleep

import dagster as dg

from contact_pipeline.crash_points import reached
from contact_pipeline.database import launch_queue
from contact_pipeline.database.launch_queue import DueLaunch
from contact_pipeline.database.postgres import Connection
from contact_pipeline.errors import StoreFailed
from contact_pipeline.importing.discovery import SettledPages, discover
from contact_pipeline.orchestration.jobs import import_contacts
from contact_pipeline.orchestration.launching import run_request, slots
from contact_pipeline.orchestration.partitions import upload_of, uploads
from contact_pipeline.orchestration.reconciling import reconcile, settle_ended
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.webhooks.sending import send_due

_SETTLED = SettledPages()
_RUNNING = dg.DefaultSensorStatus.RUNNING
_SEND_SECONDS = 15.0
_TICK_SECONDS = 4.5
_LOOK_EVERY_SECONDS = 0.3


@dg.sensor(job=import_contacts, minimum_interval_seconds=2, default_status=_RUNNING)
def uploaded_objects(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult:
    """Make an import of each object that is new under `uploads/`, and ask for the run of each launch that is due.

    The cursor is what is left of the listing: of a long one each tick sees a part.
    """
    cursor, begun = context.cursor, monotonic()
    with pipeline.connection() as connection:
        try:
            found = discover(connection, pipeline.store(), cursor, _SETTLED)
        except StoreFailed as error:
            # Imports that are known go on all the same.
            context.log.warning(f"{error}: it is tried again")
        else:
            cursor = found.cursor
            for line in found.notes:
                context.log.warning(line)
        due = _wait_for_due(context.instance, connection, begun)
    if due:
        reached("launches_taken")
    requests = [run_request(launch) for launch in due]
    keys = [request.partition_key for request in requests if request.partition_key]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[uploads.build_add_request(keys)] if keys else [],
        cursor=cursor,
        skip_reason=None if requests else dg.SkipReason("no launch is due"),
    )


def _wait_for_due(instance: dg.DagsterInstance, connection: Connection, begun: float) -> list[DueLaunch]:
    """Launches that are due, or become so before the next tick: `dagster-daemon` begins one every five seconds at most.

    Where ticks have no threads of their own, other sensors would wait meanwhile: then it is asked once.
    """
    places = slots(instance)
    has_threads = (instance.get_settings("sensors") or {}).get("use_threads")
    until = begun + (_TICK_SECONDS if has_threads else 0)
    while True:
        due = launch_queue.take_due(connection, places)
        if due or monotonic() >= until:
            return due
        sleep(_LOOK_EVERY_SECONDS)


@dg.sensor(minimum_interval_seconds=5, default_status=_RUNNING)
def send_webhooks(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    """Tell others what became of imports."""
    with pipeline.connection() as connection:
        taken, refused = send_due(connection, pipeline.settings, _SEND_SECONDS)
    if refused:
        context.log.warning(f"{refused} messages were not taken: `contact-pipeline webhook list` says why")
    return dg.SkipReason(f"{taken} messages were taken, {refused} were not" if taken or refused else "nothing to tell")


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.FAILURE, minimum_interval_seconds=5, default_status=_RUNNING)
def failed_runs(context: dg.RunStatusSensorContext, pipeline: Pipeline) -> None:
    """An import whose run failed is launched again, or has failed."""
    _settle(context, pipeline)


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.CANCELED, minimum_interval_seconds=5, default_status=_RUNNING)
def cancelled_runs(context: dg.RunStatusSensorContext, pipeline: Pipeline) -> None:
    """An import whose run was terminated is cancelled."""
    _settle(context, pipeline)


def _settle(context: dg.RunStatusSensorContext, pipeline: Pipeline) -> None:
    upload_id = upload_of(context.dagster_run)
    if upload_id is not None:
        with pipeline.connection() as connection:
            settle_ended(context.instance, connection, context.dagster_run, upload_id)


@dg.sensor(minimum_interval_seconds=10, default_status=_RUNNING)
def reconcile_imports(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    """Give each import that is not over a living run or a time for one, and end runs that no import wants."""
    with pipeline.connection() as connection:
        settled = reconcile(context.instance, connection, context.log)
    return dg.SkipReason(f"{settled} settled" if settled else "all imports and runs are in line")
