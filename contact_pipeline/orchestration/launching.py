"""Launches of the ledger, as Dagster's runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from contact_pipeline.database.launch_queue import LARGE_BYTES, DueLaunch, Slots
from contact_pipeline.database.records import AskedBy, ImportRecord
from contact_pipeline.orchestration.partitions import partition_key
from contact_pipeline.settings import settings_if_given

OWNER_TAG: Final = "contact_pipeline/owner"
UPLOAD_TAG: Final = "contact_pipeline/upload_id"
LAUNCH_TAG: Final = "contact_pipeline/launch"
FILE_TAG: Final = "contact_pipeline/file"
SIZE_TAG: Final = "contact_pipeline/size"
CAUSE_TAG: Final = "contact_pipeline/cause"
"""Why a run failed, where it could not tell the ledger: `code: reason`."""

JOB_NAME: Final = "import_contacts"
RUN_KEY_TAG: Final = "dagster/run_key"
LIVE: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

_SLOTS_WITHOUT_A_QUEUE: Final = 10
_BY_DAGSTER: Final[Mapping[str, AskedBy]] = {
    "dagster/retry_number": AskedBy.RETRY,
    "dagster/backfill": AskedBy.BACKFILL,
    "dagster/schedule_name": AskedBy.SENSOR,
    "dagster/sensor_name": AskedBy.SENSOR,
    "dagster/auto_materialize": AskedBy.SENSOR,
    "dagster/from_automation_condition": AskedBy.SENSOR,
}
_PARENT_TAG: Final = "dagster/parent_run_id"


def run_key(upload_id: str, launch: int) -> str:
    """Dagster starts one run a key, however often it is asked."""
    return f"{upload_id}:{launch}"


def run_request(due: DueLaunch) -> dg.RunRequest:
    """The run of a launch that is due."""
    priority = -1 if due.asked_by == AskedBy.BACKFILL else 1 if _size(due.size) == "small" else 0
    return dg.RunRequest(
        run_key=run_key(due.upload_id, due.launch),
        partition_key=partition_key(due.upload_id, due.uploaded_at),
        tags={
            **tags_of(due),
            LAUNCH_TAG: str(due.launch),
            "contact_pipeline/trigger": due.asked_by.value,
            "dagster/priority": str(priority),
        },
    )


def tags_of(record: DueLaunch | ImportRecord) -> dict[str, str]:
    """Tags that Dagster's limits go by, and that people look for."""
    settings = settings_if_given()
    name = {FILE_TAG: record.file_name} if settings is not None and settings.show_file_names else {}
    return {OWNER_TAG: record.owner, UPLOAD_TAG: record.upload_id, SIZE_TAG: _size(record.size), **name}


def _size(size: int) -> str:
    return "large" if size >= LARGE_BYTES else "small"


def launch_of(tags: Mapping[str, str]) -> int | None:
    """The launch that a run was asked for by; None where the sensor did not ask for it, but somebody, or Dagster."""
    number = tags.get(LAUNCH_TAG, "")
    # A run that somebody executes again has its parent's tags.
    return int(number) if number.isdigit() and _PARENT_TAG not in tags else None


def asked_by(tags: Mapping[str, str]) -> AskedBy:
    """Who asked for a run that is no launch of the ledger's."""
    if _PARENT_TAG in tags and "dagster/retry_number" not in tags:
        return AskedBy.PERSON
    return next((who for tag, who in _BY_DAGSTER.items() if tag in tags), AskedBy.PERSON)


def slots(instance: dg.DagsterInstance) -> Slots:
    """How many imports may run at once. Large ones leave room for small ones."""
    queue = instance.get_concurrency_config().run_queue_config
    total = queue.max_concurrent_runs if queue and queue.max_concurrent_runs > 0 else _SLOTS_WITHOUT_A_QUEUE
    return Slots(large=max(1, total // 2), total=total)
