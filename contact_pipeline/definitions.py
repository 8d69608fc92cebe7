"""Dagster's entry point: all that Dagster is to know."""

import warnings
from datetime import timedelta

import dagster as dg

from contact_pipeline.orchestration.asset_checks import checks
from contact_pipeline.orchestration.assets import contacts
from contact_pipeline.orchestration.jobs import apply_retention, executor, import_contacts, sweep_uploads
from contact_pipeline.orchestration.resources import Pipeline
from contact_pipeline.orchestration.schedules import apply_retention_daily, backfill_unfinished_imports, expire_uploads
from contact_pipeline.orchestration.sensors import (
    cancelled_runs,
    failed_runs,
    reconcile_imports,
    send_webhooks,
    uploaded_objects,
)
from contact_pipeline.settings import settings_if_given

_settings = settings_if_given()


def _fresh(spec: dg.AssetSpec) -> dg.AssetSpec:
    if _settings is None or _settings.freshness_hours is None:
        return spec
    window = timedelta(hours=_settings.freshness_hours)
    fresh: dg.AssetSpec = dg.apply_freshness_policy(spec, dg.FreshnessPolicy.time_window(fail_window=window))
    return fresh


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)
    _assets = dg.with_source_code_references([contacts.map_asset_specs(_fresh)])

defs = dg.Definitions(
    assets=_assets,
    asset_checks=checks,
    jobs=[import_contacts, sweep_uploads, apply_retention],
    sensors=[uploaded_objects, failed_runs, cancelled_runs, reconcile_imports, send_webhooks],
    schedules=[backfill_unfinished_imports, expire_uploads, apply_retention_daily],
    resources={"pipeline": Pipeline.described(_settings)},
    executor=executor,
)
