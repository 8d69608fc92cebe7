"""Terminate in the Dagster UI, made as strict as a cancellation by the API."""

from __future__ import annotations

import logging
from contextlib import closing

from dagster import QueuedRunCoordinator
from pydantic import ValidationError

from contact_pipeline.orchestration.partitions import upload_of
from contact_pipeline.settings import get_settings
from contact_pipeline.warehouse import ledger
from contact_pipeline.warehouse.database import DatabaseFailed, connect

_logger = logging.getLogger(__name__)


class ImportRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue; but a run that is terminated has its import cancelled before the call answers.

    Dagster's own Terminate only asks the run to stop: a chunk may still commit
    after it has answered. `dagster.yaml` names this class as the run coordinator.
    """

    def cancel_run(self, run_id: str) -> bool:
        """Cancel the import in the ledger, then the run."""
        run = self._instance.get_run_by_id(run_id)
        upload_id = upload_of(run) if run is not None else None
        if upload_id is not None:
            self._cancel_import(upload_id, run_id)
        return super().cancel_run(run_id)

    @staticmethod
    def _cancel_import(upload_id: str, run_id: str) -> None:
        try:
            with closing(connect(get_settings().database_url)) as connection:
                ledger.cancel(connection, upload_id, "dagster", run_id=run_id)
        except (DatabaseFailed, ValidationError) as error:
            # The run is still asked to stop; it cancels the import itself when it does.
            _logger.warning("import %s could not be cancelled at once (%s)", upload_id, type(error).__name__)
