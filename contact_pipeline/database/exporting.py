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


def contacts_csv(connection: Connection, upload_id: str, extra: Sequence[str]) -> Iterator[bytes]:
    """The contacts that rows of an import have made, changed or confirmed, as they are now, each once.

    Cells that a spreadsheet would take for formulas have an apostrophe before them.

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
    made = sql.SQL("key BETWEEN {} AND {} AND created_by_import = {} ORDER BY key")
    known = sql.SQL("key = ANY({}) AND created_by_import <> {} ORDER BY key")
    for first, last in ranges:
        for begin in range(first, last + 1, _AT_ONCE):
            end = min(begin + _AT_ONCE - 1, last)
            yield _block(connection, listed, made.format(begin, end, upload_id))
    for at in range(0, len(touched), _AT_ONCE):
        yield _block(connection, listed, known.format(touched[at : at + _AT_ONCE].tolist(), upload_id))


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
