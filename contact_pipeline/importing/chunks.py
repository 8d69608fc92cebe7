"""A chunk on its way into the table, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from contact_pipeline.files.chunks import Position, Reject


@dataclass(frozen=True)
class DeferredChunk:
    """A chunk of which the rows are not prepared, since most of them are expected to be known already.

    Attributes:
        ids: the contact id of each row, null where it has none.
        record_hashes: hash of each row's record.
        prepare: prepares the rows that a mask selects, or all.
    """

    ids: pl.Series
    record_hashes: pl.Series
    prepare: Callable[[pl.Series | None], PreparedChunk]


@dataclass(frozen=True)
class PreparedChunk:
    """A chunk, validated and ready to load.

    Attributes:
        start: where it begins.
        end_offset: offset after its last byte.
        end_line: line after its last record.
        bytes_read: how much of the file had been read for it.
        rows: number of its records.
        contacts: its sound rows: `row_index`, the fields that the file has, `extra`, identity columns, `row_hash`,
            `record_hash`.
        rejects: its other rows.
        warnings: how many values were dropped, by `code:column`.
        values: by a column's position, how many values it had in these rows.
        reject: makes a reject of a sound row, by its place, that only the database refused.
        deferred: what there is instead of `contacts`, `rejects` and `warnings`, where the rows are not prepared yet.
    """

    start: Position
    end_offset: int
    end_line: int
    bytes_read: int
    rows: int
    contacts: pl.DataFrame
    rejects: tuple[Reject, ...]
    warnings: Counter[str]
    values: Counter[int]
    reject: Callable[[int, str, str], Reject]
    deferred: DeferredChunk | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a chunk's rows. They add up to `rows`.

    Attributes:
        skipped: whether it was loaded before.
        unchanged_by_record: how many rows could be told from their records alone to be what is known.
    """

    rows: int
    counts: dict[str, int]
    warnings: dict[str, int]
    skipped: bool = False
    unchanged_by_record: int = 0
