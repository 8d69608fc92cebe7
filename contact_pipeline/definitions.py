"""Dagster's entry point: wires, defines nothing."""

import dagster as dg

from contact_pipeline.orchestration.assets import contacts
from contact_pipeline.orchestration.jobs import executor, import_contacts, sweep_uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.orchestration.schedules import backfill_unfinished_imports, expire_uploads
from contact_pipeline.orchestration.sensors import cancelled_runs, failed_runs, reconcile_imports, uploaded_objects

defs = dg.Definitions(
    assets=[contacts],
    jobs=[import_contacts, sweep_uploads],
    sensors=[uploaded_objects, failed_runs, cancelled_runs, reconcile_imports],
    schedules=[backfill_unfinished_imports, expire_uploads],
    resources={"pipeline": Pipeline()},
    executor=executor,
)
