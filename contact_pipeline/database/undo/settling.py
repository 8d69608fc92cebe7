"""Settling imports: after its undo window, what an import was undone by is let go.

A settled import stands for good. Its contacts are taken as they are after it: the
state that the first import that is not settled has found (its before-image, or the
contact itself where none has changed it) is what undo begins with.

Only a first part of all commits is settled, so that this state holds what settled
imports gave and nothing else. Marking is one transaction, and decides; what is
marked is ignored from then on and deleted piece by piece, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contact_pipeline.database import commits, contributions, retention
from contact_pipeline.database.contributions import UNDO
from contact_pipeline.database.postgres import Connection, impatient, scrubbed
from contact_pipeline.database.retention import BEFORE_SETTLED, SETTLED, Removed
from contact_pipeline.database.undo.gathering import VALUE_COLUMNS

_ENTRIES_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Span:
    """The commits of an import that are not settled, from the first to the last."""

    upload_id: str
    first: int
    last: int
    is_due: bool


def due(connection: Connection, days: int) -> list[str]:
    """Imports that would be settled now: over for so many days, and so is all that was committed before."""
    return prefix_that_is_due(_spans(connection, days))[0]


def settle(connection: Connection, days: int) -> int:
    """Settle what is due; returns how many imports. From here they cannot be undone."""
    listed = due(connection, days)
    with impatient(connection):
        # No undo of these begins meanwhile, and what commits later has a higher number.
        connection.execute(
            "SELECT FROM imports WHERE upload_id = ANY(%s) ORDER BY upload_id FOR NO KEY UPDATE", (listed,)
        )
        commits.lock_commits(connection)
        found, last = prefix_that_is_due(_spans(connection, days, listed))
        for upload_id in found:
            retention.note_removed(connection, upload_id, Removed.HISTORY, {"up_to": last})
    return len(found)


def is_settled(connection: Connection, upload_id: str) -> bool:
    """Whether anything that an import loaded, and that stands, is settled."""
    row = connection.execute(
        f"""SELECT EXISTS (SELECT FROM contributions c WHERE upload_id = %s AND chunk <> %s AND undone_at IS NULL
                             AND {SETTLED}) AS any""".encode(),
        (upload_id, UNDO),
    ).fetchone()
    return bool(row and row["any"])


def _spans(connection: Connection, days: int, among: Sequence[str] | None = None) -> list[Span]:
    """Of all imports that have commits that are not settled, in the order of the first of these.

    Args:
        among: only these may be due.
    """
    with scrubbed():
        rows = connection.execute(
            f"""SELECT c.upload_id, min(c.number) AS first, max(c.number) AS last,
                       bool_and(i.state IN ('succeeded', 'failed', 'cancelled', 'undone')
                                AND i.finished_at < now() - make_interval(days => %s)
                                AND NOT EXISTS (SELECT FROM launches l
                                                WHERE l.upload_id = i.upload_id AND l.ended_at IS NULL)) AS is_due
                FROM contributions c JOIN imports i USING (upload_id)
                WHERE NOT {SETTLED} GROUP BY c.upload_id ORDER BY first""".encode(),
            (days,),
        ).fetchall()
    return [Span(**row | {"is_due": row["is_due"] and (among is None or row["upload_id"] in among)}) for row in rows]


def prefix_that_is_due(spans: Sequence[Span]) -> tuple[list[str], int]:
    """The imports that are due, and the last of the commits up to which there are only such."""
    settled = reached = 0
    for span in spans:
        if span.first > reached:
            settled = reached
        if not span.is_due:
            break
        reached = max(reached, span.last)
    else:
        settled = reached
    return [span.upload_id for span in spans if span.last <= settled], settled


def let_go(connection: Connection) -> None:
    """Delete what undo would have gone by for settled imports: values of rows, their hashes, before-images.

    Which contacts they touched stays, for late uploads and exports.
    """
    while True:
        with scrubbed():
            rows = connection.execute(
                f"""SELECT number FROM contributions c
                    WHERE (num_nonnulls(hashes, rows, places) > 0 OR (chunk = %s AND keys IS NOT NULL)) AND {SETTLED}
                    ORDER BY number LIMIT %s""".encode(),
                (UNDO, _ENTRIES_AT_ONCE),
            ).fetchall()
        if not rows:
            return
        for row in rows:
            with impatient(connection):
                commits.lock_commits(connection)
                _let_go_of(connection, row["number"])


def _let_go_of(connection: Connection, number: int) -> None:
    row = connection.execute("SELECT chunk, keys, rows FROM contributions WHERE number = %s", (number,)).fetchone()
    assert row is not None
    keys = np.unique(contributions.touched_keys(row))
    _delete_before_images(connection, keys.tolist())
    contributions.keep_keys_only(connection, number, None if row["chunk"] == UNDO else keys)


def _delete_before_images(connection: Connection, keys: list[int]) -> None:
    """Delete the before-images that settled imports have kept of contacts.

    Where one tells of an owner whom the contact itself does not name, that stays, without values: the contact is not
    to be exported by others.
    """
    replaced = f"v.key = ANY(%(keys)s) AND {BEFORE_SETTLED}"
    of_others = """EXISTS (
        SELECT FROM contacts c, imports i
        WHERE c.key = v.key AND i.upload_id IN (v.created_by_import, v.updated_by_import)
          AND i.owner NOT IN (SELECT o.owner FROM imports o
                              WHERE o.upload_id IN (c.created_by_import, c.updated_by_import)))"""
    blank = ", ".join(f"{name} = NULL" for name in VALUE_COLUMNS)
    parameters: dict[str, Any] = {"keys": keys}
    connection.execute(
        f"""UPDATE contact_versions v SET {blank}, updated_by_import = COALESCE(updated_by_import, created_by_import)
            WHERE {replaced} AND {of_others} AND num_nonnulls({", ".join(VALUE_COLUMNS)}) > 0""".encode(),
        parameters,
    )
    connection.execute(f"DELETE FROM contact_versions v WHERE {replaced} AND NOT {of_others}".encode(), parameters)
