"""A chunk on its way into the table, stage by stage: data only."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import polars as pl

from contact_pipeline.contacts.identity import as_rows
from contact_pipeline.database.contributions import Contributions
from contact_pipeline.files.chunks import Chunk, Position, Reject


@dataclass(frozen=True)
class DeferredChunk:
    """A chunk whose rows are not prepared yet, since most of them are expected to be unchanged.

    Attributes:
        chunk: the rows, of which only the column of contact ids is parsed.
        ids: the contact id of each row, null where it has none.
        record_hashes: hash of each row's CSV record.
        all_record_hashes: hash of each record of the chunk, malformed ones included.
    """

    chunk: Chunk
    ids: pl.Series
    record_hashes: pl.Series
    all_record_hashes: pl.Series

    @property
    def start(self) -> Position:
        """Where it begins."""
        return self.chunk.start

    @property
    def bytes_read(self) -> int:
        """How much of the file had been read for it."""
        return self.chunk.bytes_read


@dataclass(frozen=True)
class UnchangedRows:
    """The rows of a chunk that are what their contacts were written from last.

    Attributes:
        rows: a mask over the chunk's rows.
        counts: what they count as.
        confirmed: the contacts that they confirm: `key`, `hash`, `first`: the row's place.
        identifying: their ids, and their contacts' e-mails.
        seen: number of the last commit that was seen before they were looked up.
    """

    rows: pl.Series
    counts: Counter[str]
    confirmed: pl.DataFrame
    identifying: pl.DataFrame
    seen: int


@dataclass(frozen=True)
class CellWarning:
    """A value that was dropped or changed: its row's place in the chunk, its field, and the warning's code."""

    row_index: int
    field: str
    code: str


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
        source: the rows as they are in the file, for rejects that only the database finds.
        cells: the values that warnings are about, where they were asked for.
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
    source: Chunk
    cells: tuple[CellWarning, ...] = ()


@dataclass(frozen=True)
class ChunkOutcome:
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


@dataclass
class ChunkTally:
    """What a chunk's transaction has done so far.

    Attributes:
        counts: what became of rows.
        warnings: how many values were dropped, by `code:column`.
        rejects: the rows that do not load.
        unchanged_by_record: how many rows their records alone tell to be unchanged.
        contributions: what the rows contribute to contacts.
        matched: what identifies the rows that were matched.
        values: by a column's position, how many values it had.
        noted: row numbers that a warning is about, by its code.
        seen: number of the last commit that was seen before rows were matched.
        left_out: what identifies the rows that are unchanged.
    """

    counts: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    unchanged_by_record: int = 0
    contributions: Contributions = field(default_factory=Contributions)
    matched: list[pl.DataFrame] = field(default_factory=list)
    values: Counter[int] = field(default_factory=Counter)
    noted: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    seen: int = sys.maxsize
    left_out: pl.DataFrame = field(default_factory=lambda: as_rows([]))

    def copy(self) -> ChunkTally:
        """A copy to go back to."""
        return ChunkTally(
            Counter(self.counts), Counter(self.warnings), list(self.rejects), self.unchanged_by_record,
            self.contributions.copy(), list(self.matched), Counter(self.values),
            defaultdict(list, {code: list(rows) for code, rows in self.noted.items()}), self.seen, self.left_out,
        )  # fmt: skip

    def restore(self, other: ChunkTally) -> None:
        """Go back to a copy."""
        self.__dict__.update(other.__dict__)
