"""The asset `contacts`: one partition an upload, loaded by four coarse ops.

Ops take nothing but the partition key, and pass nothing on: each asks the
ledger. So a run can be executed again from any step.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from contact_pipeline.database import queries
from contact_pipeline.importing import loading, planning, publishing
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.importing.dry_run_report import as_markdown
from contact_pipeline.orchestration.config import ImportConfig
from contact_pipeline.orchestration.metadata import RunReporter, materialisation_metadata
from contact_pipeline.orchestration.op_lifecycle import import_step
from contact_pipeline.orchestration.partitions import ensure_partition, uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.orchestration.table_schema import TABLE_NAME, table_schema

_AFTER = {"before": dg.In(dg.Nothing)}
_DONE = dg.Out(dg.Nothing)


@dg.op(out=_DONE)
def open_upload(context: dg.OpExecutionContext, config: ImportConfig, pipeline: Pipeline) -> None:
    """Claim the import and decide how its file is read. What the launchpad leaves out is as it was uploaded with."""
    store = pipeline.store()
    with import_step(context, pipeline) as (claim, heartbeat):
        if claim.finished:
            context.log.info(claim.left_alone or "this upload has been imported: nothing is left to do")
            return
        plan = pipeline.database.patiently(
            lambda c: planning.open_import(c, store, claim, config.chosen(), heartbeat.mark), heartbeat.mark
        )
        for name in plan.column_formats.undecided:
            context.log.warning(
                f"the dates of {name} could be read day first or month first: they are read month first"
            )
        for name in plan.column_formats.undecided_numbers:
            context.log.warning(f"the numbers of {name} could have decimals or thousands: they are read as thousands")
        mapped = sum(field is not None for field in plan.mapping.fields)
        context.log.info(
            f"attempt {claim.attempt}: {claim.record.size:,} bytes, {len(plan.dialect.header)} columns, "
            f"{mapped} of them mapped to fields, source {plan.mapping.source}; read as {plan.dialect}"
        )


@dg.op(ins=_AFTER, out=_DONE)
def load_chunks(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    """Load every chunk that the ledger does not have yet."""
    database, store, board = pipeline.database, pipeline.store(), pipeline.board()
    with import_step(context, pipeline) as (claim, heartbeat):
        if claim.finished:
            return
        reporter = RunReporter(context)
        plan = database.patiently(lambda c: planning.reading_plan(c, claim), heartbeat.mark)
        session_url = pipeline.settings.session_database_url
        report = loading.load_chunks(database, store, board, claim, plan, reporter, heartbeat, session_url)
        reporter.tag(report.progress)
        context.log.info(
            f"{report.chunks} chunks committed by this run, {report.progress.rows:,} rows in all, "
            f"{report.retries} retries after transient faults"
        )


@dg.op(ins=_AFTER, out=_DONE)
def verify_import(context: dg.OpExecutionContext, pipeline: Pipeline) -> None:
    """Make sure that the ledger covers the file."""
    with import_step(context, pipeline) as (claim, heartbeat):
        if not (claim.checked or claim.left_alone):
            pipeline.database.patiently(lambda c: publishing.verify_import(c, claim), heartbeat.mark)


@dg.op(ins=_AFTER, out=dg.Out(dg.Nothing, is_required=False))
def publish_import(context: dg.OpExecutionContext, pipeline: Pipeline) -> Iterator[dg.Output[None]]:
    """End the import well, and say what became of its rows. A check materialises nothing: it is observed."""
    database, store, board = pipeline.database, pipeline.store(), pipeline.board()
    with import_step(context, pipeline) as (claim, heartbeat):
        if claim.left_alone:
            return
        if claim.checked:
            metadata = {"check": dg.MetadataValue.md(as_markdown(claim.record))}
            context.log_event(
                dg.AssetObservation(asset_key="contacts", partition=context.partition_key, metadata=metadata)
            )
            return
        record = database.patiently(
            lambda c: publishing.publish_import(c, store, board, claim, heartbeat.mark), heartbeat.mark
        )
        rejects = database.patiently(lambda c: queries.rejects_by_code(c, claim.upload_id), heartbeat.mark)
        columns = database.patiently(lambda c: columns_of(c, record), heartbeat.mark)
        # Dagster refuses to materialise a partition that somebody has deleted meanwhile.
        ensure_partition(context.instance, context.partition_key)
        yield dg.Output(None, metadata=materialisation_metadata(record, rejects, columns, pipeline.settings))


@dg.config_mapping
def _of_the_first_op(val: ImportConfig) -> dict[str, Any]:
    """What is chosen in the launchpad stands under the asset, not under one of its ops."""
    return {"open_upload": {"config": {name: value for name, value in val.model_dump().items() if value is not None}}}


@dg.graph_asset(
    partitions_def=uploads,
    group_name="contact_pipeline",
    kinds={"postgres", "s3"},
    owners=["team:data"],
    tags={"domain": "contacts"},
    metadata={"dagster/table_name": TABLE_NAME, "dagster/column_schema": table_schema()},
    config=_of_the_first_op,
    description="Contacts, imported from uploaded files. One partition is one upload.",
)
def contacts() -> Any:
    """Open, load, verify, publish."""
    return publish_import(verify_import(load_chunks(open_upload())))
