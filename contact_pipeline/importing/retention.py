"""Letting go of what nobody needs any more, each kind after so many days of its own."""

from __future__ import annotations

from collections.abc import Iterator

from contact_pipeline.database import cancelling, retention
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.database.retention import Removed
from contact_pipeline.importing.rejects_export import REJECTS
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings

_IMPORTS_AT_ONCE = 500
_ACTOR = "retention"


def what_would_go(connection: Connection, settings: Settings) -> dict[str, int]:
    """How many of each kind would go now."""
    kept_files, kept_rejects = settings.keep_files_days, settings.keep_rejects_days
    return {
        "undecided": len(retention.undecided_for(connection, kept_files)),
        "files": retention.count_over_for(connection, kept_files, Removed.FILE),
        "rejects": retention.count_over_for(connection, kept_rejects, Removed.REJECTS),
        **{name: retention.rows_to_go(connection, name, days) for name, days in _tables(settings)},
    }


def apply(connection: Connection, store: ObjectStore, settings: Settings) -> dict[str, int]:
    """Let go of what is due; what fails halfway is gone on with the next time.

    Returns:
        How many of each kind went.

    Raises:
        StoreFailed, DatabaseFailed: as named.
    """
    done = {"undecided": 0, "files": 0, "rejects": 0}
    for upload_id in retention.undecided_for(connection, settings.keep_files_days):
        # Its file goes as that of any other that was cancelled, when its days are over.
        cancelling.cancel(connection, upload_id, _ACTOR)
        done["undecided"] += 1
    for record in _due(connection, settings.keep_files_days, Removed.FILE):
        _remove_file(connection, store, record)
        done["files"] += 1
    for record in _due(connection, settings.keep_rejects_days, Removed.REJECTS):
        # First the file: while rows are there, it can be made again.
        store.delete(f"{REJECTS}{record.upload_id}.csv")
        retention.remove_rejected_rows(connection, record.upload_id)
        done["rejects"] += 1
    return done | {name: retention.delete_rows(connection, name, days) for name, days in _tables(settings)}


def _tables(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("messages", settings.keep_messages_days),
        ("deliveries", settings.keep_messages_days),
        ("audit_events", settings.keep_audit_days),
        ("launches", settings.keep_launches_days),
    ]


def _due(connection: Connection, days: int, what: Removed) -> Iterator[ImportRecord]:
    while found := retention.over_for(connection, days, what, _IMPORTS_AT_ONCE):
        yield from found


def _remove_file(connection: Connection, store: ObjectStore, record: ImportRecord) -> None:
    found = store.find(record.object_key)
    # Another object may be there by now, which is an import of its own.
    if found is not None and found[0].etag == record.etag and not retention.is_wanted_by_another(connection, record):
        store.delete(record.object_key)
    retention.note_removed(connection, record.upload_id, Removed.FILE)
