"""The op that leaves nothing behind."""

import dagster as dg

from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.uploads.expiry import sweep


@dg.op
def abort_expired_uploads(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    """Abort the multipart uploads whose session is over."""
    with pipeline.connection() as connection:
        aborted = sweep(pipeline.settings, pipeline.store(), connection)
    context.log.info(f"{aborted} abandoned uploads were aborted")
