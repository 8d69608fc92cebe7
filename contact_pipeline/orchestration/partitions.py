"""One partition for each upload."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

uploads = dg.DynamicPartitionsDefinition(name="uploads")

PARTITION_TAG = "dagster/partition"
"""Tag under which Dagster keeps a run's partition key."""

_DAY_AND_DASH = 9


def partition_key(upload_id: str, uploaded_at: datetime) -> str:
    """`20261124-<upload_id>`: sorts by day, and never has a file name in it."""
    return f"{uploaded_at:%Y%m%d}-{upload_id}"


def upload_id_of(key: str) -> str:
    """The upload of a partition key."""
    return key[_DAY_AND_DASH:]


def ensure_partition(instance: dg.DagsterInstance, key: str | None) -> None:
    """Add a partition that is not there: it was deleted, or its import launched before the sensor could add it."""
    if key and not instance.has_dynamic_partition(str(uploads.name), key):
        instance.add_dynamic_partitions(str(uploads.name), [key])


def upload_of(run: dg.DagsterRun) -> str | None:
    """The upload that a run imports, or None for a run of something else."""
    key = run.tags.get(PARTITION_TAG)
    return upload_id_of(key) if key else None
