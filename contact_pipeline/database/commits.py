"""The order of the commits of chunks and undos.

Chunks of different imports are matched side by side, without a lock, and checked
when they are committed, one at a time: a chunk whose matches another commit has
made wrong is matched again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl
from psycopg.rows import DictRow

from contact_pipeline.contacts.identity import LINKEDIN_SLUG, NAME_COMPANY, has_only_name
from contact_pipeline.database.contributions import (
    CONFIRMED,
    KEY,
    MADE,
    NO_KEYS,
    UNDO,
    Contributions,
    touched_keys,
    unpacked,
    unpacked_rows,
)
from contact_pipeline.database.events import ADVISORY_CLASS
from contact_pipeline.database.matching import ONLY_NAME
from contact_pipeline.database.postgres import Connection

_COMMITS: Final = 2


def last_commit(connection: Connection) -> int:
    """The number of the last commit. What is looked up after this sees it, and all before it."""
    row = connection.execute("SELECT COALESCE(max(number), 0) AS number FROM contributions").fetchone()
    assert row is not None
    number: int = row["number"]
    return number


def lock_commits(connection: Connection) -> None:
    """Keep others from committing a chunk or an undo until the transaction's end."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (ADVISORY_CLASS, _COMMITS))


class NewerUploads:
    """Contacts that newer uploads than the one that is imported have rows of: it fills their blanks only.

    Those that a newer upload has written say so themselves; here are those that it has confirmed.
    """

    def __init__(self, ordered_at: datetime) -> None:
        self._ordered_at = ordered_at
        self._seen = 0
        self.keys = NO_KEYS
        """In order."""

    def look(self, connection: Connection) -> None:
        """Look what has been committed since the last time."""
        undone = connection.execute(
            "SELECT EXISTS (SELECT FROM contributions WHERE number > %s AND chunk = %s) AS any", (self._seen, UNDO)
        ).fetchone()
        if self._seen and undone and undone["any"]:
            self._seen, self.keys = 0, NO_KEYS
        last = last_commit(connection)
        if last == self._seen:
            return
        found = connection.execute(
            """SELECT c.keys, c.rows FROM contributions c JOIN imports i USING (upload_id)
               WHERE i.ordered_at > %s AND c.number > %s AND c.undone_at IS NULL AND i.state <> 'undone'
                 AND (c.keys IS NOT NULL OR c.rows IS NOT NULL)""",
            (self._ordered_at, self._seen),
        ).fetchall()
        if found:
            self.keys = np.unique(np.concatenate([self.keys, *(touched_keys(row) for row in found)]))
        self._seen = last


def still_right(
    connection: Connection,
    upload_id: str,
    ordered_at: datetime,
    seen: int,
    found: Contributions,
    matched: Iterable[pl.DataFrame],
) -> bool:
    """Whether what was committed since a chunk was matched leaves its matches as they are.

    Called with the commits locked.

    Args:
        upload_id, ordered_at: the chunk's upload, and its place among all.
        seen: the last commit before the chunk was matched.
        matched: the rows that were matched, with their identities; rows that were recognised by their id are not here.
    """
    looked_at, written = found.looked_at, found.row_keys
    # Chunks of one import are matched side by side only where none of their rows could be one person: what the one
    # before has changed can matter to contacts that are not locked, and to nothing else.
    others = connection.execute(
        """SELECT c.upload_id, c.chunk, c.first_key, c.last_key, c.without_ids, c.keys, c.rows,
                  i.ordered_at > %s AS newer
           FROM contributions c JOIN imports i USING (upload_id)
           WHERE c.number > %s AND (c.upload_id <> %s OR c.chunk = %s OR %s)""",
        (ordered_at, seen, upload_id, UNDO, len(looked_at) > 0),
        binary=True,
    ).fetchall()
    if not others:
        return True
    frames = [part for rows in matched for part in _with_ids_and_without(rows)]
    for other in others:
        is_undo = other["chunk"] == UNDO
        changed = unpacked(other["keys"]) if is_undo else _changed_keys(other)
        if np.isin(changed, looked_at).any() or (is_undo and np.isin(changed, written).any()):
            return False
        if other["newer"] and np.isin(touched_keys(other), written).any():
            return False
        is_own = other["upload_id"] == upload_id and not is_undo
        if not is_own and any(_meets(connection, other, changed, rows) for rows in frames):
            return False
    return True


def _with_ids_and_without(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    has_id = rows["contact_id"].is_not_null()
    return rows.filter(has_id), rows.filter(~has_id)


def _changed_keys(row: DictRow) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Keys of known contacts that a chunk may have changed, from its row of the table."""
    if row["rows"] is None:
        return NO_KEYS
    told = {CONFIRMED, MADE} & {*pl.read_ipc_schema(io.BytesIO(row["rows"]))}
    rows = unpacked_rows(row["rows"], [KEY, *told])
    assert rows is not None
    return rows.filter(pl.all_horizontal(pl.col(name).is_null() for name in told) if told else True)[KEY].to_numpy()


def _meets(
    connection: Connection, other: DictRow, changed: np.ndarray[Any, np.dtype[np.int64]], rows: pl.DataFrame
) -> bool:
    """Whether rows share an identity, on a rung that joins them, with a contact that another chunk has written."""
    if not rows.height:
        return False
    all_have_ids = rows["contact_id"].null_count() == 0
    if all_have_ids and not other["without_ids"]:
        # Equal ids are kept apart by the index, and contacts with ids of their own never meet.
        return False
    wanted = {name: rows[name].drop_nulls().unique().to_list() for name in ("email", LINKEDIN_SLUG, NAME_COMPANY)}
    wanted["only_name"] = rows.filter(has_only_name())[NAME_COMPANY].drop_nulls().unique().to_list()
    only = "contact_id IS NULL AND" if all_have_ids else ""
    # By their names those meet of which one side has nothing else: namesakes at one company are many.
    shared = f"""{only} (email = ANY(%(email)s) OR linkedin_slug = ANY(%(linkedin_slug)s)
                         OR name_company = ANY(%(only_name)s)
                         OR ({ONLY_NAME} AND name_company = ANY(%(name_company)s)))"""
    row = connection.execute(
        f"""SELECT EXISTS (SELECT FROM contacts WHERE key BETWEEN %(first)s AND %(last)s
                             AND created_by_import = %(upload_id)s AND {shared})
                OR EXISTS (SELECT FROM contacts WHERE key = ANY(%(keys)s) AND {shared}) AS meets""".encode(),
        {
            **wanted,
            "first": other["first_key"],
            "last": other["last_key"],
            "upload_id": other["upload_id"],
            "keys": changed.tolist(),
        },
    ).fetchone()
    return bool(row and row["meets"])
