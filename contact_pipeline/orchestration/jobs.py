"""The jobs: import an upload, and sweep up after uploads that were given up."""

from __future__ import annotations

import dagster as dg

from contact_pipeline.orchestration.assets import contacts
from contact_pipeline.orchestration.partitions import uploads
from contact_pipeline.orchestration.sweeping import abort_expired_uploads, let_go

# In process: 0.05 s a step instead of one to two. And without a RetryPolicy, which here would make a
# terminated run go on (dagster#15026): chunks retry themselves, runs are retried by the daemon.
executor = dg.in_process_executor

import_contacts = dg.define_asset_job(
    "import_contacts",
    # With its checks.
    selection=dg.AssetSelection.assets(contacts),
    partitions_def=uploads,
    executor_def=executor,
    description="Import an upload: one partition.",
    # From failure would skip what a lost run never reached (dagster#30248); the ledger makes all steps cheap.
    # And Dagster retries none by itself: the ledger launches, after a pause, what is to be launched again.
    tags={"dagster/retry_strategy": "ALL_STEPS", "dagster/max_retries": "0"},
)


@dg.job(executor_def=executor, description="Let go of what nobody needs any more.")
def apply_retention() -> None:
    """Files, rejects, messages, launches and runs, each after its days."""
    let_go()


@dg.job(executor_def=executor, description="Abort abandoned multipart uploads.")
def sweep_uploads() -> None:
    """Leave nothing behind in S3."""
    abort_expired_uploads()
