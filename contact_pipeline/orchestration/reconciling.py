"""Bringing the ledger and Dagster's runs into line, both ways, whatever has died.

From runs to the ledger: a run that no import needs is ended. From the
ledger to runs: an import that is not over has a living run, or a time when its
next one is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from typing import Any, Final

import dagster as dg

from contact_pipeline.database import cancelling, causes, claims, launch_queue, launches, queries, states
from contact_pipeline.database.causes import Cause, outside
from contact_pipeline.database.launches import AskedLaunch
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import RUNNING_STATES, AskedBy, ImportRecord, ImportState
from contact_pipeline.database.undo import undoing
from contact_pipeline.importing.column_accounts import columns_of
from contact_pipeline.orchestration.launching import (
    CAUSE_TAG,
    JOB_NAME,
    LIVE,
    RUN_KEY_TAG,
    asked_by,
    launch_of,
    run_key,
)
from contact_pipeline.orchestration.metadata import materialisation_metadata
from contact_pipeline.orchestration.partitions import ensure_partition, partition_key, upload_of
from contact_pipeline.settings import settings_if_given

_PAGE: Final = 200
_DECLARE_ENDED_AFTER_SECONDS: Final = 90
"""So long a run may take to end by itself, once its import is over.

It does so at its next commit, since it is the owner no more. Dagster is not asked to end its process: that waits for
the process, and where that is frozen, every other launch waits too (DagsterApiServer.CancelExecution sets an event,
under the lock that StartRun needs).
"""
_UNCLAIMED_SECONDS: Final = 600
"""A run that has started and has not reached the ledger for so long does not get there."""
_UNDO_STALE_SECONDS: Final = 30
_UNDO_SECONDS: Final = 20

LOST: Final = outside("lost_run", "the run that loaded it was lost, or never started")
_HUNG: Final = outside("lost_run", "the run that loaded it got no further for minutes")
_DELETED: Final = outside("lost_run", "the run that was to load it was deleted")


def cause_of(run: dg.DagsterRun) -> Cause:
    """Why a run ended, as it said itself; else it was lost."""
    code, _, reason = run.tags.get(CAUSE_TAG, "").partition(": ")
    if not reason:
        return LOST
    return causes.unexpected(reason) if code == "unexpected" else outside(code, reason)


def reconcile(instance: dg.DagsterInstance, connection: Connection, log: Any) -> int:
    """Settle whatever is not as it should be; returns how much that was.

    Each run and each import by itself: one that cannot be settled is logged, and leaves the others alone.
    """
    settled = 0

    def each(what: str, settle: Callable[[], bool]) -> None:
        nonlocal settled
        try:
            settled += settle()
        except Exception as error:  # noqa: BLE001 - told; whatever it is, the others are to be settled
            log.warning(f"{what} could not be settled ({type(error).__name__}): it is tried again")

    for record in _living_runs(instance):
        run = record.dagster_run
        each(f"run {run.run_id}", lambda record=record: _settle_run(instance, connection, record))  # type: ignore[misc]
    for launch in launches.open_with_run(connection):
        each(
            f"launch {launch.launch} of import {launch.upload_id}",
            lambda launch=launch: _settle_launch(instance, connection, launch),  # type: ignore[misc]
        )
    for upload_id in launch_queue.without_launch(connection):
        each(f"import {upload_id}", lambda i=upload_id: states.ensure_launch(connection, i, AskedBy.RETRY))  # type: ignore[misc]
    for upload_id in queries.stale_undos(connection, _UNDO_STALE_SECONDS):
        each(f"undo of {upload_id}", lambda i=upload_id: _go_on_undoing(connection, i))  # type: ignore[misc]
    return settled


def _living_runs(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    cursor: str | None = None
    while True:
        page = instance.get_run_records(
            dg.RunsFilter(job_name=JOB_NAME, statuses=list(LIVE)), limit=_PAGE, cursor=cursor
        )
        yield from page
        if len(page) < _PAGE:
            return
        cursor = page[-1].dagster_run.run_id


def _settle_run(instance: dg.DagsterInstance, connection: Connection, record: dg.RunRecord) -> bool:
    """Whether a living run was to be ended, or noted."""
    run = record.dagster_run
    upload_id = upload_of(run)
    entry = queries.liveness(connection, upload_id) if upload_id else None
    if upload_id is None or entry is None:
        return False
    launch = launches.of_run(connection, run.run_id)
    if launch is None:
        # The ledger did not answer when the run was asked for.
        launches.note_run(connection, upload_id, run.run_id, launch_of(run.tags), asked_by(run.tags), None)
        return True
    if launch.ended_seconds is not None:
        return _end_unwanted(instance, run, launch.ended_seconds)
    if run.status is not dg.DagsterRunStatus.STARTED:
        return False
    holds = entry.run_id == run.run_id and entry.state in RUNNING_STATES
    if holds and entry.stale:
        # It may be frozen: what it has locked, others need.
        claims.end_sessions(connection, upload_id)
    # Counted from its start: in Dagster's queue it may have waited for hours.
    running_seconds = time() - record.start_time if record.start_time else 0.0
    unclaimed = launch.started_at is None and running_seconds > _UNCLAIMED_SECONDS
    lost = entry.lost if holds else unclaimed
    return lost and _declare_lost(instance, connection, run, upload_id)


def _end_unwanted(instance: dg.DagsterInstance, run: dg.DagsterRun, seconds: float) -> bool:
    if run.status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED):
        instance.report_run_canceling(run, message="Its import is over, or another run has it.")
        instance.report_run_canceled(run)
        return True
    if seconds > _DECLARE_ENDED_AFTER_SECONDS:
        instance.report_run_canceled(run, message="Its import is over, or another run has it, and it did not end.")
        return True
    return False


def _declare_lost(instance: dg.DagsterInstance, connection: Connection, run: dg.DagsterRun, upload_id: str) -> bool:
    states.settle(connection, upload_id, run.run_id, _HUNG)
    claims.end_sessions(connection, upload_id)
    here = instance.get_run_by_id(run.run_id)
    if here is not None and not here.is_finished:
        instance.report_run_failed(here, "The run has made no progress for minutes.")
    return True


def _settle_launch(instance: dg.DagsterInstance, connection: Connection, launch: AskedLaunch) -> bool:
    """Whether a launch that was asked for is over, and the ledger did not know."""
    upload_id, run_id = launch.upload_id, launch.run_id
    if run_id is None:
        found = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_key(upload_id, launch.launch)}), limit=1)
        if not found:
            return False
        run: dg.DagsterRun | None = found[0]
        run_id = found[0].run_id
        launches.note_run(connection, upload_id, run_id, launch.launch, launch.asked_by, None)
    else:
        run = instance.get_run_by_id(run_id)
    if run is None:
        return launch.overdue and states.settle(connection, upload_id, run_id, _DELETED)
    if not run.is_finished:
        return False
    return settle_ended(instance, connection, run, upload_id)


def settle_ended(instance: dg.DagsterInstance, connection: Connection, run: dg.DagsterRun, upload_id: str) -> bool:
    """Bring an import into line with a run of it that has ended; returns whether that changed anything."""
    record = queries.find(connection, upload_id)
    if record is not None and record.state == ImportState.SUCCEEDED and record.run_id == run.run_id:
        return _materialise(instance, connection, record)
    if run.status is dg.DagsterRunStatus.CANCELED:
        return cancelling.cancel(connection, upload_id, "dagster", run_id=run.run_id) == ImportState.CANCELLED
    return states.settle(connection, upload_id, run.run_id, cause_of(run))


def _materialise(instance: dg.DagsterInstance, connection: Connection, record: ImportRecord) -> bool:
    """Report the materialisation of an import that has succeeded, where its run died before it could."""
    key = partition_key(record.upload_id, record.uploaded_at)
    asset = dg.AssetKey("contacts")
    assert record.started_at is not None
    started = record.started_at.timestamp()
    found = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key]), limit=1)
    if any(event.timestamp >= started for event in found.records):
        return False
    ensure_partition(instance, key)
    rejects = queries.rejects_by_code(connection, record.upload_id)
    metadata = materialisation_metadata(record, rejects, columns_of(connection, record), settings_if_given())
    metadata.pop("peak_memory_mb")
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key, metadata=metadata))
    return True


def _go_on_undoing(connection: Connection, upload_id: str) -> bool:
    undoing.finish(connection, upload_id, seconds=_UNDO_SECONDS)
    return True
