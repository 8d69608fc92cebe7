"""Undoing an import: contacts become what the imports that still stand give, applied in order.

Chunk by chunk, each in a transaction of its own, so that it can be interrupted,
gone on with by anybody, and beside running imports. A contact that no other import
has a row of goes; any other is made again (`replaying`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from time import monotonic
from typing import Final

import numpy as np

from contact_pipeline.crash_points import reached
from contact_pipeline.database import commits, contributions, events, launches, postgres
from contact_pipeline.database.contributions import UNDO, Stored
from contact_pipeline.database.postgres import Connection, impatient, scrubbed
from contact_pipeline.database.queries import lock_import
from contact_pipeline.database.records import ImportRecord, ImportState
from contact_pipeline.database.undo import settling
from contact_pipeline.database.undo.gathering import keys_of
from contact_pipeline.database.undo.others import Others
from contact_pipeline.database.undo.remaking import remake
from contact_pipeline.database.undo.rewriting import Undone
from contact_pipeline.errors import CannotBeUndone

_UNDOABLE: Final = (ImportState.SUCCEEDED, ImportState.FAILED, ImportState.CANCELLED, ImportState.UNDOING)
_SESSION: Final = postgres.LIMITS + "SET LOCAL enable_seqscan = off"


def undo(
    connection: Connection,
    upload_id: str,
    actor: str,
    *,
    also_from: tuple[str, ...] = (),
    error: tuple[str, str] | None = None,
    seconds: float | None = None,
    on_chunk: Callable[[Undone], object] = lambda _: None,
) -> Undone:
    """Undo an import. Undoing it again does nothing more; undoing it twice at once is undoing it once.

    Args:
        actor: who asks for it.
        also_from: further states that it may be undone from: a run undoes the import that it holds.
        error: code and sentence, where it is undone because something was wrong with it.
        seconds: how long to go on with it; the reconciler does the rest.
        on_chunk: told what has been done, after each chunk.

    Raises:
        CannotBeUndone: it is running, was only checked, or is not known.
        DatabaseFailed: the database does not do it. What is undone is; the reconciler goes on.
    """
    state = start(connection, upload_id, actor, also_from=also_from, error=error)
    if state == ImportState.UNDONE:
        return Undone()
    return finish(connection, upload_id, seconds=seconds, on_chunk=on_chunk)


def start(
    connection: Connection,
    upload_id: str,
    actor: str,
    *,
    also_from: tuple[str, ...] = (),
    error: tuple[str, str] | None = None,
) -> str:
    """Note that an import is to be undone: from here no chunk of it commits. Returns its state now."""
    with impatient(connection):
        record = lock_import(connection, upload_id)
        state = record.state if record else "not known"
        if state in (ImportState.UNDONE, ImportState.UNDOING):
            return state
        if state not in (*_UNDOABLE, *also_from):
            raise CannotBeUndone(f"import {upload_id} is {state}: cancel it, or wait for its end, and undo it then")
        if _has_chunks_of_an_older_version(connection, upload_id):
            raise CannotBeUndone(
                f"import {upload_id} was loaded by a version that did not keep what it contributed to which contacts"
            )
        if settling.is_settled(connection, upload_id):
            raise CannotBeUndone(
                f"import {upload_id} can be undone no more: what contacts were before it is kept for some days only "
                "after an import is over (CONTACT_PIPELINE_KEEP_UNDO_DAYS)"
            )
        code, message = error or (None, None)
        connection.execute(
            """UPDATE imports SET state = 'undoing', heartbeat_at = clock_timestamp(), waits_for = NULL,
                      error_code = COALESCE(%s, error_code), error = COALESCE(%s, error), report = %s
               WHERE upload_id = %s""",
            (code, message, json.dumps({"undo": _counts(Undone())}), upload_id),
        )
        launches.end_open(connection, upload_id, "undone")
        events.audit(connection, upload_id, actor, "undoing", why=message)
    return "undoing"


def _has_chunks_of_an_older_version(connection: Connection, upload_id: str) -> bool:
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM import_chunks k WHERE upload_id = %s AND NOT EXISTS (
               SELECT FROM contributions c WHERE c.upload_id = k.upload_id AND c.chunk = k.chunk)) AS any""",
        (upload_id,),
    ).fetchone()
    return bool(row and row["any"])


def finish(
    connection: Connection,
    upload_id: str,
    *,
    seconds: float | None = None,
    on_chunk: Callable[[Undone], object] = lambda _: None,
) -> Undone:
    """Go on with an undo that was started, to its end, or for so many seconds."""
    begun = monotonic()
    others = Others(upload_id)
    while True:
        with scrubbed(), connection.transaction():
            connection.execute(_SESSION)
            record = lock_import(connection, upload_id)
            if record is None or record.state != ImportState.UNDOING:
                return _undone_of(record)
            done = _undone_of(record)
            number = _next_chunk(connection, upload_id)
            if number is None:
                return _end(connection, upload_id, done)
        done = _patiently_undo(connection, upload_id, number, others)
        reached("undo_committed")
        on_chunk(done)
        if seconds is not None and monotonic() - begun > seconds:
            return Undone(**{**asdict(done), "finished": False})


def _counts(done: Undone) -> dict[str, int]:
    return {"removed": done.removed, "restored": done.restored, "kept": done.kept}


def _undone_of(record: ImportRecord | None) -> Undone:
    return Undone(**((record.report or {}).get("undo", {}) if record else {}))


def _next_chunk(connection: Connection, upload_id: str) -> int | None:
    """Number of the next contribution that is to be undone."""
    row = connection.execute(
        """SELECT number FROM contributions
           WHERE upload_id = %s AND chunk <> %s AND undone_at IS NULL ORDER BY number LIMIT 1""",
        (upload_id, UNDO),
    ).fetchone()
    return row["number"] if row else None


def _end(connection: Connection, upload_id: str, done: Undone) -> Undone:
    connection.execute(
        """UPDATE imports SET state = 'undone', finished_at = clock_timestamp(),
                  error = CASE WHEN error IS NULL THEN NULL ELSE error || %s END
           WHERE upload_id = %s""",
        (f". What was loaded is undone: {done}", upload_id),
    )
    events.audit(connection, upload_id, "undo", "undone", counts=_counts(done))
    events.enqueue_event(connection, upload_id, "import.undone", _counts(done))
    return done


def _patiently_undo(connection: Connection, upload_id: str, number: int, others: Others) -> Undone:
    """Undo a chunk; what may pass (a deadlock, a lock that somebody holds) is tried again."""
    # Most of it before anything is locked: the whole history may be long.
    with scrubbed():
        others.look(connection)
    for attempt in postgres.retrying(also=lambda _: not (connection.broken or connection.closed)):
        with attempt, scrubbed(), connection.transaction():
            connection.execute(_SESSION)
            return _undo_chunk(connection, upload_id, number, others)
    raise AssertionError("unreachable")


def _undo_chunk(connection: Connection, upload_id: str, number: int, others: Others) -> Undone:
    record = lock_import(connection, upload_id)
    done = _undone_of(record)
    row = connection.execute(
        "SELECT * FROM contributions WHERE number = %s AND undone_at IS NULL FOR UPDATE", (number,)
    ).fetchone()
    if record is None or record.state != ImportState.UNDOING or row is None:
        return done
    own = Stored.of(row)
    inserted = keys_of(
        connection,
        "SELECT key FROM contacts WHERE key BETWEEN %s AND %s AND created_by_import = %s",
        (row["first_key"], row["last_key"], upload_id),
    )
    keys = np.unique(np.concatenate([inserted, contributions.touched_keys(row)]))
    # First the contacts, in the order of their keys, then the commits: chunks lock in this order too.
    keys = keys_of(connection, "SELECT key FROM contacts WHERE key = ANY(%s) ORDER BY key FOR UPDATE", (keys.tolist(),))
    commits.lock_commits(connection)
    others.look(connection)
    step, touched = remake(connection, upload_id, own, keys, others)
    connection.execute("UPDATE contributions SET undone_at = clock_timestamp() WHERE number = %s", (number,))
    contributions.enter_undo(connection, upload_id, sorted(touched))
    reached("undo_written")
    done = Undone(done.removed + step.removed, done.restored + step.restored, done.kept + step.kept)
    connection.execute(
        "UPDATE imports SET report = %s, heartbeat_at = clock_timestamp() WHERE upload_id = %s",
        (json.dumps({"undo": _counts(done)}), upload_id),
    )
    return done
