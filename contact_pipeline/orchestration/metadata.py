"""What an import shows of itself in the Dagster UI. Numbers and codes, never a value."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final

import dagster as dg

from contact_pipeline.database.records import ImportRecord
from contact_pipeline.importing.column_accounts import ColumnAccount
from contact_pipeline.importing.dry_run_report import columns_table
from contact_pipeline.importing.progress import Progress
from contact_pipeline.settings import Settings

PROGRESS_TAG: Final = "contact_pipeline/progress"
_TAG_SECONDS: Final = 3.0
_CHUNKS_AN_OBSERVATION: Final = 10


class RunReporter:
    """Shows a run's progress: a tag every few seconds, an observation every ten chunks.

    Dagster rewrites a run's tags as a whole, unlocked: one writer, and seldom.
    """

    def __init__(self, context: dg.OpExecutionContext) -> None:
        self._context = context
        self._tagged_at = float("-inf")

    def __call__(self, progress: Progress, chunks: int) -> None:
        """Show the progress after a committed chunk."""
        if monotonic() - self._tagged_at >= _TAG_SECONDS:
            self.tag(progress)
        if chunks % _CHUNKS_AN_OBSERVATION == 0:
            self._context.log_event(
                dg.AssetObservation(
                    asset_key="contacts",
                    partition=self._context.partition_key,
                    metadata={
                        "rows": progress.rows,
                        "rejected": progress.counts.get("rejected", 0),
                        "percent": progress.percent,
                        "bytes_per_second": round(progress.bytes_per_second()),
                    },
                )
            )

    def tag(self, progress: Progress) -> None:
        """Set the progress tag now."""
        text = f"{progress.percent:.0f} % · {progress.rows:,} rows"
        self._context.instance.add_run_tags(self._context.run_id, {PROGRESS_TAG: text})
        self._tagged_at = monotonic()


def materialisation_metadata(
    record: ImportRecord,
    rejects_by_code: Mapping[str, int],
    columns: Sequence[ColumnAccount],
    settings: Settings | None,
) -> dict[str, Any]:
    """Metadata of an import that has succeeded."""
    assert record.finished_at is not None
    assert record.started_at is not None
    seconds = (record.finished_at - record.started_at).total_seconds()
    rows = record.total_rows or 0
    return {
        "dagster/partition_row_count": rows,
        **_links(record, settings),
        "rows": rows,
        **record.counts,
        "warnings": sum(record.warnings.values()),
        "seconds": seconds,
        "rows_per_second": round(rows / seconds) if seconds else 0,
        "attempt": record.attempt,
        "peak_memory_mb": _peak_memory_mb(),
        "object": f"s3://{record.bucket}/{record.object_key}",
        "rejects_by_code": dg.MetadataValue.md(_table("code", "rows", rejects_by_code)),
        "warnings_by_code": dg.MetadataValue.md(_table("code:field", "values", record.warnings)),
        "columns": dg.MetadataValue.md("\n".join(columns_table(columns))),
        "seconds_by_part": dg.MetadataValue.md(_parts(record.timings or {})),
    }


def _links(record: ImportRecord, settings: Settings | None) -> dict[str, Any]:
    """Where people look at the import. The rejects are shown to who may see them, after signing in."""
    if settings is None:
        return {}
    links: dict[str, Any] = {"file": record.file_name} if settings.show_file_names else {}
    if settings.api_url:
        links["import"] = dg.MetadataValue.url(f"{settings.api_url}/#import/{record.upload_id}")
        if record.rejected:
            links["rejects"] = dg.MetadataValue.url(f"{settings.api_url}/api/imports/{record.upload_id}/rejects")
    return links


def _peak_memory_mb() -> int:
    """The run process's largest resident set so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak >> 20 if sys.platform == "darwin" else peak >> 10


def _table(first: str, second: str, entries: Mapping[str, float]) -> str:
    if not entries:
        return "none"
    ordered = sorted(entries.items(), key=lambda entry: (-entry[1], entry[0]))
    lines = [f"| {name} | {round(value, 2):,} |" for name, value in ordered]
    return "\n".join([f"| {first} | {second} |", "|---|---:|", *lines])


def _parts(seconds: Mapping[str, float]) -> str:
    """Seconds of each part of the work, and its share of all: several threads work side by side."""
    whole = sum(seconds.values())
    if not whole:
        return "none"
    ordered = sorted(seconds.items(), key=lambda entry: -entry[1])
    lines = [f"| {part} | {spent:,.2f} | {spent / whole:.0%} |" for part, spent in ordered]
    return "\n".join(["| part | seconds | share |", "|---|---:|---:|", *lines])
