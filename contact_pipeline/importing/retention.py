"""Letting go of what nobody needs any more, each kind after so many days of its own."""

from __future__ import annotations

from collections.abc import Iterator

from contact_pipeline.database import cancelling, restored_objects, retention
from contact_pipeline.database.postgres import Connection, impatient
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import ImportRecord, ImportState
from contact_pipeline.database.retention import Removed
from contact_pipeline.database.undo import settling
from contact_pipeline.importing.rejects_export import REJECTS
from contact_pipeline.object_store import ObjectStore, StoredObject
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
        "undo": len(settling.due(connection, settings.keep_undo_days)),
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
        done["undecided"] += _cancel(connection, upload_id)
    for record in _due(connection, settings.keep_files_days, Removed.FILE):
        with impatient(connection):
            if retention.is_still_over(connection, record.upload_id, settings.keep_files_days, Removed.FILE):
                _remove_file(connection, store, record)
                done["files"] += 1
    for record in _due(connection, settings.keep_rejects_days, Removed.REJECTS):
        with impatient(connection):
            if not retention.is_still_over(connection, record.upload_id, settings.keep_rejects_days, Removed.REJECTS):
                continue
            store.delete(f"{REJECTS}{record.upload_id}.csv")
            retention.note_rejects_removed(connection, record)
        retention.delete_rejected_rows(connection, record.upload_id)
        done["rejects"] += 1
    done |= {name: retention.delete_rows(connection, name, days) for name, days in _tables(settings)}
    done["undo"] = settling.settle(connection, settings.keep_undo_days)
    settling.let_go(connection)
    return done


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


def _cancel(connection: Connection, upload_id: str) -> bool:
    """Cancel an upload that nobody has decided about, unless somebody does so now."""
    with impatient(connection):
        record = lock_import(connection, upload_id)
        if record is None or record.state not in (ImportState.IN_REVIEW, ImportState.CHECKED):
            return False
        cancelling.cancel(connection, upload_id, _ACTOR)
    return True


def _remove_file(connection: Connection, store: ObjectStore, record: ImportRecord) -> None:
    found = store.find(record.object_key)
    # Another object may be there by now, of the same content perhaps, which is an import of its own.
    if found is not None and _is_its_own(connection, record, found[0]):
        store.delete(record.object_key)
    retention.note_removed(connection, record.upload_id, Removed.FILE)


def _is_its_own(connection: Connection, record: ImportRecord, stored: StoredObject) -> bool:
    if (stored.etag, stored.uploaded_at) == (record.etag, record.uploaded_at):
        return True
    return restored_objects.is_copy(connection, record.upload_id, stored.key, stored.etag, stored.uploaded_at)
