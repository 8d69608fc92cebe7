"""Launches of the ledger, as Dagster's runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from contact_pipeline.database.launches import LARGE_BYTES, AskedBy, Slots
from contact_pipeline.orchestration.partitions import partition_key

OWNER_TAG: Final = "contact_pipeline/owner"
UPLOAD_TAG: Final = "contact_pipeline/upload_id"
LAUNCH_TAG: Final = "contact_pipeline/launch"
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
    "dagster/retry_number": "retry",
    "dagster/backfill": "backfill",
    "dagster/schedule_name": "sensor",
    "dagster/sensor_name": "sensor",
    "dagster/auto_materialize": "sensor",
    "dagster/from_automation_condition": "sensor",
}
_PARENT_TAG: Final = "dagster/parent_run_id"


def run_key(upload_id: str, launch: int) -> str:
    """Dagster starts one run a key, however often it is asked."""
    return f"{upload_id}:{launch}"


def run_request(record: Mapping[str, Any]) -> dg.RunRequest:
    """The run of a launch that is due, given its import's row with `launch` and `asked_by`."""
    size = _size(record["size"])
    priority = -1 if record["asked_by"] == "backfill" else 1 if size == "small" else 0
    return dg.RunRequest(
        run_key=run_key(record["upload_id"], record["launch"]),
        partition_key=partition_key(record["upload_id"], record["uploaded_at"]),
        tags={
            **tags_of(record),
            LAUNCH_TAG: str(record["launch"]),
            "contact_pipeline/trigger": record["asked_by"],
            "dagster/priority": str(priority),
        },
    )


def tags_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Tags that Dagster's limits go by, given an import's row."""
    return {OWNER_TAG: record["owner"], UPLOAD_TAG: record["upload_id"], SIZE_TAG: _size(record["size"])}


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
        return "person"
    return next((who for tag, who in _BY_DAGSTER.items() if tag in tags), "person")


def slots(instance: dg.DagsterInstance) -> Slots:
    """How many imports may run at once. Large ones leave room for small ones."""
    queue = instance.get_concurrency_config().run_queue_config
    total = queue.max_concurrent_runs if queue and queue.max_concurrent_runs > 0 else _SLOTS_WITHOUT_A_QUEUE
    return Slots(large=max(1, total // 2), total=total)
