"""Dagster's queue, with the ledger told of each run before it starts, and of each Terminate before that answers."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

import dagster as dg
from dagster import QueuedRunCoordinator
from dagster._core.run_coordinator.base import SubmitRunContext
from pydantic import ValidationError

from contact_pipeline.database import cancelling, launches
from contact_pipeline.database.postgres import DatabaseFailed, connect
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.orchestration.kubernetes import CONFIG_TAG, resources_tag
from contact_pipeline.orchestration.launching import asked_by, launch_of, tags_of
from contact_pipeline.orchestration.partitions import PARTITION_TAG, ensure_partition, upload_of
from contact_pipeline.settings import get_settings

_STARTED: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)

_logger = logging.getLogger(__name__)


class ImportRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue; but each run of an import is a launch in the ledger, with who asked for it.

    So a cancelled import goes on only by a run that a person asked for afterwards. And a run that is terminated has its
    import cancelled before the call answers: Dagster's own Terminate only asks the run to stop, and a chunk may still
    commit. `dagster.yaml` names this class as the run coordinator.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Note the run in the ledger, then put it into the queue."""
        run = context.dagster_run
        upload_id = upload_of(run)
        if upload_id is not None:
            record = self._note(upload_id, run)
            if record is not None:
                # Dagster's limits by owner and size hold for runs that people ask for too.
                tags = tags_of(record)
                if self._launcher == "K8sRunLauncher" and CONFIG_TAG not in run.tags:
                    tags |= resources_tag(record)
                self._instance.add_run_tags(run.run_id, tags)
            # Somebody may launch an import whose partition was deleted, or never added.
            ensure_partition(self._instance, run.tags.get(PARTITION_TAG))
        return super().submit_run(context)

    @property
    def _launcher(self) -> str:
        # By name: Celery and Kubernetes need not be installed.
        return type(self._instance.run_launcher).__name__

    @staticmethod
    def _note(upload_id: str, run: dg.DagsterRun) -> ImportRecord | None:
        try:
            with closing(connect(get_settings().database_url)) as connection:
                return launches.note_run(
                    connection, upload_id, run.run_id, launch_of(run.tags), asked_by(run.tags), None
                )
        except (DatabaseFailed, ValidationError) as error:
            # It is noted by the reconciler, or by the run itself when it claims its import.
            _logger.warning("run %s could not be noted at once (%s)", run.run_id, type(error).__name__)
            return None

    def cancel_run(self, run_id: str) -> bool:
        """Cancel the import in the ledger, then the run."""
        run = self._instance.get_run_by_id(run_id)
        upload_id = upload_of(run) if run is not None else None
        if upload_id is not None:
            self._cancel_import(upload_id, run_id)
        if run is not None and self._launcher == "CeleryRunLauncher" and run.status in _STARTED:
            # Other launchers say so themselves. A run that is ended without it counts as failed.
            self._instance.report_run_canceling(run)
        return super().cancel_run(run_id)

    @staticmethod
    def _cancel_import(upload_id: str, run_id: str) -> None:
        try:
            with closing(connect(get_settings().database_url)) as connection:
                cancelling.cancel(connection, upload_id, "dagster", run_id=run_id)
        except (DatabaseFailed, ValidationError) as error:
            # The run is still asked to stop; it cancels the import itself when it does.
            _logger.warning("import %s could not be cancelled at once (%s)", upload_id, type(error).__name__)
