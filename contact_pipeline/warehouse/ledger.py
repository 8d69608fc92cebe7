"""The ledger: what imports there are, who works on them, how far they are.

An import is claimed by one run at a time. Each claim raises `attempt`; a chunk
commits only for the attempt that holds the import, so that a run that was
thought dead and wakes up can do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import DictRow

from contact_pipeline.warehouse.database import Connection, fetch_one, scrubbed
from contact_pipeline.warehouse.tables import COUNTS

STALE_AFTER_SECONDS: Final = 60
"""A run that has given no sign for so long may be replaced, whatever Dagster believes of it."""

MOST_ATTEMPTS: Final = 3
"""Attempts after which nothing starts an import by itself any more."""

OPEN_STATES: Final = ("queued", "loading", "verifying")
_CANCELLABLE: Final = (*OPEN_STATES, "failed")


class ImportStopped(Exception):
    """This run is not to go on with the import."""


class ImportCancelled(ImportStopped):
    """The import was cancelled."""


class NotTheOwner(ImportStopped):
    """Another run holds the import."""


class UnknownImport(Exception):
    """There is no such import."""


@dataclass(frozen=True)
class Registration:
    """A completed upload, as it enters the ledger."""

    upload_id: str
    bucket: str
    object_key: str
    etag: str
    size: int
    uploaded_at: datetime
    file_name: str
    owner: str


@dataclass(frozen=True)
class Claim:
    """A run's hold on an import.

    Attributes:
        record: the row of `imports` when it was claimed.
        attempt: what the hold is known by.
        finished: the import has succeeded before; there is nothing left to do.
    """

    record: DictRow
    run_id: str
    attempt: int
    finished: bool = False

    @property
    def upload_id(self) -> str:
        """The upload that is imported."""
        return self.record["upload_id"]


def register(connection: Connection, upload: Registration, *, state: str = "queued", actor: str = "sensor") -> bool:
    """Enter a completed upload; False where it is known already."""
    with scrubbed(), connection.transaction():
        entered = connection.execute(
            """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, file_name, owner,
                                    cancelled_at, finished_at)
               VALUES (%(upload_id)s, %(state)s, %(bucket)s, %(object_key)s, %(etag)s, %(size)s, %(uploaded_at)s,
                       %(file_name)s, %(owner)s,
                       CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END,
                       CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END)
               ON CONFLICT DO NOTHING RETURNING upload_id""",
            {**upload.__dict__, "state": state},
        ).fetchone()
        if entered:
            audit(connection, upload.upload_id, actor, state)
    return entered is not None


def known_objects(connection: Connection, keys: Iterable[str]) -> set[tuple[str, str]]:
    """Which (key, ETag) of these keys were imported, or are to be."""
    with scrubbed():
        rows = connection.execute(
            "SELECT object_key, etag FROM imports WHERE object_key = ANY(%s)", (list(keys),)
        ).fetchall()
    return {(row["object_key"], row["etag"]) for row in rows}


def known_ids(connection: Connection, upload_ids: Iterable[str]) -> set[str]:
    """Which of these upload ids the ledger has."""
    with scrubbed():
        rows = connection.execute(
            "SELECT upload_id FROM imports WHERE upload_id = ANY(%s)", (list(upload_ids),)
        ).fetchall()
    return {row["upload_id"] for row in rows}


def find(connection: Connection, upload_id: str) -> DictRow | None:
    """The import of an upload, or None."""
    return fetch_one(connection, "SELECT * FROM imports WHERE upload_id = %s", upload_id)


def find_by_key(connection: Connection, object_key: str) -> DictRow | None:
    """The newest import of an object, or None."""
    return fetch_one(
        connection, "SELECT * FROM imports WHERE object_key = %s ORDER BY created_at DESC LIMIT 1", object_key
    )


def note_ignored(connection: Connection, object_key: str) -> bool:
    """Note, once, that an object in the bucket is no upload; False where that was noted before."""
    with scrubbed():
        row = connection.execute(
            """INSERT INTO import_events (upload_id, actor, what, why)
               SELECT '', 'sensor', 'ignored', %(key)s
               WHERE NOT EXISTS (SELECT FROM import_events WHERE upload_id = '' AND why = %(key)s)
               RETURNING event""",
            {"key": object_key},
        ).fetchone()
    return row is not None


def recent(connection: Connection, limit: int = 50) -> list[DictRow]:
    """The newest imports."""
    with scrubbed():
        return connection.execute("SELECT * FROM imports ORDER BY created_at DESC LIMIT %s", (limit,)).fetchall()


def waiting(connection: Connection, limit: int) -> list[DictRow]:
    """Imports that no run has taken yet, oldest upload first."""
    with scrubbed():
        return connection.execute(
            """SELECT * FROM imports WHERE state = 'queued' AND attempt = 0
               ORDER BY uploaded_at, upload_id LIMIT %s""",
            (limit,),
        ).fetchall()


def unfinished(connection: Connection, limit: int) -> list[DictRow]:
    """Imports to try again: failed, or open without a sign of life, and not tried too often."""
    with scrubbed():
        return connection.execute(
            """SELECT * FROM imports
               WHERE attempt BETWEEN 1 AND %s - 1 AND COALESCE(error_code, 'transient') = 'transient'
                 AND (state = 'failed'
                      OR state IN ('loading', 'verifying')
                         AND heartbeat_at < clock_timestamp() - make_interval(secs => %s))
               ORDER BY uploaded_at LIMIT %s""",
            (MOST_ATTEMPTS, STALE_AFTER_SECONDS, limit),
        ).fetchall()


def open_imports(connection: Connection) -> list[DictRow]:
    """Imports that are claimed and not ended."""
    with scrubbed():
        return connection.execute("SELECT * FROM imports WHERE state IN ('loading', 'verifying')").fetchall()


def claim(
    connection: Connection,
    upload_id: str,
    run_id: str,
    run_created_at: datetime,
    run_has_ended: Callable[[str], bool],
) -> Claim:
    """Take hold of an import for a run.

    Args:
        run_created_at: a run asked for before a cancellation does not undo it; a later one resumes.
        run_has_ended: whether another run, by its id, is over.

    Raises:
        UnknownImport: no such upload is registered.
        ImportCancelled: it was cancelled after this run was asked for.
        NotTheOwner: a living run holds it, or it was undone.
    """
    with scrubbed(), connection.transaction():
        record = connection.execute(
            """SELECT *, heartbeat_at < clock_timestamp() - make_interval(secs => %s) AS stale
               FROM imports WHERE upload_id = %s FOR UPDATE""",
            (STALE_AFTER_SECONDS, upload_id),
        ).fetchone()
        if record is None:
            raise UnknownImport(f"no upload {upload_id} is known; the S3 sensor registers an upload when it sees it")
        state, holder = record["state"], record["run_id"]
        if state == "succeeded":
            return Claim(record, run_id, record["attempt"], finished=True)
        if state == "cancelled" and run_created_at <= record["cancelled_at"]:
            raise ImportCancelled(f"import {upload_id} was cancelled")
        if state not in ("queued", "loading", "verifying", "failed", "cancelled"):
            raise NotTheOwner(f"import {upload_id} is {state}: it cannot be loaded")
        if state in ("loading", "verifying"):
            if holder == run_id:
                return Claim(record, run_id, record["attempt"])
            if not record["stale"] and not run_has_ended(holder):
                raise NotTheOwner(f"import {upload_id} is already claimed by run {holder}")
        claimed = connection.execute(
            """UPDATE imports SET state = 'loading', attempt = attempt + 1, run_id = %s,
                      heartbeat_at = clock_timestamp(), started_at = clock_timestamp(),
                      finished_at = NULL, cancelled_at = NULL, error = NULL, error_code = NULL
               WHERE upload_id = %s RETURNING *""",
            (run_id, upload_id),
        ).fetchone()
        assert claimed is not None
        audit(connection, upload_id, "run", "loading", run_id=run_id, attempt=claimed["attempt"])
    return Claim(claimed, run_id, claimed["attempt"])


def hold(connection: Connection, claim: Claim, states: tuple[str, ...] = ("loading",), *, lock: str = "SHARE") -> str:
    """Inside a transaction: make sure that the claim stands, and that it does until the commit.

    A cancellation waits for the transaction, or the transaction sees it.

    Returns:
        The import's state.

    Raises:
        ImportCancelled: the import was cancelled.
        NotTheOwner: a newer attempt holds it.
    """
    row = connection.execute(
        f"SELECT state, attempt FROM imports WHERE upload_id = %s FOR {lock}", (claim.upload_id,)
    ).fetchone()
    if row is None or row["attempt"] != claim.attempt:
        raise NotTheOwner(f"a newer attempt has taken over import {claim.upload_id}")
    if row["state"] == "cancelled":
        raise ImportCancelled(f"import {claim.upload_id} was cancelled")
    if row["state"] not in states:
        raise NotTheOwner(f"import {claim.upload_id} is {row['state']}")
    return row["state"]


def beat(connection: Connection, claim: Claim) -> None:
    """Give a sign of life."""
    with scrubbed():
        connection.execute(
            "UPDATE imports SET heartbeat_at = clock_timestamp() WHERE upload_id = %s AND attempt = %s",
            (claim.upload_id, claim.attempt),
        )


def keep_reading_plan(connection: Connection, claim: Claim, dialect: dict[str, Any], mapping: dict[str, Any]) -> None:
    """Store how the file is read; every later attempt reads it the same way."""
    with scrubbed(), connection.transaction():
        hold(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET dialect = %s, mapping = %s WHERE upload_id = %s",
            (json.dumps(dialect), json.dumps(mapping), claim.upload_id),
        )


def keep_total(connection: Connection, claim: Claim, rows: int, seconds: dict[str, float]) -> None:
    """Store how many rows the file has: the reader came to its end. The import is `verifying` from here.

    Args:
        seconds: what this attempt spent in each part of the work.
    """
    with scrubbed(), connection.transaction():
        if hold(connection, claim, ("loading", "verifying"), lock="NO KEY UPDATE") == "loading":
            connection.execute(
                "UPDATE imports SET total_rows = %s, timings = %s, state = 'verifying' WHERE upload_id = %s",
                (rows, json.dumps(seconds), claim.upload_id),
            )
            audit(connection, claim.upload_id, "run", "verifying", run_id=claim.run_id, attempt=claim.attempt)


def totals(connection: Connection, upload_id: str) -> DictRow:
    """Sums over the committed chunks: rows, each count, `chunks`, `end_offset`, and `warnings` by code and column."""
    sums = ", ".join(f"COALESCE(sum({count}), 0)::bigint AS {count}" for count in COUNTS)
    row = fetch_one(
        connection,
        f"""SELECT count(*) AS chunks, COALESCE(sum(rows), 0)::bigint AS rows, {sums},
                   max(end_offset) AS end_offset,
                   (SELECT COALESCE(jsonb_object_agg(code, total), '{{}}')
                    FROM (SELECT entry.key AS code, sum(entry.value::bigint) AS total
                          FROM import_chunks w, jsonb_each_text(w.warnings) entry
                          WHERE w.upload_id = %s GROUP BY 1) summed) AS warnings
            FROM import_chunks WHERE upload_id = %s""",
        upload_id,
        upload_id,
    )
    assert row is not None
    return row


def last_chunk(connection: Connection, upload_id: str) -> DictRow | None:
    """The last committed chunk, where an attempt goes on, or None."""
    return fetch_one(
        connection, "SELECT * FROM import_chunks WHERE upload_id = %s ORDER BY chunk DESC LIMIT 1", upload_id
    )


def gaps(connection: Connection, upload_id: str, data_offset: int) -> int:
    """How many committed chunks do not begin, in number, row and byte, where the one before them ends."""
    row = fetch_one(
        connection,
        """SELECT count(*) AS gaps FROM (
               SELECT chunk, first_row, begin_offset,
                      lag(chunk, 1, -1) OVER w + 1 AS next_chunk,
                      lag(first_row + rows, 1, 1::bigint) OVER w AS next_row,
                      lag(end_offset, 1, %s::bigint) OVER w AS next_offset
               FROM import_chunks WHERE upload_id = %s WINDOW w AS (ORDER BY chunk)) chunks
           WHERE chunk <> next_chunk OR first_row <> next_row OR begin_offset <> next_offset""",
        data_offset,
        upload_id,
    )
    assert row is not None
    return row["gaps"]


def rejected_rows(connection: Connection, upload_id: str) -> int:
    """How many rejected rows are kept."""
    row = fetch_one(connection, "SELECT count(*) AS total FROM rejected_rows WHERE upload_id = %s", upload_id)
    assert row is not None
    return row["total"]


def rejects(connection: Connection, upload_id: str, limit: int | None = None) -> list[DictRow]:
    """The rejected rows in file order, without their content: row, line, codes, columns."""
    with scrubbed():
        return connection.execute(
            """SELECT "row", line, codes, columns FROM rejected_rows WHERE upload_id = %s ORDER BY "row" LIMIT %s""",
            (upload_id, limit),
        ).fetchall()


def rejects_by_code(connection: Connection, upload_id: str) -> dict[str, int]:
    """How many rows were rejected for each code, the most frequent first."""
    with scrubbed():
        rows = connection.execute(
            """SELECT code, count(*) AS total FROM rejected_rows, unnest(codes) AS code
               WHERE upload_id = %s GROUP BY code ORDER BY total DESC, code""",
            (upload_id,),
        ).fetchall()
    return {row["code"]: row["total"] for row in rows}


def succeed(connection: Connection, claim: Claim) -> DictRow:
    """End the import well: its counts become final.

    Raises:
        ImportCancelled, NotTheOwner: the claim does not stand any more.
    """
    with scrubbed(), connection.transaction():
        hold(connection, claim, ("verifying",), lock="NO KEY UPDATE")
        sums = totals(connection, claim.upload_id)
        counts = {count: sums[count] for count in COUNTS}
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        record = connection.execute(
            f"""UPDATE imports SET state = 'succeeded', finished_at = clock_timestamp(), warnings = %(warnings)s,
                       {assignments}
                WHERE upload_id = %(upload_id)s RETURNING *""",
            {
                **counts,
                "warnings": json.dumps(sums["warnings"]),
                "upload_id": claim.upload_id,
            },
        ).fetchone()
        assert record is not None
        audit(
            connection, claim.upload_id, "run", "succeeded", run_id=claim.run_id, attempt=claim.attempt, counts=counts
        )
        announce(connection, claim.upload_id, "import.succeeded", counts)
    return record


def fail(connection: Connection, upload_id: str, run_id: str, code: str, message: str) -> bool:
    """End an attempt badly, if that run still holds the import. Committed chunks stay, for the next attempt."""
    with scrubbed(), connection.transaction():
        row = connection.execute(
            """UPDATE imports SET state = 'failed', error_code = %s, error = %s, finished_at = clock_timestamp()
               WHERE upload_id = %s AND run_id = %s AND state IN ('loading', 'verifying') RETURNING attempt""",
            (code, message, upload_id, run_id),
        ).fetchone()
        if row is not None:
            audit(connection, upload_id, "run", "failed", why=message, run_id=run_id, attempt=row["attempt"])
            announce(connection, upload_id, "import.failed", {"code": code})
    return row is not None


def cancel(connection: Connection, upload_id: str, actor: str, run_id: str | None = None) -> str | None:
    """Cancel an import. When this returns, no further chunk of it commits.

    Args:
        run_id: cancel only if this run holds the import, or none does yet.

    Returns:
        The import's state now: `cancelled`, or the terminal state that it had; None if there is no such import.
    """
    with scrubbed(), connection.transaction():
        row = connection.execute(
            """UPDATE imports SET state = 'cancelled', cancelled_at = clock_timestamp(),
                      finished_at = clock_timestamp()
               WHERE upload_id = %s AND state = ANY(%s) AND (%s::text IS NULL OR run_id IS NULL OR run_id = %s)
               RETURNING attempt""",
            (upload_id, list(_CANCELLABLE), run_id, run_id),
        ).fetchone()
        if row is not None:
            audit(connection, upload_id, actor, "cancelled", run_id=run_id, attempt=row["attempt"])
            announce(connection, upload_id, "import.cancelled", {})
            return "cancelled"
    record = find(connection, upload_id)
    return record["state"] if record else None


def audit(
    connection: Connection,
    upload_id: str,
    actor: str,
    what: str,
    *,
    why: str | None = None,
    run_id: str | None = None,
    attempt: int | None = None,
    counts: dict[str, int] | None = None,
) -> None:
    """Add to the append-only history, in the caller's transaction."""
    connection.execute(
        """INSERT INTO import_events (upload_id, actor, what, why, run_id, attempt, counts)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (upload_id, actor, what, why, run_id, attempt, json.dumps(counts) if counts is not None else None),
    )


def announce(connection: Connection, upload_id: str, topic: str, payload: dict[str, Any]) -> None:
    """Put a message into the outbox, in the caller's transaction."""
    connection.execute(
        "INSERT INTO outbox (upload_id, topic, payload) VALUES (%s, %s, %s)", (upload_id, topic, json.dumps(payload))
    )
