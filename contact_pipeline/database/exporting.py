"""The contacts that an import's rows are of, as CSV written by the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from psycopg import sql

from contact_pipeline.contacts.field import Kind
from contact_pipeline.contacts.fields import FIELDS, TEXT_KINDS
from contact_pipeline.database import contributions, import_history
from contact_pipeline.database.postgres import Connection, scrubbed

_AT_ONCE: Final = 10_000
"""Contacts of one statement: it ends before its block is sent to somebody whose line may be slow."""

# What `rejects_file.guard` guards; but a number or a telephone number does nothing in a spreadsheet.
_FORMULA: Final = "^[=+\\-@\t\r\n＝＋－＠]"
_NUMBER: Final = "^[+-]?[0-9 ().,/-]+$"
_GUARDED: Final = sql.SQL("CASE WHEN {value} ~ {formula} AND {value} !~ {number} THEN '''' || {value} ELSE {value} END")


# Contacts are one table for all owners, and a file that names somebody's e-mail must not give what others know of them.
_NOBODY_ELSES: Final = sql.SQL(
    """NOT EXISTS (SELECT FROM imports i
                   WHERE i.upload_id IN (created_by_import, updated_by_import) AND i.owner <> {owner})
       AND NOT EXISTS (SELECT FROM contact_versions v
                       JOIN imports i ON i.upload_id IN (v.created_by_import, v.updated_by_import)
                       WHERE v.key = contacts.key AND i.owner <> {owner})"""
)


def contacts_csv(connection: Connection, upload_id: str, owner: str, extra: Sequence[str]) -> Iterator[bytes]:
    """The contacts that rows of an import have made, changed or confirmed, as they are now, each once.

    Contacts that files of other owners have given values to are left out. Cells that a spreadsheet would take for
    formulas have an apostrophe before them.

    Args:
        extra: keys of `extra` that get a column each, after all fields.

    Yields:
        CSV without a header.

    Raises:
        DatabaseFailed: as named.
    """
    listed = sql.SQL(", ").join([*(_field(field.name, field.kind) for field in FIELDS), *map(_extra, extra)])
    ranges = import_history.made_between(connection, upload_id)
    touched = _touched(connection, upload_id)
    own = _NOBODY_ELSES.format(owner=owner)
    made = sql.SQL("key BETWEEN {} AND {} AND created_by_import = {} AND {} ORDER BY key")
    # An undo of another import can have left a contact to this one: what tells them apart is the ranges of keys.
    known = sql.SQL("key = ANY({}) AND NOT ({}) AND {} ORDER BY key")
    in_ranges = sql.SQL(
        "created_by_import = {} AND EXISTS (SELECT FROM unnest({}::bigint[], {}::bigint[]) AS range (first, last)"
        " WHERE key BETWEEN first AND last)"
    ).format(upload_id, [first for first, _ in ranges], [last for _, last in ranges])
    for first, last in ranges:
        for begin in range(first, last + 1, _AT_ONCE):
            end = min(begin + _AT_ONCE - 1, last)
            yield _block(connection, listed, made.format(begin, end, upload_id, own))
    for at in range(0, len(touched), _AT_ONCE):
        yield _block(connection, listed, known.format(touched[at : at + _AT_ONCE].tolist(), in_ranges, own))


def _touched(connection: Connection, upload_id: str) -> np.ndarray:
    """Keys of the known contacts that the import had rows of, each once."""
    with scrubbed():
        rows = connection.execute(
            "SELECT keys, rows FROM contributions WHERE upload_id = %s AND chunk <> %s AND undone_at IS NULL",
            (upload_id, contributions.UNDO),
        )
        touched = [contributions.touched_keys(row) for row in rows]
    return np.unique(np.concatenate([np.empty(0, np.int64), *touched]))


def _block(connection: Connection, listed: sql.Composable, condition: sql.Composable) -> bytes:
    statement = sql.SQL("COPY (SELECT {} FROM contacts WHERE {}) TO STDOUT (FORMAT CSV)").format(listed, condition)
    with scrubbed(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(block) for block in copy)


def _field(name: str, kind: Kind) -> sql.Composable:
    return _guarded(sql.Identifier(name)) if kind in TEXT_KINDS else sql.Identifier(name)


def _extra(key: str) -> sql.Composable:
    return _guarded(sql.SQL("(extra ->> {})").format(key))


def _guarded(value: sql.Composable) -> sql.Composable:
    return _GUARDED.format(value=value, formula=_FORMULA, number=_NUMBER)
