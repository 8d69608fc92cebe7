"""What must hold after any fault (I1 to I10), checked together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from contact_pipeline.database import contributions, postgres, queries
from contact_pipeline.database.postgres import Connection
from contact_pipeline.database.records import ImportRecord
from contact_pipeline.importing.progress import ProgressBoard
from contact_pipeline.object_store import ObjectStore
from contact_pipeline.settings import Settings
from contact_pipeline_tests.running import content, count_rows, eventually

TERMINAL = ("succeeded", "failed", "cancelled", "undone", "checked")


def check(settings: Settings, store: ObjectStore, imports: dict[str, Path], expected: list[str] | None) -> None:
    """Check all invariants.

    Args:
        imports: the file of each import.
        expected: the contacts' content, as an import without faults leaves it.
    """
    connection = postgres.connect(settings.database_url)
    try:
        for upload_id, path in imports.items():
            record = queries.find(connection, upload_id)
            assert record is not None, "an upload was lost"
            assert record.state in TERMINAL, record.state
            _rows_are_accounted_for(connection, record, path)
            _chunk_and_contributions_agree(connection, record)
            _one_truth(connection, settings, record)
            _history(connection, record)
        if expected is not None:
            assert content(connection) == expected, "the contacts are not those of an import without faults"
        _nothing_left(connection, store, imports)
    finally:
        connection.close()


def _rows_are_accounted_for(connection: Connection, record: ImportRecord, path: Path) -> None:
    """I1, by a reader that is not ours."""
    sums = queries.totals(connection, record.upload_id)
    assert sums.rows == sum(sums.counts.values())
    assert queries.rejected_rows(connection, record.upload_id) == sums.rejected
    if record.state == "succeeded":
        assert sums.rows == record.total_rows == count_rows(path)
        assert queries.gaps(connection, record.upload_id, record.dialect["data_offset"]) == 0


def _chunk_and_contributions_agree(connection: Connection, record: ImportRecord) -> None:
    """I3: a chunk is in the ledger if and only if its contacts are there."""
    upload_id = record.upload_id
    chunks = {
        row["chunk"]: row["inserted"]
        for row in connection.execute("SELECT chunk, inserted FROM import_chunks WHERE upload_id = %s", (upload_id,))
    }
    rows = connection.execute(
        "SELECT * FROM contributions WHERE upload_id = %s AND chunk >= 0", (upload_id,)
    ).fetchall()
    if record.state != "undone":
        assert {row["chunk"] for row in rows} == set(chunks)
        known = connection.execute(
            "SELECT count(*) AS n FROM contacts WHERE created_by_import = %s", (upload_id,)
        ).fetchone()
        assert known is not None
        standing = connection.execute("SELECT count(*) AS n FROM imports WHERE state = 'undone'").fetchone()
        if standing is not None and not standing["n"]:
            assert known["n"] == sum(chunks.values())
    else:
        assert all(row["undone_at"] for row in rows)
    for row in rows:
        keys = contributions.touched_keys(row)
        assert np.all(keys > 0)


def _one_truth(connection: Connection, settings: Settings, record: ImportRecord) -> None:
    """I5, I6: Redis says nothing else than Postgres."""
    shown = ProgressBoard.from_url(settings.redis_url).get(record.upload_id)
    if shown is not None:
        assert 0 <= shown.percent <= 100
        assert shown.rows <= queries.totals(connection, record.upload_id).rows or record.state == "undone"
    row = connection.execute(
        "SELECT count(*) AS n FROM launches WHERE upload_id = %s AND ended_at IS NULL", (record.upload_id,)
    ).fetchone()
    assert row is not None
    assert row["n"] == 0, "an import that is over has a launch that is not"


def _history(connection: Connection, record: ImportRecord) -> None:
    """I10: each state has its entry, and the last one is the present."""
    entries = connection.execute(
        "SELECT what, actor FROM import_events WHERE upload_id = %s ORDER BY event", (record.upload_id,)
    ).fetchall()
    assert entries
    assert entries[-1]["what"] == record.state
    assert all(entry["actor"] for entry in entries)


def _nothing_left(connection: Connection, store: ObjectStore, imports: Iterable[str]) -> None:
    """I7: no session in a transaction, no lock, no temporary table, no multipart upload."""

    def idle() -> bool:
        row = connection.execute(
            """SELECT count(*) AS n FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND application_name = 'contact-pipeline import'"""
        ).fetchone()
        return row is not None and row["n"] == 0

    eventually(idle, 90)
    row = connection.execute("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row is not None
    assert row["n"] == 0
    uploads = store.s3.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])
    assert not [one for one in uploads if any(upload_id in one["Key"] for upload_id in imports)]
