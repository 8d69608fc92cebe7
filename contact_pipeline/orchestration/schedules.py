"""Schedules: what was left unfinished is tried again."""

import dagster as dg

from contact_pipeline.orchestration.jobs import import_contacts, sweep_uploads
from contact_pipeline.orchestration.partitions import PARTITION_TAG, uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.orchestration.sensors import run_request
from contact_pipeline.warehouse import reports

_AT_ONCE = 10
_LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.schedule(job=import_contacts, cron_schedule="*/10 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def backfill_unfinished_imports(
    context: dg.ScheduleEvaluationContext, pipeline: Pipeline
) -> list[dg.RunRequest] | dg.SkipReason:
    """Try again, behind everything else, imports that failed or lost their run, up to three attempts in all."""
    with pipeline.connection() as connection:
        unfinished = reports.unfinished(connection, _AT_ONCE)
    requests = [
        run_request(
            record,
            record["attempt"] + 1,
            **{"dagster/priority": "-1", "contact_pipeline/trigger": "backfill"},
        )
        for record in unfinished
    ]
    idle = [request for request in requests if not _has_live_run(context.instance, str(request.partition_key))]
    if not idle:
        return dg.SkipReason("no unfinished import without a run")
    context.instance.add_dynamic_partitions(str(uploads.name), [str(request.partition_key) for request in idle])
    return idle


def _has_live_run(instance: dg.DagsterInstance, key: str) -> bool:
    return bool(instance.get_run_records(dg.RunsFilter(statuses=_LIVE, tags={PARTITION_TAG: key}), limit=1))


expire_uploads = dg.ScheduleDefinition(
    name="expire_uploads",
    job=sweep_uploads,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, abort the multipart uploads that nobody can go on with.",
)
