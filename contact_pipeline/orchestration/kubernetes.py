"""What the run of an import gets where Kubernetes runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from contact_pipeline.database.records import ImportRecord

CONFIG_TAG: Final = "dagster-k8s/config"
"""Dagster's own: it is merged with the launcher's configuration."""

_WORKBOOKS: Final = frozenset({".xls", ".xlsb", ".xlsm", ".xlsx", ".ods"})
_SMALL_BYTES: Final = 8 << 20

# Peaks of a run: below 350 MB for a small CSV, below 550 MB for one of any size. What reads a workbook is a process
# of its own that is bounded at 1 GiB (files.excel.worker). What a file is, its bytes say, and its name may not: hence
# one limit for all.
_LIMITS: Final = {"memory": "2Gi"}
_SMALL: Final = {"requests": {"cpu": "500m", "memory": "448Mi"}, "limits": _LIMITS}
_LARGE: Final = {"requests": {"cpu": "1", "memory": "640Mi"}, "limits": _LIMITS}
_WORKBOOK: Final = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": _LIMITS}


def resources_tag(record: ImportRecord) -> dict[str, str]:
    """The tag that says what a run gets, by the format and the size of its file."""
    given: Mapping[str, Any]
    if PurePath(record.file_name).suffix.lower() in _WORKBOOKS:
        given = _WORKBOOK
    else:
        given = _SMALL if record.size <= _SMALL_BYTES else _LARGE
    return {CONFIG_TAG: json.dumps({"container_config": {"resources": given}})}
