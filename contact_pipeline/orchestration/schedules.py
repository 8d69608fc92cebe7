"""Schedules: what was left unfinished is launched again, and nothing is left behind in S3."""

import dagster as dg

from contact_pipeline.database import launch_queue, states
from contact_pipeline.database.records import AskedBy
from contact_pipeline.orchestration.jobs import apply_retention, import_contacts, sweep_uploads
from contact_pipeline.orchestration.launching import run_request, slots
from contact_pipeline.orchestration.partitions import uploads
from contact_pipeline.orchestration.resources import Pipeline


@dg.schedule(job=import_contacts, cron_schedule="*/10 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def backfill_unfinished_imports(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    """Launch, behind everything else, imports that are not over and that nothing is going to launch.

    The sensors leave none; this is for when they were switched off.
    """
    with pipeline.connection() as connection:
        for upload_id in launch_queue.without_launch(connection):
            states.ensure_launch(connection, upload_id, AskedBy.BACKFILL)
        due = launch_queue.take_due(connection, slots(context.instance))
    if not due:
        return dg.SkipReason("no unfinished import without a run")
    requests = [run_request(launch) for launch in due]
    context.instance.add_dynamic_partitions(str(uploads.name), [str(request.partition_key) for request in requests])
    return requests


expire_uploads = dg.ScheduleDefinition(
    name="expire_uploads",
    job=sweep_uploads,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, abort abandoned multipart uploads.",
)

apply_retention_daily = dg.ScheduleDefinition(
    name="apply_retention_daily",
    job=apply_retention,
    cron_schedule="41 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, let go of files, rejects, messages, launches and runs whose days are over.",
)
