"""The ledger: what imports there are, who works on them, how far they are.

An import is claimed by one run at a time. Each claim raises `attempt`; a chunk
commits only for the attempt that holds the import, so that a run that was
thought dead and wakes up can do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg.rows import DictRow

from contact_pipeline.warehouse import reports
from contact_pipeline.warehouse.database import Connection, scrubbed
from contact_pipeline.warehouse.tables import COUNTS

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
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A run's hold on an import.

    Attributes:
        record: the row of `imports` when it was claimed.
        attempt: what the hold is known by.
        finished: the import has succeeded before; there is nothing left to do.
        checked: this run has tried the import, and written nothing.
    """

    record: DictRow
    run_id: str
    attempt: int
    finished: bool = False
    checked: bool = False

    @property
    def upload_id(self) -> str:
        """The upload that is imported."""
        return self.record["upload_id"]


def register(connection: Connection, upload: Registration, *, state: str = "queued", actor: str = "sensor") -> bool:
    """Enter a completed upload; False where it is known already."""
    with scrubbed(), connection.transaction():
        entered = connection.execute(
            """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, file_name, owner,
                                    options, cancelled_at, finished_at)
               VALUES (%(upload_id)s, %(state)s, %(bucket)s, %(object_key)s, %(etag)s, %(size)s, %(uploaded_at)s,
                       %(file_name)s, %(owner)s, %(options)s,
                       CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END,
                       CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END)
               ON CONFLICT DO NOTHING RETURNING upload_id""",
            {**upload.__dict__, "options": json.dumps(upload.options), "state": state},
        ).fetchone()
        if entered:
            audit(connection, upload.upload_id, actor, state)
    return entered is not None


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
            (reports.STALE_AFTER_SECONDS, upload_id),
        ).fetchone()
        if record is None:
            raise UnknownImport(f"no upload {upload_id} is known; the S3 sensor registers an upload when it sees it")
        state, holder = record["state"], record["run_id"]
        if state == "succeeded":
            return Claim(record, run_id, record["attempt"], finished=True)
        if state == "checked" and holder == run_id:
            return Claim(record, run_id, record["attempt"], checked=True)
        if state == "cancelled" and run_created_at <= record["cancelled_at"]:
            raise ImportCancelled(f"import {upload_id} was cancelled")
        if state not in ("queued", "loading", "verifying", "failed", "cancelled", "checked"):
            raise NotTheOwner(f"import {upload_id} is {state}: it cannot be loaded")
        if state in ("loading", "verifying"):
            if holder == run_id:
                return Claim(record, run_id, record["attempt"])
            if not record["stale"] and not run_has_ended(holder):
                raise NotTheOwner(f"import {upload_id} is already claimed by run {holder}")
        claimed = connection.execute(
            """UPDATE imports SET state = 'loading', attempt = attempt + 1, run_id = %s,
                      heartbeat_at = clock_timestamp(), started_at = clock_timestamp(),
                      finished_at = NULL, cancelled_at = NULL, error = NULL, error_code = NULL, report = NULL
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


def keep_options(connection: Connection, claim: Claim, options: dict[str, Any]) -> None:
    """Store what was chosen for the import, in place of what was chosen before."""
    with scrubbed(), connection.transaction():
        hold(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET options = %s WHERE upload_id = %s", (json.dumps(options), claim.upload_id)
        )


def keep_reading_plan(
    connection: Connection, claim: Claim, dialect: dict[str, Any], mapping: dict[str, Any], rejects_of: str | None
) -> None:
    """Store how the file is read; every later attempt reads it the same way.

    Args:
        rejects_of: the upload whose rejects the file brings back.
    """
    with scrubbed(), connection.transaction():
        hold(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET dialect = %s, mapping = %s, rejects_of = %s WHERE upload_id = %s",
            (json.dumps(dialect), json.dumps(mapping), rejects_of, claim.upload_id),
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


def end_check(
    connection: Connection,
    claim: Claim,
    counts: dict[str, int],
    rows: int,
    warnings: dict[str, int],
    seconds: dict[str, float],
    report: dict[str, Any],
) -> DictRow:
    """End an import that was only tried: what it would have done is kept, and nothing else.

    Raises:
        ImportCancelled, NotTheOwner: the claim does not stand any more.
    """
    with scrubbed(), connection.transaction():
        hold(connection, claim, lock="NO KEY UPDATE")
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        record = connection.execute(
            f"""UPDATE imports SET state = 'checked', finished_at = clock_timestamp(), total_rows = %(rows)s,
                       warnings = %(warnings)s, timings = %(seconds)s, report = %(report)s, {assignments}
                WHERE upload_id = %(upload_id)s RETURNING *""",
            {
                **counts,
                "rows": rows,
                "warnings": json.dumps(warnings),
                "seconds": json.dumps(seconds),
                "report": json.dumps(report),
                "upload_id": claim.upload_id,
            },
        ).fetchone()
        assert record is not None
        audit(connection, claim.upload_id, "run", "checked", run_id=claim.run_id, attempt=claim.attempt, counts=counts)
    return record


def succeed(connection: Connection, claim: Claim) -> DictRow:
    """End the import well: its counts become final.

    Raises:
        ImportCancelled, NotTheOwner: the claim does not stand any more.
    """
    with scrubbed(), connection.transaction():
        hold(connection, claim, ("verifying",), lock="NO KEY UPDATE")
        sums = reports.totals(connection, claim.upload_id)
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
    record = reports.find(connection, upload_id)
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
