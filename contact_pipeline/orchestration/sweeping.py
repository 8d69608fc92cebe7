"""The ops that leave nothing behind."""

import dagster as dg

from contact_pipeline.database import retention as removals
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.retention import Removed
from contact_pipeline.importing import retention
from contact_pipeline.orchestration.launching import UPLOAD_TAG
from contact_pipeline.orchestration.partitions import partition_key, uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.uploads.expiry import sweep

_IMPORTS_AT_ONCE = 200


@dg.op
def abort_expired_uploads(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    """Abort the multipart uploads whose session is over."""
    with pipeline.connection() as connection:
        aborted = sweep(pipeline.settings, pipeline.store(), connection)
    context.log.info(f"{aborted} abandoned uploads were aborted")


@dg.op
def let_go(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    """Let go of what nobody needs any more."""
    with pipeline.connection() as connection:
        done = retention.apply(connection, pipeline.store(), pipeline.settings)
        done["runs"] = _remove_runs(context.instance, connection, pipeline.settings.keep_runs_days)
    context.log.info(", ".join(f"{number:,} {name}" for name, number in done.items()))


def _remove_runs(instance: dg.DagsterInstance, connection: Connection, days: int) -> int:
    """Delete the runs and the partitions of imports that are over for long; returns how many runs."""
    deleted = 0
    while found := removals.over_for(connection, days, Removed.RUNS, _IMPORTS_AT_ONCE):
        for record in found:
            for run in instance.get_runs(dg.RunsFilter(tags={UPLOAD_TAG: record.upload_id})):
                if run.is_finished:
                    instance.delete_run(run.run_id)
                    deleted += 1
            instance.delete_dynamic_partition(str(uploads.name), partition_key(record.upload_id, record.uploaded_at))
            removals.note_removed(connection, record.upload_id, Removed.RUNS)
    return deleted
