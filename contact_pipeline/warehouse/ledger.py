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

from contact_pipeline.warehouse import launches, queries
from contact_pipeline.warehouse.database import Connection, DatabaseFailed, impatient, scrubbed
from contact_pipeline.warehouse.launches import AskedBy, Cause
from contact_pipeline.warehouse.tables import COUNTS

ADVISORY_CLASS: Final = 0x636F6E74
"""First number of the advisory locks."""

OPEN_STATES: Final = ("queued", "loading", "verifying")
_CANCELLABLE: Final = (*OPEN_STATES, "failed")
_IMPORTABLE_AGAIN: Final = ("failed", "cancelled", "undone", "checked")


class ImportStopped(Exception):
    """This run is not to go on with the import."""


class ImportCancelled(ImportStopped):
    """The import was cancelled."""


class ClaimLost(ImportStopped):
    """Another run holds the import."""


class UnknownImport(Exception):
    """There is no such import."""


class CannotBeImportedAgain(Exception):
    """The import is in a state in which there is nothing to import again. The message says which."""


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
        left_alone: why this run does nothing: the import was cancelled or undone, and no person asked for this run.
    """

    record: DictRow
    run_id: str
    attempt: int
    finished: bool = False
    checked: bool = False
    left_alone: str | None = None

    @property
    def upload_id(self) -> str:
        """The upload that is imported."""
        return self.record["upload_id"]


def register(
    connection: Connection,
    upload: Registration,
    *,
    state: str = "queued",
    actor: str = "sensor",
    error: tuple[str, str] | None = None,
) -> bool:
    """Enter a completed upload, and its first launch; False where it is known already.

    An upload that was cancelled before it was complete is entered as cancelled.

    Args:
        state: `failed` and `cancelled` imports have no launch.
        error: code and sentence of an import that failed before it began.
    """
    with scrubbed(), connection.transaction():
        # One at a time: uploads of one second are ordered by when they are entered.
        connection.execute("SELECT pg_advisory_xact_lock(%s, 1)", (ADVISORY_CLASS,))
        if (
            connection.execute("SELECT FROM cancelled_uploads WHERE upload_id = %s", (upload.upload_id,)).fetchone()
            is not None
        ):
            state = "cancelled"
        entered = connection.execute(
            """INSERT INTO imports (upload_id, state, bucket, object_key, etag, size, uploaded_at, ordered_at,
                                    file_name, owner, options, cancelled_at, finished_at, error_code, error)
               SELECT %(upload_id)s, %(state)s, %(bucket)s, %(object_key)s, %(etag)s, %(size)s, %(uploaded_at)s,
                      COALESCE((SELECT max(ordered_at) + interval '1 microsecond' FROM imports
                                WHERE ordered_at >= %(uploaded_at)s
                                  AND ordered_at < %(uploaded_at)s::timestamptz + interval '1 second'),
                               %(uploaded_at)s),
                      %(file_name)s, %(owner)s, %(options)s,
                      CASE WHEN %(state)s = 'cancelled' THEN clock_timestamp() END,
                      CASE WHEN %(state)s <> 'queued' THEN clock_timestamp() END, %(code)s, %(error)s
               ON CONFLICT DO NOTHING RETURNING upload_id""",
            {
                **upload.__dict__,
                "options": json.dumps(upload.options),
                "state": state,
                "code": error[0] if error else None,
                "error": error[1] if error else None,
            },
        ).fetchone()
        if entered:
            audit(connection, upload.upload_id, actor, state, why=error[1] if error else None)
            if state == "queued":
                launches.plan(connection, upload.upload_id, "sensor")
    return entered is not None


def note_ignored(connection: Connection, object_key: str, etag: str, reason: str) -> bool:
    """Note, once, that an object in the bucket is not imported; False where that was noted before."""
    with scrubbed(), connection.transaction():
        noted = connection.execute(
            """INSERT INTO ignored_objects (object_key, etag, reason) VALUES (%s, %s, %s)
               ON CONFLICT DO NOTHING RETURNING object_key""",
            (object_key, etag, reason),
        ).fetchone()
        if noted is not None:
            audit(connection, "", "sensor", "ignored", why=f"{object_key}: {reason}")
    return noted is not None


def claim(
    connection: Connection,
    upload_id: str,
    run_id: str,
    run_created_at: datetime,
    run_has_ended: Callable[[str], bool],
    *,
    launch: int | None = None,
    asked_by: AskedBy = "person",
) -> Claim:
    """Take hold of an import for a run.

    Args:
        run_created_at: of a run that is noted nowhere: one from before a cancellation does not undo it.
        run_has_ended: whether another run, by its id, is over.
        launch: the launch that the run was asked for by, where the sensor asked.
        asked_by: who asked for it, where it is noted nowhere.

    Raises:
        UnknownImport: no such upload is registered.
        ImportCancelled: it was cancelled after this run was asked for.
        ClaimLost: a living run holds it, or it is being undone.
        DatabaseFailed: somebody who is neither holds its row for long; or as named there.
    """
    _free_the_row(connection, upload_id)
    with impatient(connection):
        record = connection.execute(
            """SELECT *, heartbeat_at < clock_timestamp() - make_interval(secs => %s) AS stale
               FROM imports WHERE upload_id = %s FOR NO KEY UPDATE""",
            (queries.STALE_AFTER_SECONDS, upload_id),
        ).fetchone()
        if record is None:
            raise UnknownImport(f"no upload {upload_id} is known; the S3 sensor registers an upload when it sees it")
        asked = _launch_of(connection, record, run_id, launch, asked_by, run_created_at)
        state, holder = record["state"], record["run_id"]
        if state == "succeeded":
            launches.end(connection, upload_id, asked["launch"], "nothing to do")
            return Claim(record, run_id, record["attempt"], finished=True)
        if state == "checked" and holder == run_id:
            return Claim(record, run_id, record["attempt"], checked=True)
        if state in ("cancelled", "undone") and asked["asked_by"] != "person":
            launches.end(connection, upload_id, asked["launch"], "left alone")
            why = (
                f"import {upload_id} was {state}: it is imported again only when somebody launches its partition by "
                f"itself, or by `contact-pipeline import-again {upload_id}`"
            )
            return Claim(record, run_id, record["attempt"], finished=True, left_alone=why)
        if state == "undoing":
            raise ClaimLost(f"import {upload_id} is being undone: launch it when that is over")
        if state in ("loading", "verifying"):
            if holder == run_id:
                return Claim(record, run_id, record["attempt"])
            if not record["stale"] and not run_has_ended(holder):
                raise ClaimLost(f"import {upload_id} is already claimed by run {holder}")
        if state == "undone":
            _begin_anew(connection, upload_id)
        claimed = connection.execute(
            """UPDATE imports SET state = 'loading', attempt = attempt + 1, run_id = %s,
                      heartbeat_at = clock_timestamp(), started_at = clock_timestamp(), waits_for = NULL,
                      finished_at = NULL, cancelled_at = NULL, error = NULL, error_code = NULL, report = NULL
               WHERE upload_id = %s RETURNING *""",
            (run_id, upload_id),
        ).fetchone()
        assert claimed is not None
        launches.begin(connection, upload_id, asked["launch"], claimed["attempt"])
        why = f"launch {asked['launch']}, asked by {asked['asked_by']}"
        audit(connection, upload_id, "run", "loading", why=why, run_id=run_id, attempt=claimed["attempt"])
    return Claim(claimed, run_id, claimed["attempt"])


def _launch_of(
    connection: Connection,
    record: DictRow,
    run_id: str,
    launch: int | None,
    asked_by: AskedBy,
    run_created_at: datetime,
) -> DictRow:
    """The launch that a run belongs to, made for it where nobody noted one.

    Raises:
        ImportCancelled, ClaimLost: it is over.
    """
    upload_id = record["upload_id"]
    found = launches.of_run(connection, run_id)
    if found is None:
        if record["state"] == "cancelled" and (
            launch is not None or (asked_by == "person" and run_created_at <= record["cancelled_at"])
        ):
            raise ImportCancelled(f"import {upload_id} was cancelled")
        launches.attach(connection, upload_id, run_id, launch, asked_by)
        found = launches.of_run(connection, run_id)
        assert found is not None
    ended = found["ended_at"] is not None
    goes_on = record["state"] == "succeeded" or (record["state"] == "checked" and record["run_id"] == run_id)
    if ended and not goes_on and found["outcome"] != "left alone":
        if record["state"] == "cancelled" or found["outcome"] == "cancelled":
            raise ImportCancelled(f"import {upload_id} was cancelled")
        raise ClaimLost(f"launch {found['launch']} of import {upload_id} is over ({found['outcome']})")
    return found


def _begin_anew(connection: Connection, upload_id: str) -> None:
    """Forget, in the caller's transaction, what an undone import had committed: it is loaded from its beginning."""
    for table in ("rejected_rows", "import_chunks"):
        connection.execute(f"DELETE FROM {table} WHERE upload_id = %s".encode(), (upload_id,))
    assignments = ", ".join(f"{count} = 0" for count in COUNTS)
    connection.execute(
        f"""UPDATE imports SET dialect = NULL, mapping = NULL, total_rows = NULL, warnings = '{{}}', timings = NULL,
                   fruitless = 0, {assignments} WHERE upload_id = %s""".encode(),
        (upload_id,),
    )


def import_again(connection: Connection, upload_id: str, actor: str) -> None:
    """Have an import that failed, or was cancelled, undone or only checked, imported by a run that is asked for now.

    Raises:
        UnknownImport: there is no such import.
        CannotBeImportedAgain: it is under way, or has succeeded.
    """
    with impatient(connection):
        record = connection.execute(
            "SELECT state, options FROM imports WHERE upload_id = %s FOR NO KEY UPDATE", (upload_id,)
        ).fetchone()
        if record is None:
            raise UnknownImport(f"no import {upload_id} is known")
        state = record["state"]
        if state not in _IMPORTABLE_AGAIN:
            advice = "undo it first" if state == "succeeded" else "wait for its end, or cancel it first"
            raise CannotBeImportedAgain(f"import {upload_id} is {state}: {advice}, to import it again")
        if state == "undone":
            _begin_anew(connection, upload_id)
        connection.execute(
            """UPDATE imports SET state = 'queued', options = options - 'mode', fruitless = 0, waits_for = NULL,
                      error = NULL, error_code = NULL, cancelled_at = NULL, finished_at = NULL, report = NULL
               WHERE upload_id = %s""",
            (upload_id,),
        )
        launches.end_open(connection, upload_id, "superseded")
        launches.plan(connection, upload_id, "person", actor=actor)
        audit(connection, upload_id, actor, "queued", why=f"to be imported again; it was {state}")


def settle(connection: Connection, upload_id: str, run_id: str, cause: Cause) -> bool:
    """A run is over and its import is not: have it launched again after a pause, or give it up.

    Launches without a committed chunk are counted, in a row. An import that a run holds is settled for that run only.

    Returns:
        Whether there was anything to settle.
    """
    with impatient(connection):
        record = _locked(connection, upload_id)
        launch = launches.of_run(connection, run_id)
        if record is None:
            return False
        if launch is not None and launch["ended_at"] is None:
            launches.end(connection, upload_id, launch["launch"], "failed", cause.reason)
        elif record["run_id"] != run_id or launch is not None:
            return False
        held = record["state"] in ("loading", "verifying")
        if record["state"] not in OPEN_STATES or (held and record["run_id"] != run_id):
            return False
        attempt = record["attempt"] if held else None
        fruitless = 0 if launches.made_progress(connection, upload_id, attempt) else record["fruitless"] + 1
        if fruitless >= cause.patience:
            message = (
                f"{cause.reason}. It was tried {fruitless} times without getting any further. When that is mended: "
                f"launch its partition, or contact-pipeline import-again {upload_id}"
            )
            _give_up(connection, upload_id, cause.code, message, run_id, record["attempt"])
            return True
        connection.execute(
            """UPDATE imports SET state = 'queued', fruitless = %s, waits_for = %s, run_id = NULL, heartbeat_at = NULL
               WHERE upload_id = %s""",
            (fruitless, cause.reason, upload_id),
        )
        if not launches.any_open(connection, upload_id):
            launches.plan(connection, upload_id, "retry", in_seconds=launches.pause_seconds(fruitless))
        audit(connection, upload_id, "run", "queued", why=cause.reason, run_id=run_id, attempt=record["attempt"])
    return True


def _give_up(connection: Connection, upload_id: str, code: str, message: str, run_id: str | None, attempt: int) -> None:
    connection.execute(
        """UPDATE imports SET state = 'failed', error_code = %s, error = %s, finished_at = clock_timestamp(),
                  waits_for = NULL WHERE upload_id = %s""",
        (code, message, upload_id),
    )
    launches.end_open(connection, upload_id, "failed")
    audit(connection, upload_id, "run", "failed", why=message, run_id=run_id, attempt=attempt)
    enqueue_event(connection, upload_id, "import.failed", {"code": code})


def ensure_launch(connection: Connection, upload_id: str, asked_by: AskedBy) -> bool:
    """Give an import that is not over a launch, where it has none; returns whether it had none."""
    with impatient(connection):
        record = _locked(connection, upload_id)
        if record is None or record["state"] not in OPEN_STATES or launches.any_open(connection, upload_id):
            return False
        connection.execute(
            "UPDATE imports SET state = 'queued', run_id = NULL, heartbeat_at = NULL WHERE upload_id = %s", (upload_id,)
        )
        launches.plan(connection, upload_id, asked_by)
        audit(connection, upload_id, "reconciler", "queued", why="it had no launch")
    return True


def _locked(connection: Connection, upload_id: str) -> DictRow | None:
    return connection.execute("SELECT * FROM imports WHERE upload_id = %s FOR NO KEY UPDATE", (upload_id,)).fetchone()


def _free_the_row(connection: Connection, upload_id: str) -> None:
    """Make sure that the row of an import can be locked: a run that froze while it held it loses its connection."""
    try:
        with impatient(connection):
            connection.execute("SELECT FROM imports WHERE upload_id = %s FOR NO KEY UPDATE", (upload_id,))
    except DatabaseFailed as error:
        if error.sqlstate != "55P03":
            raise
        end_sessions(connection, upload_id)


def mark_session(connection: Connection, upload_id: str) -> None:
    """Mark, until the transaction's end, the session as one that loads a chunk of an import."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", (upload_id,))


def end_sessions(connection: Connection, upload_id: str) -> int:
    """End the sessions that are loading a chunk of an import; returns how many.

    The chunk is rolled back. A run that lives loads it again, over another connection.
    """
    with scrubbed():
        ended = connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)""",
            (upload_id,),
        )
    return ended.rowcount


def hold(connection: Connection, claim: Claim, states: tuple[str, ...] = ("loading",), *, lock: str = "SHARE") -> str:
    """Inside a transaction: make sure that the claim stands, and that it does until the commit.

    A cancellation waits for the transaction, or the transaction sees it.

    Returns:
        The import's state.

    Raises:
        ImportCancelled: the import was cancelled.
        ClaimLost: a newer attempt holds it.
    """
    row = connection.execute(
        f"SELECT state, attempt FROM imports WHERE upload_id = %s FOR {lock}", (claim.upload_id,)
    ).fetchone()
    if row is None or row["attempt"] != claim.attempt:
        raise ClaimLost(f"a newer attempt has taken over import {claim.upload_id}")
    if row["state"] == "cancelled":
        raise ImportCancelled(f"import {claim.upload_id} was cancelled")
    if row["state"] not in states:
        raise ClaimLost(f"import {claim.upload_id} is {row['state']}")
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
    connection: Connection,
    claim: Claim,
    dialect: dict[str, Any],
    mapping: dict[str, Any],
    rejects_of: str | None,
    note: str | None = None,
) -> None:
    """Store how the file is read; every later attempt reads it the same way.

    Args:
        rejects_of: the upload whose rejects the file brings back.
        note: what is to stand in the history.
    """
    with scrubbed(), connection.transaction():
        hold(connection, claim, lock="NO KEY UPDATE")
        connection.execute(
            "UPDATE imports SET dialect = %s, mapping = %s, rejects_of = %s WHERE upload_id = %s",
            (json.dumps(dialect), json.dumps(mapping), rejects_of, claim.upload_id),
        )
        if note is not None:
            audit(connection, claim.upload_id, "run", "opened", why=note, run_id=claim.run_id, attempt=claim.attempt)


def mark_verifying(connection: Connection, claim: Claim, rows: int, seconds: dict[str, float]) -> None:
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
        ImportCancelled, ClaimLost: the claim does not stand any more.
    """
    with scrubbed(), connection.transaction():
        if hold(connection, claim, ("loading", "checked"), lock="NO KEY UPDATE") == "checked":
            return claimed_record(connection, claim)
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
        launches.end_open(connection, claim.upload_id, "checked")
        audit(connection, claim.upload_id, "run", "checked", run_id=claim.run_id, attempt=claim.attempt, counts=counts)
    return record


def claimed_record(connection: Connection, claim: Claim) -> DictRow:
    """The import of a claim as it is now."""
    record = queries.find(connection, claim.upload_id)
    assert record is not None
    return record


def succeed(connection: Connection, claim: Claim) -> DictRow:
    """End the import well: its counts become final.

    Raises:
        ImportCancelled, ClaimLost: the claim does not stand any more.
    """
    with scrubbed(), connection.transaction():
        if hold(connection, claim, ("verifying", "succeeded"), lock="NO KEY UPDATE") == "succeeded":
            # Done before, but nobody heard of it.
            return claimed_record(connection, claim)
        sums = queries.totals(connection, claim.upload_id)
        counts = {count: sums[count] for count in COUNTS}
        assignments = ", ".join(f"{count} = %({count})s" for count in COUNTS)
        record = connection.execute(
            f"""UPDATE imports SET state = 'succeeded', finished_at = clock_timestamp(), fruitless = 0,
                       warnings = %(warnings)s, {assignments}
                WHERE upload_id = %(upload_id)s RETURNING *""",
            {
                **counts,
                "warnings": json.dumps(sums["warnings"]),
                "upload_id": claim.upload_id,
            },
        ).fetchone()
        assert record is not None
        launches.end_open(connection, claim.upload_id, "succeeded")
        audit(
            connection, claim.upload_id, "run", "succeeded", run_id=claim.run_id, attempt=claim.attempt, counts=counts
        )
        enqueue_event(connection, claim.upload_id, "import.succeeded", counts)
    return record


def fail(connection: Connection, upload_id: str, run_id: str, code: str, message: str) -> bool:
    """End an import badly, for good, if that run still holds it. Committed chunks stay, should somebody resume it."""
    with impatient(connection):
        row = connection.execute(
            """SELECT attempt FROM imports
               WHERE upload_id = %s AND run_id = %s AND state IN ('loading', 'verifying') FOR NO KEY UPDATE""",
            (upload_id, run_id),
        ).fetchone()
        if row is not None:
            _give_up(connection, upload_id, code, message, run_id, row["attempt"])
    return row is not None


def cancel(connection: Connection, upload_id: str, actor: str, run_id: str | None = None) -> str | None:
    """Cancel an import. When this returns, no further chunk of it commits, and no run of it is to start.

    Args:
        run_id: cancel only if the import is this run's: it holds it, or is to.

    Returns:
        The import's state now: `cancelled`, or the terminal state that it had; None if there is no such import.
    """
    _free_the_row(connection, upload_id)
    with impatient(connection):
        record = _locked(connection, upload_id)
        if record is None:
            return None
        state: str = record["state"]
        if run_id is not None and not _is_to_be_cancelled(connection, record, run_id):
            return state
        if state == "cancelled":
            launches.end_open(connection, upload_id, "cancelled")
            return state
        if state not in _CANCELLABLE:
            return state
        connection.execute(
            """UPDATE imports SET state = 'cancelled', cancelled_at = clock_timestamp(), waits_for = NULL,
                      finished_at = clock_timestamp() WHERE upload_id = %s""",
            (upload_id,),
        )
        launches.end_open(connection, upload_id, "cancelled")
        audit(connection, upload_id, actor, "cancelled", run_id=run_id, attempt=record["attempt"])
        enqueue_event(connection, upload_id, "import.cancelled", {})
    return "cancelled"


def _is_to_be_cancelled(connection: Connection, record: DictRow, run_id: str) -> bool:
    """Whether an import is cancelled with a run: it is this run's, and was not over before."""
    launch = launches.of_run(connection, run_id)
    if launch is None:
        holds: bool = record["run_id"] == run_id
        return holds
    if launch["ended_at"] is not None:
        return False
    if record["state"] == "cancelled" or (record["state"] in ("loading", "verifying") and record["run_id"] != run_id):
        launches.end(connection, record["upload_id"], launch["launch"], "cancelled")
        return False
    return True


def cancel_upload(connection: Connection, upload_id: str, actor: str) -> None:
    """Note that an upload is cancelled which no import may be made of, should it be complete after all."""
    with scrubbed():
        connection.execute(
            "INSERT INTO cancelled_uploads (upload_id, actor) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (upload_id, actor),
        )


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


def enqueue_event(connection: Connection, upload_id: str, topic: str, payload: dict[str, Any]) -> None:
    """Put a message into the outbox, in the caller's transaction."""
    connection.execute(
        "INSERT INTO outbox (upload_id, topic, payload) VALUES (%s, %s, %s)", (upload_id, topic, json.dumps(payload))
    )
